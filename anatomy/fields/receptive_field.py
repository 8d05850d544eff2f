"""What a unit sees: receptive fields of layers in closed form and of units exactly, and the
projective field back.

Two walks over one table (`dependencies`). Forward from the source, each axis carries windows (stride, lo,
extent) and the answer for a layer falls out: size, stride and padding after Araujo, Norris, Sim
(Distill 2019). Backward from given units, each axis carries the set of indices that can reach them,
so that holes of dilation, rows cut off by a stride and padding are all respected.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.backward import Axes, Frontier, ahead, back, back_to, size_of, start
from anatomy.fields.closed_form import AxisField, closed_form
from anatomy.fields.forward import Reach, Track, forward, spatial_axes
from anatomy.fields.tables import AxisTable, NoTableError, tables
from anatomy.fields.windows import UnknownSizeError
from anatomy.graphs.graph import Graph

Status = Literal["exact", "whole_input", "upper_bound"]
Interval = tuple[int, int]
"""Half-open [start, stop)."""

OPEN_SIZE = "every unit sees the input whole, whose size the model leaves open"


class UnitError(ValueError):
    """The unit asked for does not exist; the message says what would."""


class LayerLike(Protocol):
    """What of a layer a receptive field needs: where it stands, and the tensor that it computes."""

    @property
    def index(self) -> int:
        """Its place in topological order."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def tensor(self) -> str:
        """The tensor that it computes."""

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of the tensor along which its units lie."""


@dataclass(frozen=True)
class LayerField:
    """Size r, stride S and padding P of a layer's field, one entry a spatial axis of the source;
    None with a reason.

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
    """What one unit sees, per spatial axis: `interval` counts padding, `clipped` only what is
    really read.
    """

    interval: tuple[Interval, ...]
    clipped: tuple[Interval, ...]


@dataclass(frozen=True)
class FieldTable:
    """What all units of a layer see: per spatial axis of the source, entries whose product is the
    field of a unit.

    A unit for which an entry of `clipped` is empty along any axis sees nothing; the same holds for
    `interval`.
    """

    status: Status
    axes: tuple[AxisTable, ...]


@dataclass(frozen=True)
class Level:
    """What one unit sees of an earlier layer, or of the network's input where `of` is None."""

    of: LayerLike | None
    status: Status
    field: UnitField


class ReceptiveFields:
    """Receptive fields of all layers of a graph, with respect to its input or to another layer.

    Sizes that the graph leaves open make units raise UnitError; infer the graph with a concrete
    input shape first.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sources: dict[str, _Source] = {}

    def layer(self, layer: LayerLike, of: LayerLike | None = None) -> LayerField:
        """The field of every unit of a layer. Raises UnitError if `of` does not lie before it."""
        return self._source(of).layer(layer)

    def units(
        self, layer: LayerLike, positions: Sequence[Sequence[int]], of: LayerLike | None = None
    ) -> list[UnitField]:
        """The fields of units at these positions. Raises UnitError for a position outside the map
        or without axes.
        """
        return self._source(of).units(layer, positions)

    def table(self, layer: LayerLike, of: LayerLike | None = None) -> FieldTable:
        """The fields of all units of a layer. Raises UnitError if they are no product of axes, or
        too many.
        """
        return self._source(of).table(layer)

    def pyramid(
        self, layer: LayerLike, position: Sequence[int], layers: Sequence[LayerLike]
    ) -> list[Level]:
        """What a unit sees of each of these layers that lies before its own, the nearest first, and
        of the input last.

        The position of a unit of a layer without spatial axes is empty. Raises UnitError as `units`
        does.
        """
        earlier = [
            each
            for each in reversed(layers)
            if each.index < layer.index and self._source(each).leads_to(layer)
        ]
        base = self._source(None)
        fronts = base.fronts(layer, position) if layer.spatial_axes else {}
        levels = []
        for of in (*earlier, None):
            source = self._source(of)
            status, field = source.level(
                layer, position, fronts if source.follows(base.tracked, fronts, layer) else {}
            )
            levels.append(Level(of, status, field))
        return levels

    def projective(
        self, layer: LayerLike, pixel: Sequence[int], of: LayerLike | None = None
    ) -> tuple[Interval, ...]:
        """The units of a layer that see a pixel of the input. Raises UnitError for a pixel outside
        the input.
        """
        return self._source(of).projective(layer, pixel)

    def _source(self, of: LayerLike | None) -> "_Source":
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
        self.tracked = {
            name: frozenset(track.axis for track in reach.tracks.values())
            for name, reach in self._reach.items()
        }

    def layer(self, layer: LayerLike) -> LayerField:
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

    def _along(self, axis: int, track: Track | None) -> "AxisField":
        if track is None:
            size = (self._graph.shape(self._tensor) or {axis: None})[axis]
            return (
                AxisField(size, 0, 0) if isinstance(size, int) else AxisField(None, 0, 0, OPEN_SIZE)
            )
        if track.broken:
            return AxisField(None, None, None, track.broken)
        return closed_form(track.windows[0])

    def units(self, layer: LayerLike, positions: Sequence[Sequence[int]]) -> list[UnitField]:
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

    def table(self, layer: LayerLike) -> FieldTable:
        if not layer.spatial_axes:
            whole = [
                AxisTable(None, interval[1], (interval,), (interval,)) for interval in self._whole()
            ]
            return FieldTable(self._status(layer), tuple(whole))
        self._map_sizes(layer)
        status = self._status(layer)
        try:
            found = tables(
                self._graph,
                layer.tensor,
                layer.spatial_axes,
                self._tensor,
                self._axes,
                self.tracked,
            )
        except UnknownSizeError as error:
            raise UnitError(f"{error}; give the input's shape") from error
        except NoTableError as error:
            raise UnitError(f"layer '{layer.name}': {error}; ask for single units") from error
        return FieldTable(status, found)

    def leads_to(self, layer: LayerLike) -> bool:
        """Whether the layer depends on this source."""
        return layer.tensor in self._reach

    def fronts(self, layer: LayerLike, position: Sequence[int]) -> dict[str, Frontier]:
        """The fronts of one unit at every tensor between its layer and this source."""
        check_position(position, self._map_sizes(layer), f"layer '{layer.name}'")
        front = start(self._graph, layer.tensor, layer.spatial_axes, [position])
        try:
            return back_to(self._graph, layer.tensor, front, self.tracked, self.tracked)
        except UnknownSizeError as error:
            raise UnitError(f"{error}; give the input's shape") from error

    def follows(self, tracked: Axes, fronts: Collection[str], layer: LayerLike) -> bool:
        """Whether a walk back over these axes, which has passed these tensors, is the walk to this
        source as well.
        """
        between = [name for name in self.tracked if name in fronts and name != layer.tensor]
        return all(self.tracked[name] == tracked[name] for name in between)

    def level(
        self, layer: LayerLike, position: Sequence[int], fronts: Mapping[str, Frontier]
    ) -> tuple[Status, UnitField]:
        """What a unit sees of this source, from fronts that hold for it, if any."""
        if not layer.spatial_axes:
            check_position(position, (), f"layer '{layer.name}'")
            whole = self._whole()
            return self._status(layer), UnitField(whole, whole)
        fields = self._fields_of(fronts[self._tensor]) if fronts else self.units(layer, [position])
        return self._status(layer), fields[0]

    def _status(self, layer: LayerLike) -> Status:
        """The status for units; what units of a layer without spatial axes see is not told apart."""
        status = self.layer(layer).status
        return "upper_bound" if status == "exact" and not layer.spatial_axes else status

    def _whole(self) -> tuple[Interval, ...]:
        return tuple((0, self._size(self._tensor, axis)) for axis in self._axes)

    def projective(self, layer: LayerLike, pixel: Sequence[int]) -> tuple[Interval, ...]:
        self._reached(layer)
        sizes = self._map_sizes(layer)
        check_position(pixel, [self._size(self._tensor, axis) for axis in self._axes], "the input")
        front = start(self._graph, self._tensor, self._axes, [pixel])
        found = ahead(self._graph, self._tensor, front, layer.tensor, self.tracked)
        if found is None or not found.alive[0]:
            return ((0, 0),) * len(sizes)
        whole = {
            axis: np.ones((1, size), np.bool_)
            for axis, size in zip(layer.spatial_axes, sizes, strict=True)
        }
        return tuple(_hull_of({**whole, **found.seen}[axis][0]) for axis in layer.spatial_axes)

    def _reached(self, layer: LayerLike) -> Reach:
        if layer.tensor not in self._reach:
            raise UnitError(f"layer '{layer.name}' does not depend on '{self._tensor}'")
        return self._reach[layer.tensor]

    def _map_sizes(self, layer: LayerLike) -> list[int]:
        if not layer.spatial_axes:
            raise UnitError(
                f"layer '{layer.name}' has no spatial axes: each of its units sees the whole input"
            )
        return [self._size(layer.tensor, axis) for axis in layer.spatial_axes]

    def _size(self, tensor: str, axis: int) -> int:
        try:
            return size_of(self._graph, tensor, axis)
        except UnknownSizeError as error:
            raise UnitError(f"{error}; give the input's shape") from error

    def _fields(self, layer: LayerLike, positions: Sequence[Sequence[int]]) -> list[UnitField]:
        front = start(self._graph, layer.tensor, layer.spatial_axes, positions)
        return self._fields_of(back(self._graph, layer.tensor, front, self._tensor, self.tracked))

    def _fields_of(self, front: Frontier) -> list[UnitField]:
        lows = {axis: front.lo[axis].tolist() for axis in self._axes}
        # An interval that is empty even without regard to ends, as between the steps of a
        # transposed convolution.
        highs = {
            axis: np.where(front.spanned, front.hi[axis] + 1, 0).tolist() for axis in self._axes
        }
        return [
            UnitField(
                tuple((lows[axis][unit], highs[axis][unit]) for axis in self._axes),
                tuple(_hull_of(front.seen[axis][unit]) for axis in self._axes),
            )
            for unit in range(len(front.alive))
        ]


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
