"""What each value of a card is held to: its type, its range, the keys of its objects."""

import math
from collections.abc import Collection
from typing import Any


class CardError(ValueError):
    """The card is not what the schema allows; the message names the field, what was expected, and
    the value.
    """


def fields_of(
    name: str, value: Any, keys: Collection[str], required: Collection[str] = ()
) -> dict[str, Any]:
    """A copy of the object `value`, which has these keys at most and the required ones; raises
    CardError.
    """
    fields = dict(typed(name, value, dict))
    if unknown := sorted(fields.keys() - set(keys)):
        raise CardError(
            f"{name}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(keys))}"
        )
    if missing := sorted(set(required) - fields.keys()):
        raise CardError(f"{name}: missing {', '.join(missing)}")
    return fields


def typed(name: str, value: Any, kind: type) -> Any:
    """The value, which is of this kind; raises CardError."""
    if not isinstance(value, kind):
        raise CardError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def is_int(value: Any) -> bool:
    """Whether it is a whole number; Python would take True for one."""
    return isinstance(value, int) and not isinstance(value, bool)


def number(name: str, value: Any) -> None:
    """Raises CardError for anything but a finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared, not asked for being finite: a whole number may be too large for a float.
    if not is_number or not -math.inf < value < math.inf:
        raise CardError(f"{name}: expected a finite number, got {value!r}")


def count(name: str, value: Any) -> None:
    """Raises CardError for anything but a whole number of at least 1."""
    if not is_int(value) or value < 1:
        raise CardError(f"{name}: expected a whole number of at least 1, got {value!r}")


def sides(name: str, value: Any, axes: tuple[str, ...]) -> None:
    """Raises CardError for anything but one whole number of at least 1 for each axis."""
    if len(value) != len(axes) or not all(is_int(side) and side > 0 for side in value):
        raise CardError(f"{name}: expected [{', '.join(axes)}], each at least 1, got {list(value)}")


def choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises CardError for anything but one of the choices."""
    if value not in choices:
        raise CardError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
