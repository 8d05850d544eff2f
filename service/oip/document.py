"""JSON of a request: read with a limit on its depth, and its fields with their types. Raises
InvalidRequest.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from service.errors import InvalidRequest

DEEPEST = 100
MAX_LISTS = 500_000
"""Each is an object many times as large as the bytes that it may be."""

Fields = Mapping[str, Any]

# A text, or what begins one and never ends; possessive, so that no byte is looked at twice.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = b"[]{}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))
_STEPS = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")


def read(data: bytes | memoryview) -> Fields:
    """The object in these bytes."""
    _check_depth(bytes(data))
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise InvalidRequest(
            f"the body is not JSON, which has no NaN or Infinity: {error}"
        ) from None
    return fields("the body", value)


def fields(what: str, value: Any) -> Fields:
    """The value as an object."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object")
    return value


def objects(what: str, value: Any) -> list[Fields]:
    """The value as a list of objects."""
    if not isinstance(value, list):
        raise InvalidRequest(f"'{what}' must be a list of objects")
    return [fields(f"'{what}[{index}]'", item) for index, item in enumerate(value)]


def text(what: str, value: Any) -> str:
    """The value as text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{what} must be text")
    return value


def parameters(what: str, holder: Fields) -> Fields:
    """The `parameters` of an object; values are text, numbers or true and false."""
    values = fields(f"'parameters' of {what}", holder.get("parameters", {}))
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            raise InvalidRequest(
                f"parameter '{name[:80]}' of {what} must be text, a number, true or false"
            )
    return values


def whole_number(what: str, parameters: Fields, name: str) -> int | None:
    """A parameter as a whole number from 0; None where it is not given."""
    value = parameters.get(name)
    if value is None:
        return None
    if not is_whole_number(value):
        raise InvalidRequest(f"parameter '{name}' of {what} must be a whole number from 0")
    return int(value)


def flag(what: str, parameters: Fields, name: str) -> bool | None:
    """A parameter as true or false; None where it is not given."""
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"parameter '{name}' of {what} must be true or false")
    return value


def is_whole_number(value: Any) -> bool:
    """Whether it is a whole number from 0; true and false are none."""
    return type(value) is int and value >= 0


def _check_depth(data: bytes) -> None:
    lists = data.count(b"[") + data.count(b"{")
    if lists <= DEEPEST:
        return
    if lists > MAX_LISTS:
        raise InvalidRequest(
            f"the JSON holds more than {MAX_LISTS} lists; send flat data, or bytes"
        )
    steps = _TEXT.sub(b"", data).translate(_STEPS, _OTHERS)
    depth = np.cumsum(np.frombuffer(steps, np.int8), dtype=np.int32)
    if depth.max(initial=0) > DEEPEST:
        raise InvalidRequest(f"the JSON is nested deeper than {DEEPEST} levels")
