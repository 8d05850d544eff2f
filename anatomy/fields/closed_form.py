"""Size, stride and padding of a window along one axis, or the reason why there are none."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from anatomy.fields.windows import Window


@dataclass(frozen=True)
class AxisField:
    """What every unit sees along one axis; None with a reason where one number does not say it."""

    size: int | None
    stride: int | float | None
    padding: int | None
    reason: str | None = None


def closed_form(window: Window) -> AxisField:
    """The size r, stride S and padding P of a window."""
    reason, stride = _obstacle(window), _number(window.stride)
    padding = None if reason or window.lo is None else -int(window.lo)
    return AxisField(_size_in_units(window), stride, padding, reason)


def _obstacle(window: Window) -> str | None:
    if window.lo is None:
        return "padding SAME depends on the size of the input, which the model leaves open"
    if _size_in_units(window) is None or window.lo.denominator != 1:
        return (
            f"the stride {window.stride} is no whole number, so sizes and steps alternate "
            "from unit to unit"
        )
    return None


def _size_in_units(window: Window) -> int | None:
    """How many inputs a unit sees, if every unit sees as many."""
    if window.stride.denominator == 1 and window.extent.denominator == 1:
        return int(window.extent) + 1
    if window.lo is None:
        return None
    sizes: set[int] = set()
    for unit in range(window.stride.denominator):
        low = unit * window.stride + window.lo
        high = low + window.extent
        sizes.add(floor(high) - ceil(low) + 1)
    return sizes.pop() if len(sizes) == 1 else None


def _number(stride: Fraction) -> int | float:
    return int(stride) if stride.denominator == 1 else float(stride)
