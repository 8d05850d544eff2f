"""Rules of the operators that leave values as they are, or nearly so, and move, repeat or combine
them in place.
"""

from collections.abc import Mapping

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


def broadcast(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Each computed input follows the output as numpy broadcasts it; an axis of size 1 is read by
    all.
    """
    rank = len(shape_of(graph, node.outputs[0]))
    result: dict[int, AxisDependencies] = {}
    for position, name in enumerate(node.inputs):
        if name and name not in graph.constants:
            shape, output = shape_of(graph, name), shape_of(graph, node.outputs[0])
            result[position] = tuple(
                AxisDependency(axis, Taps(0 if size == 1 and output[axis] != 1 else 1))
                for axis, size in enumerate(shape, start=rank - len(shape))
            )
    return result


def unary(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Every axis follows its own."""
    return {0: identity(len(shape_of(graph, node.inputs[0])))}


def squeeze(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Axes of size 1 go away."""
    shape = shape_of(graph, node.inputs[0])
    axes = attribute_or_input(node, graph, 1, "axes")
    gone = (
        {axis for axis, size in enumerate(shape) if size == 1}
        if axes is None
        else {axis % len(shape) for axis in axes}
    )
    return {0: without(len(shape), gone, keep=False)}


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
    result: dict[int, AxisDependencies] = {}
    start: int | None = 0
    for position, shape in enumerate(shapes):
        part = (
            WIDENED
            if start is None
            else AxisDependency(
                axis, ConcatInput(start, position == 0, position == len(shapes) - 1)
            )
        )
        result[position] = tuple(
            part if i == axis else AxisDependency(i) for i in range(len(shape))
        )
        size = shape[axis]
        start = start + size if start is not None and isinstance(size, int) else None
    return result


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
    return {
        0: tuple(
            AxisDependency(i, Taps(offset=start if i == axis else 0)) for i in range(len(shape))
        )
    }


def slice_(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Output i reads `start + i*step`."""
    shape = shape_of(graph, node.inputs[0])
    starts = attribute_or_input(node, graph, 1, "starts")
    axes = attribute_or_input(node, graph, 3, "axes", range(len(starts)))
    steps = attribute_or_input(node, graph, 4, "steps", [1] * len(starts))
    result = list(identity(len(shape)))
    for start, axis, step in zip(starts, axes, steps, strict=True):
        size = shape[axis]
        if isinstance(size, int):
            low, high = (0, size) if step > 0 else (-1, size - 1)
            begin = min(max(start + size if start < 0 else start, low, 0), high)
            result[axis % len(shape)] = AxisDependency(axis % len(shape), Taps(step, begin))
        else:
            known = start >= 0 and step > 0
            result[axis % len(shape)] = (
                AxisDependency(axis % len(shape), Taps(step, start)) if known else WIDENED
            )
    return {0: tuple(result)}


def pad(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Constant padding and cropping shift; reflection, edge and wrap read inside again."""
    shape = shape_of(graph, node.inputs[0])
    pads = attribute_or_input(node, graph, 1, "pads", node.attributes.get("paddings"))
    axes = [
        axis % len(shape) for axis in attribute_or_input(node, graph, 3, "axes", range(len(shape)))
    ]
    before = dict(zip(axes, pads[: len(axes)], strict=True))
    after = dict(zip(axes, pads[len(axes) :], strict=True))
    mode = node.attributes.get("mode", "constant")
    return {
        0: tuple(
            _padded(axis, size, before.get(axis, 0), after.get(axis, 0), mode)
            for axis, size in enumerate(shape)
        )
    }


def _padded(axis: int, size: Dim, before: int, after: int, mode: str) -> AxisDependency:
    if mode == "constant" or (before <= 0 and after <= 0):
        return AxisDependency(axis, Taps(1, -before))
    if not isinstance(size, int):
        return WIDENED
    return AxisDependency(
        axis, IndexTable(tuple((_mirrored(i, size, mode),) for i in range(-before, size + after)))
    )


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
    scales = next(
        (
            graph.constants[name].tolist()
            for name in node.inputs[-2:]
            if name in graph.constants
            and graph.constants[name].dtype.kind == "f"
            and graph.constants[name].size == len(before)
        ),
        node.attributes.get("scales"),
    )
    maps = resize_maps(node.operator, node.attributes, before, after, scales)
    return {
        0: tuple(WIDENED if m is None else AxisDependency(axis, m) for axis, m in enumerate(maps))
    }


def depth_to_space(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Blocks of units come from one position and all its channels."""
    size = node.attributes["blocksize"]
    return {
        0: (
            AxisDependency(0),
            WHOLE_AXIS,
            AxisDependency(2, Blocks(size)),
            AxisDependency(3, Blocks(size)),
        )
    }


def space_to_depth(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Each unit reads a block of positions."""
    size = node.attributes["blocksize"]
    return {
        0: (
            AxisDependency(0),
            WHOLE_AXIS,
            *(AxisDependency(axis, Taps(size, 0, 1, size)) for axis in (2, 3)),
        )
    }


def gather(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Constant indices are a table; one index takes its axis away. Raises RuleNotApplicable for computed
    ones.
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
    return {
        0: tuple(
            AxisDependency(i, table) if i == axis else AxisDependency(i) for i in range(len(shape))
        )
    }


def tile(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Repeats are a table over the input."""
    shape = shape_of(graph, node.inputs[0])
    repeats = attribute_or_input(node, graph, 1, "repeats")
    return {
        0: tuple(
            AxisDependency(axis)
            if times == 1
            else AxisDependency(
                axis,
                IndexTable(tuple((i,) for _ in range(times) for i in range(size_at(shape, axis)))),
            )
            for axis, times in enumerate(repeats)
        )
    }


def no_dependency(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Shapes and sizes depend on no value."""
    return {}
