"""The walks of single units: which indices of each tensor reach them, axis by axis.

Indices are kept exactly, as sets, and as intervals that ignore where tensors end. Per tensor the
sets of the axes stand for their product. A branch in which one axis is left with nothing (all of it
padding, or the other part of a concatenation) drops out for that unit on every axis.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.axis_maps import Indices, UnknownSizeError
from anatomy.fields.relations import relation
from anatomy.fields.rule_table import dependencies
from anatomy.fields.rules.base import AxisDependency
from anatomy.graphs.graph import Graph

Mask = NDArray[np.bool_]
Axes = Mapping[str, frozenset[int]]
"""The axes of each tensor that follow an axis of the source."""


@dataclass
class Frontier:
    """U units at one tensor: per axis the indices that they depend on.

    `seen` [U, n] marks the indices, `lo` and `hi` [U] are the ends of the unbounded interval.
    `alive` are the units that still see anything, `spanned` those whose interval is not empty.
    """

    alive: Mask
    spanned: Mask
    seen: dict[int, Mask] = field(default_factory=dict)
    lo: dict[int, Indices] = field(default_factory=dict)
    hi: dict[int, Indices] = field(default_factory=dict)

    def join(self, other: "Frontier") -> None:
        """Add what another branch reads."""
        both = self.spanned & other.spanned
        for axis, seen in other.seen.items():
            self.seen[axis] |= seen
            lo = np.minimum(self.lo[axis], other.lo[axis])
            hi = np.maximum(self.hi[axis], other.hi[axis])
            lo_of_one = np.where(self.spanned, self.lo[axis], other.lo[axis])
            hi_of_one = np.where(self.spanned, self.hi[axis], other.hi[axis])
            self.lo[axis] = np.where(both, lo, lo_of_one)
            self.hi[axis] = np.where(both, hi, hi_of_one)
        self.alive |= other.alive
        self.spanned |= other.spanned


def unit_frontier(
    graph: Graph, tensor: str, axes: Sequence[int], positions: Sequence[Sequence[int]]
) -> Frontier:
    """Units at these positions [U, len(axes)] of a tensor."""
    points = np.asarray(positions, np.int64)
    every_unit = np.ones(len(points), np.bool_)
    frontier = Frontier(every_unit, every_unit.copy())
    for column, axis in enumerate(axes):
        indices = points[:, column]
        frontier.seen[axis] = np.arange(size_of(graph, tensor, axis)) == indices[:, None]
        frontier.lo[axis], frontier.hi[axis] = indices, indices
    return frontier


def walk_back(graph: Graph, tensor: str, frontier: Frontier, source: str, axes: Axes) -> Frontier:
    """The frontier at the source of units at a tensor."""
    return walk_back_to(graph, tensor, frontier, {source}, axes)[source]


def walk_back_to(
    graph: Graph, tensor: str, frontier: Frontier, targets: Collection[str], axes: Axes
) -> dict[str, Frontier]:
    """The frontiers of units at a tensor, at those of the targets that they depend on."""
    frontiers = {tensor: frontier}
    for node in reversed(graph.nodes):
        for output in node.outputs:
            later = frontiers.get(output) if output in targets else frontiers.pop(output, None)
            if later is None:
                continue
            for position, rule in dependencies(node, graph, output).items():
                name = node.inputs[position]
                if name in axes:
                    branch = _pull(graph, output, later, name, rule, axes[name])
                    _add_branch(frontiers, name, branch)
    return frontiers


def walk_forward(
    graph: Graph, tensor: str, frontier: Frontier, target: str, axes: Axes
) -> Frontier | None:
    """The frontier at a later tensor of the units that read these; None if none depends on them."""
    frontiers = {tensor: frontier}
    for node in graph.nodes:
        for output in node.outputs:
            if output not in axes:
                continue
            for position, rule in dependencies(node, graph, output).items():
                name = node.inputs[position]
                if name in frontiers:
                    branch = _push(graph, name, frontiers[name], output, rule, axes[output])
                    _add_branch(frontiers, output, branch)
    return frontiers.get(target)


def _add_branch(frontiers: dict[str, Frontier], name: str, branch: Frontier) -> None:
    if name in frontiers:
        frontiers[name].join(branch)
    else:
        frontiers[name] = branch


def size_of(graph: Graph, tensor: str, axis: int) -> int:
    """A size as a number. Raises UnknownSizeError where the model leaves it open."""
    shape = graph.shape(tensor)
    size = None if shape is None else shape[axis]
    if not isinstance(size, int):
        raise UnknownSizeError(f"the size of axis {axis} of '{tensor}' is left open by the model")
    return size


def _pull(
    graph: Graph,
    output: str,
    later: Frontier,
    name: str,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> Frontier:
    """The frontier at an input of a node, from the one at its output."""
    earlier = Frontier(later.alive.copy(), later.spanned.copy())
    for axis in axes:
        dependency, size = rule[axis], size_of(graph, name, axis)
        if dependency.axis is None or dependency.axis not in later.seen:
            earlier.seen[axis] = np.ones((len(later.alive), size), np.bool_)
            earlier.lo[axis] = np.zeros(len(later.alive), np.int64)
            earlier.hi[axis] = earlier.lo[axis] + size - 1
            continue
        connections = relation(dependency.map, size_of(graph, output, dependency.axis), size)
        earlier.seen[axis] = connections.pull(later.seen[dependency.axis])
        lo, hi = later.lo[dependency.axis], later.hi[dependency.axis]
        earlier.lo[axis], earlier.hi[axis] = dependency.map.span(lo, hi, size)
        earlier.alive &= earlier.seen[axis].any(axis=1)
        earlier.spanned &= earlier.lo[axis] <= earlier.hi[axis]
    return _clear_dead_units(earlier)


def _push(
    graph: Graph,
    name: str,
    earlier: Frontier,
    output: str,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> Frontier:
    """The frontier at an output of a node, from the one at its input."""
    later = Frontier(earlier.alive.copy(), earlier.spanned.copy())
    for axis in axes:
        size = size_of(graph, output, axis)
        later.seen[axis] = np.ones((len(earlier.alive), size), np.bool_)
        for input_axis, dependency in enumerate(rule):
            if dependency.axis == axis and input_axis in earlier.seen:
                connections = relation(dependency.map, size, size_of(graph, name, input_axis))
                later.seen[axis] &= connections.push(earlier.seen[input_axis])
        later.alive &= later.seen[axis].any(axis=1)
        later.lo[axis] = later.hi[axis] = np.zeros(len(earlier.alive), np.int64)
    return _clear_dead_units(later)


def _clear_dead_units(frontier: Frontier) -> Frontier:
    for axis, seen in frontier.seen.items():
        frontier.seen[axis] = seen & frontier.alive[:, None]
        frontier.lo[axis] = np.where(frontier.spanned, frontier.lo[axis], 0)
        frontier.hi[axis] = np.where(frontier.spanned, frontier.hi[axis], 0)
    return frontier
