"""What all units of a layer see at once, as a table: sets along each axis, whose product is what a
unit sees.

Each axis of a tensor on the way back follows one axis k of the layer's map, or none, and holds one
row for each index along k (one row in all if it follows none): the indices that reach a unit there.
A unit u = (u0, u1, …) sees the product of its rows if it is alive along every k, and nothing
otherwise. Where branches meet, their union must be such a product again; where it is none (a unit's
columns depend on its row too) no table exists, and none is given.

`anatomy/fields/backward.py` is the same walk for single units, which need no such form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.fields.backward import Axes, Mask, size_of
from anatomy.fields.relations import Relation, relation
from anatomy.fields.results import AxisTable, Interval
from anatomy.fields.row_product import (
    AxisRows,
    NoTableError,
    RowProduct,
    Rows,
    common_axis,
    repeat_rows,
)
from anatomy.fields.rule_table import dependencies
from anatomy.fields.rules.base import AxisDependency
from anatomy.graphs.graph import Graph

MAX_CELLS = 1 << 26
"""Cells of all sets of one walk together: about a second's work. Networks for pictures of 224
pixels need a hundredth.
"""

TOO_LARGE = "its map or the input is too large for a table of all units"


@dataclass(frozen=True)
class _TableFrontier:
    """All units of a layer at one tensor: the indices that they read, and the intervals as if
    nothing ended.
    """

    seen: RowProduct
    spans: RowProduct

    def join(self, other: "_TableFrontier") -> "_TableFrontier":
        return _TableFrontier(self.seen.join(other.seen), self.spans.join(other.spans))


class _CellBudget:
    """The cells that one walk may still fill."""

    def __init__(self) -> None:
        self._left = MAX_CELLS

    def spend(self, cells: int) -> None:
        """Raises NoTableError where the budget does not suffice."""
        self._left -= cells
        if self._left < 0:
            raise NoTableError(TOO_LARGE)


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
    budget = _CellBudget()
    budget.spend(sum(size * size for size in sizes))
    frontier = _walk_back(graph, tensor, _all_units(axes, sizes), source, tracked, budget)
    clipped = frontier.seen.with_bounds(_hulls).entries(source_axes)
    intervals = frontier.spans.with_bounds(_half_open).entries(source_axes)
    return tuple(
        _axis_table(size_of(graph, source, axis), intervals[axis], clipped[axis])
        for axis in source_axes
    )


def _axis_table(size: int, interval: AxisRows, clipped: AxisRows) -> AxisTable:
    follows = common_axis(interval.follows, clipped.follows)
    count = max(len(interval.rows), len(clipped.rows))
    return AxisTable(
        follows, size, _intervals(interval.rows, count), _intervals(clipped.rows, count)
    )


def _intervals(rows: Rows, count: int) -> tuple[Interval, ...]:
    return tuple((int(lo), int(hi)) for lo, hi in repeat_rows(rows, count).tolist())


def _half_open(spans: Rows) -> Rows:
    """(lo, -hi) as [lo, hi + 1)."""
    return spans * (1, -1) + (0, 1)


def _hulls(seen: Rows) -> Rows:
    if not seen.size:
        return np.zeros((len(seen), 2), np.int64)
    seen = np.ascontiguousarray(seen)
    first, last = seen.argmax(axis=1), seen.shape[1] - seen[:, ::-1].argmax(axis=1)
    return np.where(seen.any(axis=1, keepdims=True), np.stack([first, last], axis=1), 0)


def _all_units(axes: Sequence[int], sizes: Sequence[int]) -> _TableFrontier:
    """Each unit at its own place."""
    alive: dict[int | None, Mask] = {}
    seen: dict[int, AxisRows] = {}
    spans: dict[int, AxisRows] = {}
    for k, (axis, size) in enumerate(zip(axes, sizes, strict=True)):
        alive[k] = np.ones(size, np.bool_)
        seen[axis] = AxisRows(k, np.eye(size, dtype=np.bool_, order="F"))
        spans[axis] = AxisRows(k, np.outer(np.arange(size), (1, -1)))
    alive[None] = np.ones(1, np.bool_)
    return _TableFrontier(
        RowProduct(np.logical_or, seen, alive), RowProduct(np.minimum, spans, alive)
    )


def _walk_back(
    graph: Graph,
    tensor: str,
    frontier: _TableFrontier,
    source: str,
    axes: Axes,
    budget: _CellBudget,
) -> _TableFrontier:
    frontiers = {tensor: frontier}
    for node in reversed(graph.nodes):
        for output in node.outputs:
            later = frontiers.pop(output, None) if output != source else None
            if later is None:
                continue
            for position, rule in dependencies(node, graph, output).items():
                name = node.inputs[position]
                if name in axes:
                    budget.spend(_cells(graph, name, later, rule, axes[name]))
                    branch = _pull(graph, output, later, name, rule, axes[name])
                    known = frontiers.get(name)
                    frontiers[name] = branch if known is None else known.join(branch)
    return frontiers[source]


def _pull(
    graph: Graph,
    output: str,
    later: _TableFrontier,
    name: str,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> _TableFrontier:
    """The frontier at an input of a node, from the one at its output."""
    alive, spanned = dict(later.seen.alive), dict(later.spans.alive)
    seen: dict[int, AxisRows] = {}
    spans: dict[int, AxisRows] = {}
    for axis in axes:
        dependency, size = rule[axis], size_of(graph, name, axis)
        if dependency.axis is None or dependency.axis not in later.seen.axes:
            seen[axis] = AxisRows(None, np.ones((1, size), np.bool_))
            spans[axis] = AxisRows(None, np.array([[0, 1 - size]]))
            continue
        connections = relation(dependency.map, size_of(graph, output, dependency.axis), size)
        later_seen, later_spans = (
            later.seen.axes[dependency.axis],
            later.spans.axes[dependency.axis],
        )
        seen[axis] = _pull_masks(later_seen, connections, alive)
        spans[axis] = _pull_bounds(later_spans, dependency, size, spanned)
    return _TableFrontier(
        RowProduct(np.logical_or, seen, alive), RowProduct(np.minimum, spans, spanned)
    )


def _pull_masks(later: AxisRows, connections: Relation, alive: dict[int | None, Mask]) -> AxisRows:
    """`Relation.pull`, with the indices' own axis outermost in memory: for many units that is ten
    times as fast.
    """
    k = later.follows
    read = np.zeros((connections.inputs, len(later.rows)), np.bool_)
    for units, indices in connections.passes:
        read[indices] |= later.rows.T[units]
    alive[k] = alive[k] & read.any(axis=0)
    return AxisRows(k, read.T)


def _pull_bounds(
    later: AxisRows, dependency: AxisDependency, size: int, spanned: dict[int | None, Mask]
) -> AxisRows:
    k = later.follows
    lo, hi = dependency.map.span(later.rows[:, 0], -later.rows[:, 1], size)
    spanned[k] = spanned[k] & np.less_equal(lo, hi)
    bounds = np.stack([lo, -hi], axis=1)
    return AxisRows(k, np.where(spanned[k][:, None], bounds, 0))


def _cells(
    graph: Graph,
    name: str,
    later: _TableFrontier,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> int:
    """How many cells the sets of an input have along the axes that follow one of the output."""
    count = 0
    for axis in axes:
        followed = rule[axis].axis
        if followed is not None and followed in later.seen.axes:
            count += len(later.seen.axes[followed].rows) * size_of(graph, name, axis)
    return count
