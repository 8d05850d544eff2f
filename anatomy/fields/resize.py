"""Which input indices an interpolating resize reads, and with which weights (ONNX operator
specification of Resize).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.axis_maps import AxisMap, Blocks, IndexTable, Taps
from anatomy.graphs.graph import Dim

_POSITIONS = {
    "half_pixel",
    "pytorch_half_pixel",
    "asymmetric",
    "align_corners",
    "half_pixel_symmetric",
}


@dataclass(frozen=True)
class Interpolation:
    """How a resize looks up a unit; None in `position` is a way that is not known here."""

    mode: str
    position: str | None
    rounding: str
    coefficient: float
    excludes_outside: bool

    @classmethod
    def of(cls, operator: str, attributes: Mapping[str, Any]) -> "Interpolation":
        """As the attributes of Resize, or of the older Upsample, say."""
        is_upsample = operator == "Upsample"
        position = (
            "asymmetric"
            if is_upsample
            else attributes.get("coordinate_transformation_mode", "half_pixel")
        )
        known = position in _POSITIONS and not attributes.get("antialias", 0)
        return cls(
            attributes.get("mode", "nearest"),
            position if known else None,
            "floor" if is_upsample else attributes.get("nearest_mode", "round_prefer_floor"),
            attributes.get("cubic_coeff_a", -0.75),
            bool(attributes.get("exclude_outside", 0)),
        )


def resize_maps(
    operator: str,
    attributes: Mapping[str, Any],
    before: Sequence[Dim],
    after: Sequence[Dim],
    scales: Sequence[float | None] | None,
) -> list[AxisMap | None]:
    """One map an axis; None where sizes are unknown or the interpolation is not known."""
    interpolation = Interpolation.of(operator, attributes)
    maps: list[AxisMap | None] = []
    for size, size_after, scale in zip(before, after, scales or [None] * len(before), strict=True):
        if interpolation.position is not None:
            maps.append(_axis_map(interpolation, size, size_after, scale))
        else:
            maps.append(Taps() if size == size_after else None)
    return maps


def resize_weights(
    operator: str, attributes: Mapping[str, Any], before: int, after: int, scale: float | None
) -> NDArray[np.float64] | None:
    """The matrix [after, before] that resizes one axis; None if the interpolation is not known."""
    interpolation = Interpolation.of(operator, attributes)
    if interpolation.position is None:
        return None
    factor = _factor(before, after, scale)
    matrix = np.zeros((after, before))
    for unit in range(after):
        position = _position(interpolation, unit, factor, before, after)
        indices = _indices(interpolation, position)
        weights = np.array([_weight(interpolation, index, position) for index in indices])
        if interpolation.mode == "cubic" and interpolation.excludes_outside:
            weights *= [0 <= index < before for index in indices]
            weights /= weights.sum()
        np.add.at(matrix[unit], np.clip(indices, 0, before - 1), weights)
    return matrix


def _weight(interpolation: Interpolation, index: int, position: Fraction) -> float:
    """Keys 1981 for cubic interpolation."""
    t, a = float(abs(position - index)), interpolation.coefficient
    if interpolation.mode == "nearest":
        return 1.0
    if interpolation.mode == "linear":
        return 1 - t
    return ((a + 2) * t - (a + 3)) * t * t + 1 if t <= 1 else a * (((t - 5) * t + 8) * t - 4)


def _factor(before: int, after: int, scale: float | None) -> Fraction:
    return Fraction(after, before) if scale is None else Fraction(scale).limit_denominator(1 << 20)


def _axis_map(
    interpolation: Interpolation, before: Dim, after: Dim, scale: float | None
) -> AxisMap | None:
    if scale == 1 or (scale is None and before is not None and before == after):
        return Taps()
    if not isinstance(before, int) or not isinstance(after, int):
        return None
    factor = _factor(before, after, scale)
    rows = tuple(
        _indices_inside(interpolation, unit, factor, before, after) for unit in range(after)
    )
    if factor.denominator == 1 and _are_blocks(rows, int(factor)):
        return Blocks(int(factor))
    return IndexTable(rows)


def _indices_inside(
    interpolation: Interpolation, unit: int, factor: Fraction, before: int, after: int
) -> tuple[int, ...]:
    """The indices that a unit reads, those beyond an end moved to it."""
    position = _position(interpolation, unit, factor, before, after)
    indices = _indices(interpolation, position)
    return tuple(sorted({min(max(index, 0), before - 1) for index in indices}))


def _are_blocks(rows: tuple[tuple[int, ...], ...], size: int) -> bool:
    return all(row == (unit // size,) for unit, row in enumerate(rows))


def _position(
    interpolation: Interpolation, unit: int, factor: Fraction, before: int, after: int
) -> Fraction:
    match interpolation.position:
        case "align_corners":
            return Fraction(unit * (before - 1), after - 1) if after > 1 else Fraction(0)
        case "asymmetric":
            return unit / factor
        case "pytorch_half_pixel" if after == 1:
            return Fraction(0)
        case "half_pixel_symmetric":
            adjustment = Fraction(after) / (factor * before)
            return (
                Fraction(before, 2) * (1 - adjustment)
                + (unit + Fraction(1, 2)) / factor
                - Fraction(1, 2)
            )
        case _:
            return (unit + Fraction(1, 2)) / factor - Fraction(1, 2)


def _indices(interpolation: Interpolation, position: Fraction) -> range:
    """Indices with a weight other than zero; at a whole position interpolation reads that index
    alone.
    """
    below = math.floor(position)
    if interpolation.mode == "nearest":
        nearest = _nearest(interpolation.rounding, position)
        return range(nearest, nearest + 1)
    if position == below:
        return range(below, below + 1)
    if interpolation.mode == "linear":
        return range(below, below + 2)
    return range(below - 1, below + 3)


def _nearest(rounding: str, position: Fraction) -> int:
    match rounding:
        case "floor":
            return math.floor(position)
        case "ceil":
            return math.ceil(position)
        case "round_prefer_floor":
            return math.ceil(position - Fraction(1, 2))
        case "round_prefer_ceil":
            return math.floor(position + Fraction(1, 2))
        case _:
            raise KeyError(rounding)
