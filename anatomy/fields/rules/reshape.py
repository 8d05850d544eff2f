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
    shortest = min(len(before), len(after))
    head = next(
        (axis for axis in range(shortest) if not _same(before[axis], after[axis])), shortest
    )
    for axis in range(head):
        yield [axis], [axis]
    rest = shortest - head
    tail = next((i for i in range(rest) if not _same(before[-1 - i], after[-1 - i])), rest)
    for i in range(tail):
        yield [len(before) - 1 - i], [len(after) - 1 - i]
    yield from _by_product(
        before, list(range(head, len(before) - tail)), after, list(range(head, len(after) - tail))
    )


def _same(before: Dim, after: Dim) -> bool:
    return before is not None and before == after


def _by_product(
    before: Shape, sources: list[int], after: Shape, targets: list[int]
) -> Iterator[Group]:
    """The smallest groups of neighbours with equal products; one group of all where sizes are
    unknown.
    """
    counts, wanted = (
        _known([before[axis] for axis in sources]),
        _known([after[axis] for axis in targets]),
    )
    if counts is None or wanted is None or prod(counts) != prod(wanted) or prod(counts) == 0:
        if sources and targets:
            yield sources, targets
        return
    i = j = 0
    while i < len(sources) and j < len(targets):
        starts, left, right = (i, j), counts[i], wanted[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * counts[i], i + 1
            else:
                right, j = right * wanted[j], j + 1
        yield sources[starts[0] : i], targets[starts[1] : j]


def _known(sizes: Sequence[Dim]) -> list[int] | None:
    known = [size for size in sizes if isinstance(size, int)]
    return known if len(known) == len(sizes) else None


def _regrouped(
    before: Shape, sources: list[int], after: Shape, targets: list[int]
) -> dict[int, AxisDependency]:
    into = [axis for axis in targets if after[axis] != 1] or targets[:1]
    (target, *others) = into
    if len(sources) == 1 and not others:
        return {sources[0]: AxisDependency(target)}
    found: dict[int, AxisDependency] = {}
    significant = [axis for axis in sources if before[axis] != 1]
    for axis in sources:
        if axis not in significant:
            found[axis] = AxisDependency(target, Taps(0))
        elif others:
            found[axis] = WIDENED
        else:
            found[axis] = AxisDependency(target, _digit(before, significant, axis))
    return found


def _digit(before: Shape, merged: list[int], axis: int) -> Taps | Blocks | Digit:
    sizes = _known([before[other] for other in merged])
    if len(merged) == 1:
        return Taps()
    if sizes is None:
        return Digit(None, None)
    place = merged.index(axis)
    repeat = prod(sizes[place + 1 :])
    return Blocks(repeat) if place == 0 and repeat > 1 else Digit(repeat, sizes[place])
