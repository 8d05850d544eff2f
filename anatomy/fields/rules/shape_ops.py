"""Rules of the operators that move, repeat, drop or interpolate values."""

from collections.abc import Mapping, Sequence

from anatomy.fields.axis_maps import Blocks, ConcatInput, IndexTable, Taps
from anatomy.fields.resize import resize_maps
from anatomy.fields.rules.base import (
    WHOLE_AXIS,
    WIDENED,
    AxisDependencies,
    AxisDependency,
    RuleNotApplicable,
    attribute_or_input,
    identity,
    shape_of,
    size_at,
)
from anatomy.fields.rules.reductions import without
from anatomy.graphs.graph import Dim, Graph, Node


def squeeze(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Axes of size 1 go away."""
    shape = shape_of(graph, node.inputs[0])
    axes = attribute_or_input(node, graph, 1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(shape) if size == 1]
    return {0: without(len(shape), {axis % len(shape) for axis in axes}, keep=False)}


def unsqueeze(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Axes of size 1 come in."""
    rank = len(shape_of(graph, node.inputs[0]))
    axes = attribute_or_input(node, graph, 1, "axes")
    new = {axis % (rank + len(axes)) for axis in axes}
    kept = [axis for axis in range(rank + len(axes)) if axis not in new]
    return {0: tuple(AxisDependency(axis) for axis in kept)}


def transpose(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Axes change places."""
    rank = len(shape_of(graph, node.inputs[0]))
    order = node.attributes.get("perm", tuple(reversed(range(rank))))
    return {0: tuple(AxisDependency(order.index(axis)) for axis in range(rank))}


def concat(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Along the axis of concatenation each input is one part of the output."""
    shapes = [shape_of(graph, name) for name in node.inputs]
    axis = node.attributes["axis"] % len(shapes[0])
    last = len(shapes) - 1
    result: dict[int, AxisDependencies] = {}
    start: int | None = 0
    for position, shape in enumerate(shapes):
        part = WIDENED
        if start is not None:
            part = AxisDependency(axis, ConcatInput(start, position == 0, position == last))
        result[position] = _with_axis(len(shape), axis, part)
        size = shape[axis]
        start = start + size if start is not None and isinstance(size, int) else None
    return result


def _with_axis(rank: int, axis: int, dependency: AxisDependency) -> AxisDependencies:
    """Every axis follows its own, but for one."""
    result = list(identity(rank))
    result[axis] = dependency
    return tuple(result)


def split(node: Node, graph: Graph, output: str) -> Mapping[int, AxisDependencies]:
    """Along the axis of the split an output begins where the outputs before it end."""
    shape = shape_of(graph, node.inputs[0])
    axis = node.attributes.get("axis", 0) % len(shape)
    start = 0
    for name in node.outputs[: node.outputs.index(output)]:
        size = shape_of(graph, name)[axis]
        if not isinstance(size, int):
            raise RuleNotApplicable("parts of an unknown size")
        start += size
    return {0: _with_axis(len(shape), axis, AxisDependency(axis, Taps(offset=start)))}


def slice_(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Output i reads `start + i*step`."""
    shape = shape_of(graph, node.inputs[0])
    starts = attribute_or_input(node, graph, 1, "starts")
    axes = attribute_or_input(node, graph, 3, "axes", range(len(starts)))
    steps = attribute_or_input(node, graph, 4, "steps", [1] * len(starts))
    result = list(identity(len(shape)))
    for start, axis, step in zip(starts, axes, steps, strict=True):
        first = _first_index(shape[axis], start, step)
        sliced = WIDENED if first is None else AxisDependency(axis % len(shape), Taps(step, first))
        result[axis % len(shape)] = sliced
    return {0: tuple(result)}


def _first_index(size: Dim, start: int, step: int) -> int | None:
    """Where a slice begins; None where that depends on an unknown size."""
    if not isinstance(size, int):
        return start if start >= 0 and step > 0 else None
    low, high = (0, size) if step > 0 else (-1, size - 1)
    from_the_front = start + size if start < 0 else start
    return min(max(from_the_front, low, 0), high)


def pad(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Constant padding and cropping shift; reflection, edge and wrap read inside again."""
    shape = shape_of(graph, node.inputs[0])
    pads = attribute_or_input(node, graph, 1, "pads", node.attributes.get("paddings"))
    listed = attribute_or_input(node, graph, 3, "axes", range(len(shape)))
    axes = [axis % len(shape) for axis in listed]
    mode = node.attributes.get("mode", "constant")
    result = list(identity(len(shape)))
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        result[axis] = _padded(axis, shape[axis], before, after, mode)
    return {0: tuple(result)}


def _padded(axis: int, size: Dim, before: int, after: int, mode: str) -> AxisDependency:
    if mode == "constant" or (before <= 0 and after <= 0):
        return AxisDependency(axis, Taps(1, -before))
    if not isinstance(size, int):
        return WIDENED
    rows = tuple((_mirrored(index, size, mode),) for index in range(-before, size + after))
    return AxisDependency(axis, IndexTable(rows))


def _mirrored(index: int, size: int, mode: str) -> int:
    if mode == "edge" or size == 1:
        return min(max(index, 0), size - 1)
    if mode == "wrap":
        return index % size
    period = 2 * (size - 1)
    return min(index % period, period - index % period)


def resize(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Interpolation reads by table, whole factors by blocks; see `anatomy.fields.resize`."""
    before, after = shape_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    scales = _scales(node, graph, len(before))
    maps = resize_maps(node.operator, node.attributes, before, after, scales)
    return {
        0: tuple(
            WIDENED if axis_map is None else AxisDependency(axis, axis_map)
            for axis, axis_map in enumerate(maps)
        )
    }


def _scales(node: Node, graph: Graph, rank: int) -> Sequence[float] | None:
    """One scale an axis, from whichever input or attribute the opset keeps them in."""
    for name in node.inputs[-2:]:
        values = graph.constants.get(name)
        if values is not None and values.dtype.kind == "f" and values.size == rank:
            scales: list[float] = values.tolist()
            return scales
    return node.attributes.get("scales")


def depth_to_space(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Blocks of units come from one position and all its channels."""
    blocks = Blocks(node.attributes["blocksize"])
    return {0: (AxisDependency(0), WHOLE_AXIS, *(AxisDependency(i, blocks) for i in (2, 3)))}


def space_to_depth(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Each unit reads a block of positions."""
    size = node.attributes["blocksize"]
    block = Taps(size, 0, 1, size)
    return {0: (AxisDependency(0), WHOLE_AXIS, *(AxisDependency(i, block) for i in (2, 3)))}


def gather(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Constant indices are a table; one index takes its axis away.

    Raises RuleNotApplicable for computed ones.
    """
    shape = shape_of(graph, node.inputs[0])
    axis = node.attributes.get("axis", 0) % len(shape)
    indices = graph.constants.get(node.inputs[1])
    size = shape[axis]
    if indices is None or indices.ndim > 1 or not isinstance(size, int):
        raise RuleNotApplicable("computed indices")
    if indices.ndim == 0:
        return {0: without(len(shape), {axis}, keep=False)}
    table = IndexTable(tuple((int(i) % size,) for i in indices))
    return {0: _with_axis(len(shape), axis, AxisDependency(axis, table))}


def tile(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Repeats are a table over the input."""
    shape = shape_of(graph, node.inputs[0])
    result = list(identity(len(shape)))
    repeats = attribute_or_input(node, graph, 1, "repeats")
    for axis, times in zip(range(len(shape)), repeats, strict=True):
        if times != 1:
            indices = [(index,) for index in range(size_at(shape, axis))]
            result[axis] = AxisDependency(axis, IndexTable(tuple(indices * times)))
    return {0: tuple(result)}
