"""What a unit sees: receptive fields of layers in closed form and of units exactly, and the projective field back.

Two walks over one table (`reads`). Forward from the source, each axis carries windows (stride, lo, extent) and the
answer for a layer falls out: size, stride and padding after Araujo, Norris, Sim (Distill 2019). Backward from given
units, each axis carries the set of indices that can reach them, so that holes of dilation, rows cut off by a stride
and padding are all respected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from anatomy.fronts import ahead, back, size_of, start
from anatomy.graph import Graph
from anatomy.layers import Layer
from anatomy.reach import Reach, Track, forward, spatial_axes
from anatomy.windows import UnknownSizeError, Window

Status = Literal["exact", "whole_input", "upper_bound"]
Interval = tuple[int, int]
"""Half-open [start, stop)."""

OPEN_SIZE = "every unit sees the input whole, whose size the model leaves open"


class UnitError(ValueError):
    """The unit asked for does not exist; the message says what would."""


@dataclass(frozen=True)
class LayerField:
    """Size r, stride S and padding P of a layer's field, one entry a spatial axis of the source; None with a reason.

    An axis that every unit reads whole has the size of the input, stride 0 and padding 0.
    """

    status: Status
    size: tuple[int, ...] | None
    stride: tuple[int | float, ...] | None
    padding: tuple[int, ...] | None
    reason: str | None = None
    operator: str | None = None


@dataclass(frozen=True)
class UnitField:
    """What one unit sees, per spatial axis: `interval` counts padding, `clipped` only what is really read."""

    interval: tuple[Interval, ...]
    clipped: tuple[Interval, ...]


class ReceptiveFields:
    """Receptive fields of all layers of a graph, with respect to its input or to another layer.

    Sizes that the graph leaves open make units raise UnitError; infer the graph with a concrete input shape first.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sources: dict[str, _Source] = {}

    def layer(self, layer: Layer, of: Layer | None = None) -> LayerField:
        """The field of every unit of a layer. Raises UnitError if `of` does not lie before it."""
        return self._source(of).layer(layer)

    def units(self, layer: Layer, positions: Sequence[Sequence[int]], of: Layer | None = None) -> list[UnitField]:
        """The fields of units at these positions. Raises UnitError for a position outside the map or without axes."""
        return self._source(of).units(layer, positions)

    def projective(self, layer: Layer, pixel: Sequence[int], of: Layer | None = None) -> tuple[Interval, ...]:
        """The units of a layer that see a pixel of the input. Raises UnitError for a pixel outside the input."""
        return self._source(of).projective(layer, pixel)

    def _source(self, of: Layer | None) -> "_Source":
        tensor = self._graph.inputs[0] if of is None else of.tensor
        if tensor not in self._sources:
            axes = spatial_axes(self._graph) if of is None else of.spatial_axes
            self._sources[tensor] = _Source(self._graph, tensor, axes)
        return self._sources[tensor]


class _Source:
    """Fields with respect to one tensor."""

    def __init__(self, graph: Graph, tensor: str, axes: Sequence[int]) -> None:
        self._graph = graph
        self._tensor = tensor
        self._axes = tuple(axes)
        self._reach = forward(graph, tensor, axes)
        self._tracked = {
            name: frozenset(track.axis for track in reach.tracks.values()) for name, reach in self._reach.items()
        }

    def layer(self, layer: Layer) -> LayerField:
        reach = self._reached(layer)
        along = [self._along(axis, reach.tracks.get(axis)) for axis in self._axes]
        reason = next((each.reason for each in along if each.reason), None)
        if reach.widened_by:
            reason = f"{reach.widened_by} may read everything before it"
        elif not reach.tracks:
            reason = "every unit sees the whole input"
        return LayerField(
            "upper_bound" if reach.widened_by else "exact" if reach.tracks else "whole_input",
            _all_known([each.size for each in along]),
            _all_known([each.stride for each in along]),
            _all_known([each.padding for each in along]),
            reason,
            reach.widened_by,
        )

    def _along(self, axis: int, track: Track | None) -> "_AxisField":
        if track is None:
            size = (self._graph.shape(self._tensor) or {axis: None})[axis]
            return _AxisField(size, 0, 0) if isinstance(size, int) else _AxisField(None, 0, 0, OPEN_SIZE)
        if track.broken:
            return _AxisField(None, None, None, track.broken)
        return _closed_form(track.windows[0])

    def units(self, layer: Layer, positions: Sequence[Sequence[int]]) -> list[UnitField]:
        sizes = self._map_sizes(layer)
        for position in positions:
            check_position(position, sizes, f"layer '{layer.name}'")
        self._reached(layer)
        if not positions:
            return []
        try:
            return self._fields(layer, positions)
        except UnknownSizeError as error:
            raise UnitError(f"{error}; give the input's shape") from error

    def projective(self, layer: Layer, pixel: Sequence[int]) -> tuple[Interval, ...]:
        self._reached(layer)
        sizes = self._map_sizes(layer)
        check_position(pixel, [self._size(self._tensor, axis) for axis in self._axes], "the input")
        front = start(self._graph, self._tensor, self._axes, [pixel])
        found = ahead(self._graph, self._tensor, front, layer.tensor, self._tracked)
        if found is None or not found.alive[0]:
            return ((0, 0),) * len(sizes)
        whole = {axis: np.ones((1, size), np.bool_) for axis, size in zip(layer.spatial_axes, sizes, strict=True)}
        return tuple(_hull_of({**whole, **found.seen}[axis][0]) for axis in layer.spatial_axes)

    def _reached(self, layer: Layer) -> Reach:
        if layer.tensor not in self._reach:
            raise UnitError(f"layer '{layer.name}' does not depend on '{self._tensor}'")
        return self._reach[layer.tensor]

    def _map_sizes(self, layer: Layer) -> list[int]:
        if not layer.spatial_axes:
            raise UnitError(f"layer '{layer.name}' has no spatial axes: each of its units sees the whole input")
        return [self._size(layer.tensor, axis) for axis in layer.spatial_axes]

    def _size(self, tensor: str, axis: int) -> int:
        try:
            return size_of(self._graph, tensor, axis)
        except UnknownSizeError as error:
            raise UnitError(f"{error}; give the input's shape") from error

    def _fields(self, layer: Layer, positions: Sequence[Sequence[int]]) -> list[UnitField]:
        front = start(self._graph, layer.tensor, layer.spatial_axes, positions)
        front = back(self._graph, layer.tensor, front, self._tensor, self._tracked)
        lows = np.stack([front.lo[axis] for axis in self._axes], axis=1).tolist()
        highs = np.stack([front.hi[axis] + 1 for axis in self._axes], axis=1).tolist()
        clipped = zip(*([_hull_of(row) for row in front.seen[axis]] for axis in self._axes), strict=True)
        return [
            UnitField(tuple(zip(low, high, strict=True)), seen)
            for low, high, seen in zip(lows, highs, clipped, strict=True)
        ]


def check_position(position: Sequence[int], sizes: Sequence[int], what: str) -> None:
    """Raises UnitError unless the position has one index for each size and lies inside."""
    if len(position) != len(sizes):
        raise UnitError(
            f"{what} has {len(sizes)} spatial axes, but the position {_shown(position)} has {len(position)}"
        )
    if not all(0 <= index < size for index, size in zip(position, sizes, strict=True)):
        raise UnitError(f"position {_shown(position)} lies outside {what}, whose map is {'x'.join(map(str, sizes))}")


def _shown(position: Sequence[int]) -> str:
    return ",".join(map(str, position))


def _hull_of(seen: NDArray[np.bool_]) -> Interval:
    indices = np.flatnonzero(seen)
    return (int(indices[0]), int(indices[-1]) + 1) if len(indices) else (0, 0)


Value = TypeVar("Value")


def _all_known(values: Sequence[Value | None]) -> tuple[Value, ...] | None:
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(values) else None


@dataclass(frozen=True)
class _AxisField:
    size: int | None
    stride: int | float | None
    padding: int | None
    reason: str | None = None


def _closed_form(window: Window) -> _AxisField:
    reason, stride = _obstacle(window), _number(window.stride)
    padding = None if reason or window.lo is None else -int(window.lo)
    return _AxisField(_size_in_units(window), stride, padding, reason)


def _obstacle(window: Window) -> str | None:
    if window.lo is None:
        return "padding SAME depends on the size of the input, which the model leaves open"
    if _size_in_units(window) is None or window.lo.denominator != 1:
        return f"the stride {window.stride} is no whole number, so sizes and steps alternate from unit to unit"
    return None


def _size_in_units(window: Window) -> int | None:
    """How many inputs a unit sees, if every unit sees as many."""
    if window.stride.denominator == 1 and window.extent.denominator == 1:
        return int(window.extent) + 1
    if window.lo is None:
        return None
    ends = [
        (unit * window.stride + window.lo, unit * window.stride + window.lo + window.extent)
        for unit in range(window.stride.denominator)
    ]
    counts = {floor(high) - ceil(low) + 1 for low, high in ends}
    return counts.pop() if len(counts) == 1 else None


def _number(stride: Fraction) -> int | float:
    return int(stride) if stride.denominator == 1 else float(stride)
