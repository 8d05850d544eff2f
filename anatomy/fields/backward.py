"""Which indices of each tensor reach given units, axis by axis: exactly as sets, and as intervals
that ignore where tensors end.

Per tensor the sets of the axes stand for their product. A branch in which one axis is left with
nothing (all of it padding, or the other part of a concatenation) drops out for that unit on every
axis.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.rule_table import dependencies
from anatomy.fields.rules.base import AxisDependency
from anatomy.fields.windows import Indices, UnknownSizeError, relation
from anatomy.graphs.graph import Graph

Mask = NDArray[np.bool_]
Axes = Mapping[str, frozenset[int]]
"""The axes of each tensor that follow an axis of the source."""


@dataclass
class Frontier:
    """U units at one tensor: per axis the indices they read, `seen` [U, n], and the unbounded
    interval `lo … hi` [U].
    """

    alive: Mask
    spanned: Mask
    seen: dict[int, Mask] = field(default_factory=dict)
    lo: dict[int, Indices] = field(default_factory=dict)
    hi: dict[int, Indices] = field(default_factory=dict)

    def join(self, other: "Frontier") -> None:
        """Add what another branch reads."""
        for axis, seen in other.seen.items():
            self.seen[axis] |= seen
            both = self.spanned & other.spanned
            lo, hi = (
                np.minimum(self.lo[axis], other.lo[axis]),
                np.maximum(self.hi[axis], other.hi[axis]),
            )
            self.lo[axis] = np.where(
                both, lo, np.where(self.spanned, self.lo[axis], other.lo[axis])
            )
            self.hi[axis] = np.where(
                both, hi, np.where(self.spanned, self.hi[axis], other.hi[axis])
            )
        self.alive |= other.alive
        self.spanned |= other.spanned


def start(
    graph: Graph, tensor: str, axes: Sequence[int], positions: Sequence[Sequence[int]]
) -> Frontier:
    """Units at these positions [U, len(axes)] of a tensor."""
    points = np.asarray(positions, np.int64)
    everyone = np.ones(len(points), np.bool_)
    front = Frontier(everyone, everyone.copy())
    for column, axis in enumerate(axes):
        indices = points[:, column]
        front.seen[axis] = np.arange(size_of(graph, tensor, axis)) == indices[:, None]
        front.lo[axis], front.hi[axis] = indices, indices
    return front


def back(graph: Graph, tensor: str, front: Frontier, source: str, axes: Axes) -> Frontier:
    """The front at the source of units at a tensor."""
    return back_to(graph, tensor, front, {source}, axes)[source]


def back_to(
    graph: Graph, tensor: str, front: Frontier, kept: Collection[str], axes: Axes
) -> dict[str, Frontier]:
    """The fronts of units at a tensor, at those of the kept tensors that they depend on."""
    fronts = {tensor: front}
    for node in reversed(graph.nodes):
        for output in node.outputs:
            ahead = fronts.get(output) if output in kept else fronts.pop(output, None)
            for position, rule in dependencies(node, graph, output).items() if ahead else ():
                name = node.inputs[position]
                if name in axes and ahead:
                    part = _pulled(graph, output, ahead, name, rule, axes[name])
                    fronts[name].join(part) if name in fronts else fronts.setdefault(name, part)
    return fronts


def ahead(graph: Graph, tensor: str, front: Frontier, target: str, axes: Axes) -> Frontier | None:
    """The front at a later tensor of units that read those given; None if it does not depend on
    them.
    """
    fronts = {tensor: front}
    for node in graph.nodes:
        for output in filter(axes.__contains__, node.outputs):
            for position, rule in dependencies(node, graph, output).items():
                name = node.inputs[position]
                if name in fronts:
                    part = _pushed(graph, name, fronts[name], output, rule, axes[output])
                    fronts[output].join(part) if output in fronts else fronts.setdefault(
                        output, part
                    )
    return fronts.get(target)


def size_of(graph: Graph, tensor: str, axis: int) -> int:
    """A size as a number. Raises UnknownSizeError where the model leaves it open."""
    shape = graph.shape(tensor)
    size = None if shape is None else shape[axis]
    if not isinstance(size, int):
        raise UnknownSizeError(f"the size of axis {axis} of '{tensor}' is left open by the model")
    return size


def _pulled(
    graph: Graph,
    output: str,
    front: Frontier,
    name: str,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> Frontier:
    part = Frontier(front.alive.copy(), front.spanned.copy())
    for axis in axes:
        read, size = rule[axis], size_of(graph, name, axis)
        if read.axis is None or read.axis not in front.seen:
            part.seen[axis] = np.ones((len(front.alive), size), np.bool_)
            part.lo[axis] = np.zeros(len(front.alive), np.int64)
            part.hi[axis] = part.lo[axis] + size - 1
            continue
        connections = relation(read.map, size_of(graph, output, read.axis), size)
        part.seen[axis] = connections.pull(front.seen[read.axis])
        part.lo[axis], part.hi[axis] = read.map.span(front.lo[read.axis], front.hi[read.axis], size)
        part.alive &= part.seen[axis].any(axis=1)
        part.spanned &= part.lo[axis] <= part.hi[axis]
    return _settled(part)


def _pushed(
    graph: Graph,
    name: str,
    front: Frontier,
    output: str,
    rule: Sequence[AxisDependency],
    axes: frozenset[int],
) -> Frontier:
    part = Frontier(front.alive.copy(), front.spanned.copy())
    for axis in axes:
        size = size_of(graph, output, axis)
        part.seen[axis] = np.ones((len(front.alive), size), np.bool_)
        for followed in (i for i, read in enumerate(rule) if read.axis == axis and i in front.seen):
            connections = relation(rule[followed].map, size, size_of(graph, name, followed))
            part.seen[axis] &= connections.push(front.seen[followed])
        part.alive &= part.seen[axis].any(axis=1)
        part.lo[axis] = part.hi[axis] = np.zeros(len(front.alive), np.int64)
    return _settled(part)


def _settled(part: Frontier) -> Frontier:
    for axis, seen in part.seen.items():
        part.seen[axis] = seen & part.alive[:, None]
        part.lo[axis] = np.where(part.spanned, part.lo[axis], 0)
        part.hi[axis] = np.where(part.spanned, part.hi[axis], 0)
    return part
