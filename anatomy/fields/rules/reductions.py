"""Rules of the operators that mix whole axes: reductions, norms, softmax and products."""

from collections.abc import Mapping, Sequence

from anatomy.fields.rules.base import (
    WHOLE_AXIS,
    AxisDependencies,
    AxisDependency,
    RuleNotApplicable,
    attribute_or_input,
    identity,
    shape_of,
)
from anatomy.graphs.graph import Graph, Node


def whole_axes(node: Node, graph: Graph, axes: Sequence[int]) -> Mapping[int, AxisDependencies]:
    """Every unit reads these axes whole, and follows the others."""
    rank = len(shape_of(graph, node.inputs[0]))
    whole = {axis % rank for axis in axes}
    return {0: tuple(WHOLE_AXIS if axis in whole else AxisDependency(axis) for axis in range(rank))}


def global_pool(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Every unit reads all spatial axes of [N, C, …] whole."""
    return whole_axes(node, graph, range(2, len(shape_of(graph, node.inputs[0]))))


def softmax(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The axis that sums to one is read whole; before opset 13 all from it on (ONNX operator
    specification).
    """
    rank = len(shape_of(graph, node.inputs[0]))
    axis = node.attributes.get("axis", 1 if graph.opset < 13 else -1) % rank
    return whole_axes(node, graph, range(axis, rank) if graph.opset < 13 else [axis])


def layer_norm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The axes from `axis` on are read whole."""
    rank = len(shape_of(graph, node.inputs[0]))
    return whole_axes(node, graph, range(node.attributes.get("axis", -1) % rank, rank))


def reduce(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The reduced axes are read whole, and kept with size 1 or dropped."""
    rank = len(shape_of(graph, node.inputs[0]))
    axes = attribute_or_input(node, graph, 1, "axes")
    if axes is None or len(axes) == 0:
        if node.attributes.get("noop_with_empty_axes", 0):
            return {0: identity(rank)}
        axes = range(rank)
    return {
        0: without(
            rank, {axis % rank for axis in axes}, keep=bool(node.attributes.get("keepdims", 1))
        )
    }


def without(rank: int, dropped: set[int], keep: bool) -> AxisDependencies:
    """An input of this rank some of whose axes are read whole; the rest move up unless these are
    kept.
    """
    result: list[AxisDependency] = []
    for axis in range(rank):
        shift = 0 if keep else sum(gone < axis for gone in dropped)
        result.append(WHOLE_AXIS if axis in dropped else AxisDependency(axis - shift))
    return tuple(result)


def gemm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Rows follow the left operand, columns the right one; what is summed over is read whole."""
    left = (
        (WHOLE_AXIS, AxisDependency(0))
        if node.attributes.get("transA", 0)
        else (AxisDependency(0), WHOLE_AXIS)
    )
    right = (
        (AxisDependency(1), WHOLE_AXIS)
        if node.attributes.get("transB", 0)
        else (WHOLE_AXIS, AxisDependency(1))
    )
    return {0: left, 1: right}


def matmul(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The same for the last two axes; those before them broadcast as in numpy. Raises RuleNotApplicable for a
    vector.
    """
    left, right = (shape_of(graph, name) for name in node.inputs[:2])
    rank = max(len(left), len(right))
    if min(len(left), len(right)) < 2:
        raise RuleNotApplicable("a product with a vector")
    lead_left = [AxisDependency(axis + rank - len(left)) for axis in range(len(left) - 2)]
    lead_right = [AxisDependency(axis + rank - len(right)) for axis in range(len(right) - 2)]
    return {
        0: (*lead_left, AxisDependency(rank - 2), WHOLE_AXIS),
        1: (*lead_right, WHOLE_AXIS, AxisDependency(rank - 1)),
    }
