"""Rules of the operators that write the same values, in the same order, under other axes: Reshape
and Flatten.

Neighbouring axes whose sizes multiply to the same form a group. Axes that are merged into one are
followed as the digits of its index; an axis that is split in several is not followed.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from anatomy.fields.axis_maps import Blocks, Digit, Taps
from anatomy.fields.rules.base import (
    WHOLE_AXIS,
    WIDENED,
    AxisDependencies,
    AxisDependency,
    shape_of,
)
from anatomy.graphs.graph import Dim, Graph, Node, Shape

Group = tuple[list[int], list[int]]
"""Axes before, and axes after."""


def reshape(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Each group of axes for itself."""
    before, after = shape_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    result = dict.fromkeys(range(len(before)), WHOLE_AXIS)
    for sources, targets in _groups(before, after):
        result.update(_regrouped(before, sources, after, targets))
    return {0: tuple(result[axis] for axis in range(len(before)))}


def flatten(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Two groups: all axes before `axis`, and all from it on."""
    before, after = shape_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    axis = node.attributes.get("axis", 1)
    axis += len(before) if axis < 0 else 0
    first, second = list(range(axis)), list(range(axis, len(before)))
    result = {**_regrouped(before, first, after, [0]), **_regrouped(before, second, after, [1])}
    return {0: tuple(result[i] for i in range(len(before)))}


def _groups(before: Shape, after: Shape) -> Iterator[Group]:
    """Equal sizes at either end are followed one by one; what lies between is grouped."""
    shortest = min(len(before), len(after))
    head = _equal_sizes(before, after, shortest)
    tail = _equal_sizes(before[::-1], after[::-1], shortest - head)
    for axis in range(head):
        yield [axis], [axis]
    for i in range(1, tail + 1):
        yield [len(before) - i], [len(after) - i]
    sources = list(range(head, len(before) - tail))
    targets = list(range(head, len(after) - tail))
    counts = _known([before[axis] for axis in sources])
    target_counts = _known([after[axis] for axis in targets])
    if counts and target_counts and prod(counts) == prod(target_counts) != 0:
        yield from _by_product(sources, counts, targets, target_counts)
    elif sources and targets:
        yield sources, targets


def _equal_sizes(before: Shape, after: Shape, most: int) -> int:
    """How many of the first sizes are known to be equal, up to so many."""
    for axis in range(most):
        if before[axis] is None or before[axis] != after[axis]:
            return axis
    return most


def _by_product(
    sources: list[int], counts: list[int], targets: list[int], target_counts: list[int]
) -> Iterator[Group]:
    """The smallest groups of neighbours with equal products."""
    i = j = 0
    while i < len(sources) and j < len(targets):
        first, first_target = i, j
        left, right = counts[i], target_counts[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * counts[i], i + 1
            else:
                right, j = right * target_counts[j], j + 1
        yield sources[first:i], targets[first_target:j]


def _known(sizes: Sequence[Dim]) -> list[int] | None:
    known = [size for size in sizes if isinstance(size, int)]
    return known if len(known) == len(sizes) else None


def _regrouped(
    before: Shape, sources: list[int], after: Shape, targets: list[int]
) -> dict[int, AxisDependency]:
    """How the axes of a group are followed: by the one axis after it that is larger than 1."""
    target, *others = _larger_than_one(after, targets) or targets[:1]
    if len(sources) == 1 and not others:
        return {sources[0]: AxisDependency(target)}
    merged = _larger_than_one(before, sources)
    dependencies: dict[int, AxisDependency] = {}
    for axis in sources:
        if axis not in merged:
            dependencies[axis] = AxisDependency(target, Taps(0))
        elif others:
            dependencies[axis] = WIDENED
        else:
            dependencies[axis] = AxisDependency(target, _digit(before, merged, axis))
    return dependencies


def _larger_than_one(shape: Shape, axes: list[int]) -> list[int]:
    return [axis for axis in axes if shape[axis] != 1]


def _digit(before: Shape, merged: list[int], axis: int) -> Taps | Blocks | Digit:
    """One of several axes that are merged into one, as a digit of its index."""
    if len(merged) == 1:
        return Taps()
    sizes = _known([before[other] for other in merged])
    if sizes is None:
        return Digit(None, None)
    position = merged.index(axis)
    repeat = prod(sizes[position + 1 :])
    if position == 0 and repeat > 1:
        return Blocks(repeat)
    return Digit(repeat, sizes[position])
