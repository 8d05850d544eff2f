"""Receptive fields with respect to one tensor, the source: the input, or an earlier layer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.axis_maps import UnknownSizeError
from anatomy.fields.backward import (
    Axes,
    Frontier,
    size_of,
    unit_frontier,
    walk_back,
    walk_back_to,
    walk_forward,
)
from anatomy.fields.closed_form import AxisField, closed_form
from anatomy.fields.forward import AxisWindows, TensorWindows, propagate_windows
from anatomy.fields.results import (
    AxisTable,
    FieldTable,
    Interval,
    LayerField,
    LayerLike,
    Status,
    UnitError,
    UnitField,
)
from anatomy.fields.row_product import NoTableError
from anatomy.fields.tables import tables
from anatomy.graphs.graph import Graph

OPEN_SIZE = "every unit sees the input whole, whose size the model leaves open"


class SourceFields:
    """What units of later layers see of one tensor, along these axes of it."""

    def __init__(self, graph: Graph, tensor: str, axes: Sequence[int]) -> None:
        self._graph = graph
        self._tensor = tensor
        self._axes = tuple(axes)
        self._reached = propagate_windows(graph, tensor, axes)
        self.tracked = {
            name: frozenset(followed.axis for followed in windows.axes.values())
            for name, windows in self._reached.items()
        }

    def layer(self, layer: LayerLike) -> LayerField:
        """The field of every unit of a layer. Raises UnitError if it does not depend on this."""
        windows = self._windows(layer)
        fields = [self._axis_field(axis, windows.axes.get(axis)) for axis in self._axes]
        reason = next((field.reason for field in fields if field.reason), None)
        status: Status = "exact"
        if windows.widened_by:
            status, reason = "upper_bound", f"{windows.widened_by} may read everything before it"
        elif not windows.axes:
            status, reason = "whole_input", "every unit sees the whole input"
        return LayerField(
            status,
            _all_known([field.size for field in fields]),
            _all_known([field.stride for field in fields]),
            _all_known([field.padding for field in fields]),
            reason,
            windows.widened_by,
        )

    def _axis_field(self, axis: int, followed: AxisWindows | None) -> AxisField:
        if followed is None:
            size = (self._graph.shape(self._tensor) or {axis: None})[axis]
            if isinstance(size, int):
                return AxisField(size, 0, 0)
            return AxisField(None, 0, 0, OPEN_SIZE)
        if followed.reason:
            return AxisField(None, None, None, followed.reason)
        return closed_form(followed.windows[0])

    def units(self, layer: LayerLike, positions: Sequence[Sequence[int]]) -> list[UnitField]:
        """The fields of units at these positions; raises UnitError."""
        sizes = self._map_sizes(layer)
        for position in positions:
            check_position(position, sizes, f"layer '{layer.name}'")
        self._windows(layer)
        if not positions:
            return []
        with _open_sizes_are_unit_errors():
            frontier = unit_frontier(self._graph, layer.tensor, layer.spatial_axes, positions)
            at_source = walk_back(self._graph, layer.tensor, frontier, self._tensor, self.tracked)
            return self._unit_fields(at_source)

    def table(self, layer: LayerLike) -> FieldTable:
        """The fields of all units of a layer; raises UnitError."""
        if not layer.spatial_axes:
            axes = [
                AxisTable(None, interval[1], (interval,), (interval,))
                for interval in self._whole_source()
            ]
            return FieldTable(self._unit_status(layer), tuple(axes))
        self._map_sizes(layer)
        status = self._unit_status(layer)
        return FieldTable(status, self._axis_tables(layer))

    def _axis_tables(self, layer: LayerLike) -> tuple[AxisTable, ...]:
        try:
            with _open_sizes_are_unit_errors():
                return tables(
                    self._graph,
                    layer.tensor,
                    layer.spatial_axes,
                    self._tensor,
                    self._axes,
                    self.tracked,
                )
        except NoTableError as error:
            raise UnitError(f"layer '{layer.name}': {error}; ask for single units") from error

    def leads_to(self, layer: LayerLike) -> bool:
        """Whether the layer depends on this source."""
        return layer.tensor in self._reached

    def frontiers(self, layer: LayerLike, position: Sequence[int]) -> dict[str, Frontier]:
        """The frontiers of one unit at every tensor between its layer and this source."""
        check_position(position, self._map_sizes(layer), f"layer '{layer.name}'")
        frontier = unit_frontier(self._graph, layer.tensor, layer.spatial_axes, [position])
        with _open_sizes_are_unit_errors():
            return walk_back_to(self._graph, layer.tensor, frontier, self.tracked, self.tracked)

    def shares_walk(self, tracked: Axes, frontiers: Collection[str], layer: LayerLike) -> bool:
        """Whether a walk back over these axes, which has passed these tensors, is the walk to this
        source as well.
        """
        between = [name for name in self.tracked if name in frontiers and name != layer.tensor]
        return all(self.tracked[name] == tracked[name] for name in between)

    def pyramid_level(
        self, layer: LayerLike, position: Sequence[int], frontiers: Mapping[str, Frontier]
    ) -> tuple[Status, UnitField]:
        """What a unit sees of this source, from frontiers that hold for it, if any."""
        if not layer.spatial_axes:
            check_position(position, (), f"layer '{layer.name}'")
            source = self._whole_source()
            return self._unit_status(layer), UnitField(source, source)
        if frontiers:
            (field,) = self._unit_fields(frontiers[self._tensor])
        else:
            (field,) = self.units(layer, [position])
        return self._unit_status(layer), field

    def projective(self, layer: LayerLike, pixel: Sequence[int]) -> tuple[Interval, ...]:
        """The units of a layer that see one index of this source; raises UnitError."""
        self._windows(layer)
        sizes = self._map_sizes(layer)
        check_position(pixel, [self._size(self._tensor, axis) for axis in self._axes], "the input")
        frontier = unit_frontier(self._graph, self._tensor, self._axes, [pixel])
        readers = walk_forward(self._graph, self._tensor, frontier, layer.tensor, self.tracked)
        if readers is None or not readers.alive[0]:
            return ((0, 0),) * len(sizes)
        intervals: list[Interval] = []
        for axis, size in zip(layer.spatial_axes, sizes, strict=True):
            followed = axis in readers.seen
            intervals.append(_hull_of(readers.seen[axis][0]) if followed else (0, size))
        return tuple(intervals)

    def _unit_status(self, layer: LayerLike) -> Status:
        """The status for units; those of a layer without spatial axes are not told apart."""
        status = self.layer(layer).status
        return "upper_bound" if status == "exact" and not layer.spatial_axes else status

    def _whole_source(self) -> tuple[Interval, ...]:
        return tuple((0, self._size(self._tensor, axis)) for axis in self._axes)

    def _windows(self, layer: LayerLike) -> TensorWindows:
        if layer.tensor not in self._reached:
            raise UnitError(f"layer '{layer.name}' does not depend on '{self._tensor}'")
        return self._reached[layer.tensor]

    def _map_sizes(self, layer: LayerLike) -> list[int]:
        if not layer.spatial_axes:
            raise UnitError(
                f"layer '{layer.name}' has no spatial axes: each of its units sees the whole input"
            )
        return [self._size(layer.tensor, axis) for axis in layer.spatial_axes]

    def _size(self, tensor: str, axis: int) -> int:
        with _open_sizes_are_unit_errors():
            return size_of(self._graph, tensor, axis)

    def _unit_fields(self, frontier: Frontier) -> list[UnitField]:
        """One field for each unit of a frontier at this source."""
        lows = {axis: frontier.lo[axis].tolist() for axis in self._axes}
        # An interval that is empty even without regard to ends, as between the steps of a
        # transposed convolution.
        highs = {
            axis: np.where(frontier.spanned, frontier.hi[axis] + 1, 0).tolist()
            for axis in self._axes
        }
        fields: list[UnitField] = []
        for unit in range(len(frontier.alive)):
            interval = [(lows[axis][unit], highs[axis][unit]) for axis in self._axes]
            clipped = [_hull_of(frontier.seen[axis][unit]) for axis in self._axes]
            fields.append(UnitField(tuple(interval), tuple(clipped)))
        return fields


@contextmanager
def _open_sizes_are_unit_errors() -> Iterator[None]:
    try:
        yield
    except UnknownSizeError as error:
        raise UnitError(f"{error}; give the input's shape") from error


def check_position(position: Sequence[int], sizes: Sequence[int], what: str) -> None:
    """Raises UnitError unless the position has one index for each size and lies inside."""
    if len(position) != len(sizes):
        raise UnitError(
            f"{what} has {len(sizes)} spatial axes, but the position {_shown(position)} has "
            f"{len(position)}"
        )
    if not all(0 <= index < size for index, size in zip(position, sizes, strict=True)):
        raise UnitError(
            f"position {_shown(position)} lies outside {what}, whose map is "
            f"{'x'.join(map(str, sizes))}"
        )


def _shown(position: Sequence[int]) -> str:
    return ",".join(map(str, position))


def _hull_of(seen: NDArray[np.bool_]) -> Interval:
    indices = np.flatnonzero(seen)
    return (int(indices[0]), int(indices[-1]) + 1) if len(indices) else (0, 0)


Value = TypeVar("Value")


def _all_known(values: Sequence[Value | None]) -> tuple[Value, ...] | None:
    known = tuple(value for value in values if value is not None)
    return known if known and len(known) == len(values) else None
