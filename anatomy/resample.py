"""Which input indices an interpolating resize reads (ONNX operator specification of Resize)."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from anatomy.graph import Dim
from anatomy.windows import AxisMap, Blocks, Table, Taps

_POSITIONS = {"half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric"}


def resize_maps(
    operator: str,
    attributes: Mapping[str, Any],
    before: Sequence[Dim],
    after: Sequence[Dim],
    scales: Sequence[float] | None,
) -> list[AxisMap | None]:
    """One map an axis; None where sizes are unknown or the mode is not one of those above."""
    position = (
        "asymmetric" if operator == "Upsample" else attributes.get("coordinate_transformation_mode", "half_pixel")
    )
    mode, rounding = attributes.get("mode", "nearest"), attributes.get("nearest_mode", "round_prefer_floor")
    if operator == "Upsample":
        rounding = "floor"
    known = position in _POSITIONS and not attributes.get("antialias", 0)
    scales = scales or [None] * len(before)  # type: ignore[list-item]
    return [
        _axis(mode, position, rounding, n, m, scale) if known else Taps() if n == m else None
        for n, m, scale in zip(before, after, scales, strict=True)
    ]


def _axis(mode: str, position: str, rounding: str, before: Dim, after: Dim, scale: float | None) -> AxisMap | None:
    if (before is not None and before == after) or scale == 1:
        return Taps()
    if not isinstance(before, int) or not isinstance(after, int):
        return None
    factor = Fraction(after, before) if scale is None else Fraction(scale).limit_denominator(1 << 20)
    rows = [_row(mode, rounding, _position(position, unit, factor, before, after)) for unit in range(after)]
    inside = tuple(tuple(sorted({min(max(i, 0), before - 1) for i in row})) for row in rows)
    if factor.denominator == 1 and inside == tuple((unit // int(factor),) for unit in range(after)):
        return Blocks(int(factor))
    return Table(inside)


def _position(position: str, unit: int, factor: Fraction, before: int, after: int) -> Fraction:
    match position:
        case "align_corners":
            return Fraction(unit * (before - 1), after - 1) if after > 1 else Fraction(0)
        case "asymmetric":
            return unit / factor
        case "pytorch_half_pixel" if after == 1:
            return Fraction(0)
        case "half_pixel_symmetric":
            adjustment = Fraction(after) / (factor * before)
            return Fraction(before, 2) * (1 - adjustment) + (unit + Fraction(1, 2)) / factor - Fraction(1, 2)
        case _:
            return (unit + Fraction(1, 2)) / factor - Fraction(1, 2)


def _row(mode: str, rounding: str, position: Fraction) -> range:
    """Indices with a weight other than zero; at a whole position interpolation reads that index alone."""
    below = math.floor(position)
    if mode == "nearest":
        nearest = {
            "floor": below,
            "ceil": math.ceil(position),
            "round_prefer_floor": math.ceil(position - Fraction(1, 2)),
            "round_prefer_ceil": math.floor(position + Fraction(1, 2)),
        }[rounding]
        return range(nearest, nearest + 1)
    if position == below:
        return range(below, below + 1)
    return range(below, below + 2) if mode == "linear" else range(below - 1, below + 3)
