"""What all units of a layer see at once, as a table: sets along each axis, whose product is what a
unit sees.

Each axis of a tensor on the way back follows one axis k of the layer's map, or none, and holds one
row for each index along k (one row in all if it follows none): the indices that reach a unit there.
A unit u = (u0, u1, …) sees the product of its rows if it is alive along every k, and nothing
otherwise. Where branches meet, their union must be such a product again; where it is none (a unit's
columns depend on its row too) no table exists, and none is given.

`anatomy/fields/backward.py` is the same walk for single units, which need no such form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.backward import Axes, Mask, size_of
from anatomy.fields.rule_table import dependencies
from anatomy.fields.rules.base import AxisDependency
from anatomy.fields.windows import Relation, relation
from anatomy.graphs.graph import Graph

Rows = NDArray[Any]
Interval = tuple[int, int]

MOST_CELLS = 1 << 26
"""Of all sets of one walk together: about a second's work. Networks for pictures of 224 pixels need
a hundredth.
"""

NO_PRODUCT = "what a unit sees along one axis depends on its place along another, so that no table per axis holds it"
TOO_LARGE = "its map or the input is too large for a table of all units"


class NoTableError(ValueError):
    """The fields of a layer are no product of axes, or too many; the message says which."""


@dataclass(frozen=True)
class AxisTable:
    """What units see along one axis of the source: half-open, an entry for each index along the
    map's axis `follows`.

    With `follows` None there is one entry, for all units. An entry (0, 0) is empty: such units see
    nothing at all. The source has `size` indices along this axis.
    """

    follows: int | None
    size: int
    interval: tuple[Interval, ...]
    clipped: tuple[Interval, ...]


@dataclass(frozen=True)
class _Sets:
    """Products of rows: per axis what it follows and the rows [n, width]; `live` [n] for each k,
    and [1] for None.

    Rows are combined by `union`: masks of indices by `or`, bounds (lo, -hi) by `minimum`.
    """

    union: np.ufunc
    axes: Mapping[int, tuple[int | None, Rows]]
    live: Mapping[int | None, Mask]

    @property
    def empty(self) -> bool:
        return not all(mask.any() for mask in self.live.values())

    def join(self, other: "_Sets") -> "_Sets":
        """Both together. Raises NoTableError if that is no product."""
        if self.empty or other.empty:
            return other if self.empty else self
        differing = [k for k, mask in self.live.items() if (mask != other.live[k]).any()]
        if len(differing) > 1 and self.beyond(other) and other.beyond(self):
            raise NoTableError(NO_PRODUCT)
        axes = {axis: self._joined(other, axis) for axis in self.axes}
        return _Sets(self.union, axes, {k: mask | other.live[k] for k, mask in self.live.items()})

    def _joined(self, other: "_Sets", axis: int) -> tuple[int | None, Rows]:
        k = _common(self.axes[axis][0], other.axes[axis][0])
        alive = self.live[k], other.live[k]
        first, second = (
            np.broadcast_to(rows, (len(alive[0]), rows.shape[1]))
            for _, rows in self._rows(other, axis)
        )
        mixed = np.where(alive[0][:, None], first, second)
        both = np.where((alive[0] & alive[1])[:, None], self.union(first, second), mixed)
        for one, rival, rows in ((self, other, first), (other, self, second)):
            if one.beyond(rival, but=k) and (both != rows)[one.live[k]].any():
                raise NoTableError(NO_PRODUCT)
        return k, both

    def _rows(self, other: "_Sets", axis: int) -> tuple[tuple[int | None, Rows], ...]:
        return self.axes[axis], other.axes[axis]

    def beyond(self, other: "_Sets", but: int | None = -1) -> bool:
        """Whether some units live here and not there, by another map axis than `but`."""
        return any((mask & ~other.live[k]).any() for k, mask in self.live.items() if k != but)

    def entries(self, axes: Sequence[int]) -> dict[int, tuple[int | None, Rows]]:
        """The rows at the source with those of units that see nothing made zero. Raises
        NoTableError if no axis is left to say so.
        """
        found = {axis: self.axes[axis] for axis in axes}
        if self.empty:
            return {axis: (k, np.zeros_like(rows)) for axis, (k, rows) in found.items()}
        for k, mask in self.live.items():
            if not mask.all() and axes and k not in (follows for follows, _ in found.values()):
                axis = next((axis for axis in axes if found[axis][0] is None), None)
                if axis is None:
                    raise NoTableError(NO_PRODUCT)
                found[axis] = k, np.broadcast_to(found[axis][1], (len(mask), 2))
        return {
            axis: (k, np.where(self.live[k][:, None], rows, 0)) for axis, (k, rows) in found.items()
        }


@dataclass(frozen=True)
class _Front:
    """All units of a layer at one tensor: the indices they read, and the intervals as if nothing
    ended.
    """

    seen: _Sets
    spans: _Sets

    def join(self, other: "_Front") -> "_Front":
        return _Front(self.seen.join(other.seen), self.spans.join(other.spans))


def tables(
    graph: Graph,
    tensor: str,
    axes: Sequence[int],
    source: str,
    source_axes: Sequence[int],
    tracked: Axes,
) -> tuple[AxisTable, ...]:
    """What all units along these axes of a tensor see of a source that it depends on, for each axis
    of the source.

    Raises NoTableError, and UnknownSizeError.
    """
    sizes = [size_of(graph, tensor, axis) for axis in axes]
    spent = _afford(0, sum(size * size for size in sizes))
    front = _back(graph, tensor, _start(axes, sizes), source, tracked, spent)
    clipped = _Sets(
        np.minimum,
        {a: (k, _hulls(rows)) for a, (k, rows) in front.seen.axes.items()},
        front.seen.live,
    )
    spans = _Sets(
        np.minimum,
        {a: (k, rows * (1, -1) + (0, 1)) for a, (k, rows) in front.spans.axes.items()},
        front.spans.live,
    )
    inner, outer = clipped.entries(source_axes), spans.entries(source_axes)
    return tuple(
        _table(size_of(graph, source, axis), outer[axis], inner[axis]) for axis in source_axes
    )


def _table(size: int, outer: tuple[int | None, Rows], inner: tuple[int | None, Rows]) -> AxisTable:
    follows = _common(outer[0], inner[0])
    count = max(len(outer[1]), len(inner[1])) if None in (outer[0], inner[0]) else len(outer[1])
    interval, clipped = (
        tuple((int(lo), int(hi)) for lo, hi in np.broadcast_to(rows, (count, 2)).tolist())
        for _, rows in (outer, inner)
    )
    return AxisTable(follows, size, interval, clipped)


def _common(one: int | None, other: int | None) -> int | None:
    if one != other and None not in (one, other):
        raise NoTableError(NO_PRODUCT)
    return other if one is None else one


def _hulls(seen: Rows) -> Rows:
    if not seen.size:
        return np.zeros((len(seen), 2), np.int64)
    seen = np.ascontiguousarray(seen)
    first, last = seen.argmax(axis=1), seen.shape[1] - seen[:, ::-1].argmax(axis=1)
    return np.where(seen.any(axis=1, keepdims=True), np.stack([first, last], axis=1), 0)


def _start(axes: Sequence[int], sizes: Sequence[int]) -> _Front:
    live: dict[int | None, Mask] = {k: np.ones(size, np.bool_) for k, size in enumerate(sizes)}
    live[None] = np.ones(1, np.bool_)
    numbered = list(enumerate(zip(axes, sizes, strict=True)))
    seen = {axis: (k, np.eye(size, dtype=np.bool_, order="F")) for k, (axis, size) in numbered}
    spans = {axis: (k, np.outer(np.arange(size), (1, -1))) for k, (axis, size) in numbered}
    return _Front(_Sets(np.logical_or, seen, live), _Sets(np.minimum, spans, live))


def _back(graph: Graph, tensor: str, front: _Front, source: str, axes: Axes, spent: int) -> _Front:
    fronts = {tensor: front}
    for node in reversed(graph.nodes):
        for output in node.outputs:
            ahead = fronts.pop(output, None) if output != source else None
            for position, rule in dependencies(node, graph, output).items() if ahead else ():
                name = node.inputs[position]
                if name in axes and ahead:
                    spent = _afford(spent, _cells(graph, name, ahead, rule, axes[name]))
                    part = _pulled(graph, output, ahead, name, rule, axes[name])
                    fronts[name] = fronts[name].join(part) if name in fronts else part
    return fronts[source]


def _pulled(
    graph: Graph,
    output: str,
    front: _Front,
    name: str,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> _Front:
    live, spanned = dict(front.seen.live), dict(front.spans.live)
    seen: dict[int, tuple[int | None, Rows]] = {}
    spans: dict[int, tuple[int | None, Rows]] = {}
    for axis in axes:
        read, size = rule[axis], size_of(graph, name, axis)
        if read.axis is None or read.axis not in front.seen.axes:
            seen[axis] = None, np.ones((1, size), np.bool_)
            spans[axis] = None, np.array([[0, 1 - size]])
            continue
        k, rows = front.seen.axes[read.axis]
        pulled = _read_by(rows, relation(read.map, size_of(graph, output, read.axis), size))
        live[k] = live[k] & pulled.any(axis=1)
        seen[axis] = k, pulled
        k, bounds = front.spans.axes[read.axis]
        lo, hi = read.map.span(bounds[:, 0], -bounds[:, 1], size)
        spanned[k] = spanned[k] & np.less_equal(lo, hi)
        spans[axis] = k, np.where(spanned[k][:, None], np.stack([lo, -hi], axis=1), 0)
    return _Front(_Sets(np.logical_or, seen, live), _Sets(np.minimum, spans, spanned))


def _read_by(rows: Mask, connections: Relation) -> Mask:
    """`Relation.pull`, with the indices' own axis outermost in memory: for many units that is ten
    times as fast.
    """
    read = np.zeros((connections.inputs, len(rows)), np.bool_)
    for units, indices in connections.passes:
        read[indices] |= rows.T[units]
    return read.T


def _cells(
    graph: Graph, name: str, front: _Front, rule: Sequence[AxisDependency], axes: frozenset[int]
) -> int:
    followed = {
        axis: front.seen.axes.get(read.axis)
        for axis in axes
        if (read := rule[axis]).axis is not None
    }
    return sum(
        len(rows[1]) * size_of(graph, name, axis)
        for axis, rows in followed.items()
        if rows is not None
    )


def _afford(spent: int, cells: int) -> int:
    if spent + cells > MOST_CELLS:
        raise NoTableError(TOO_LARGE)
    return spent + cells
