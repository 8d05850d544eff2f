"""Rules of the operators that mix whole axes: reductions, norms, softmax and products."""

from collections.abc import Mapping, Sequence

from anatomy.fields.rules.base import (
    ALL,
    AxisDependency,
    Reads,
    RuleNotApplicable,
    constant,
    identity,
    shape_of,
)
from anatomy.graphs.graph import Graph, Node


def whole_along(node: Node, graph: Graph, axes: Sequence[int]) -> Mapping[int, Reads]:
    """Every unit reads these axes whole, and follows the others."""
    rank = len(shape_of(graph, node.inputs[0]))
    whole = {axis % rank for axis in axes}
    return {0: tuple(ALL if axis in whole else AxisDependency(axis) for axis in range(rank))}


def global_pool(node: Node, graph: Graph) -> Mapping[int, Reads]:
    """Every unit reads all spatial axes of [N, C, …] whole."""
    return whole_along(node, graph, range(2, len(shape_of(graph, node.inputs[0]))))


def softmax(node: Node, graph: Graph) -> Mapping[int, Reads]:
    """The axis that sums to one is read whole; before opset 13 all from it on (ONNX operator
    specification).
    """
    rank = len(shape_of(graph, node.inputs[0]))
    axis = node.attributes.get("axis", 1 if graph.opset < 13 else -1) % rank
    return whole_along(node, graph, range(axis, rank) if graph.opset < 13 else [axis])


def layer_norm(node: Node, graph: Graph) -> Mapping[int, Reads]:
    """The axes from `axis` on are read whole."""
    rank = len(shape_of(graph, node.inputs[0]))
    return whole_along(node, graph, range(node.attributes.get("axis", -1) % rank, rank))


def reduce(node: Node, graph: Graph) -> Mapping[int, Reads]:
    """The reduced axes are read whole, and kept with size 1 or dropped."""
    rank = len(shape_of(graph, node.inputs[0]))
    axes = constant(node, graph, 1, "axes")
    if axes is None or len(axes) == 0:
        if node.attributes.get("noop_with_empty_axes", 0):
            return {0: identity(rank)}
        axes = range(rank)
    return {
        0: without(
            rank, {axis % rank for axis in axes}, keep=bool(node.attributes.get("keepdims", 1))
        )
    }


def without(rank: int, dropped: set[int], keep: bool) -> Reads:
    """An input of this rank some of whose axes are read whole; the rest move up unless these are
    kept.
    """
    result: list[AxisDependency] = []
    for axis in range(rank):
        shift = 0 if keep else sum(gone < axis for gone in dropped)
        result.append(ALL if axis in dropped else AxisDependency(axis - shift))
    return tuple(result)


def gemm(node: Node, graph: Graph) -> Mapping[int, Reads]:
    """Rows follow the left operand, columns the right one; what is summed over is read whole."""
    left = (
        (ALL, AxisDependency(0)) if node.attributes.get("transA", 0) else (AxisDependency(0), ALL)
    )
    right = (
        (AxisDependency(1), ALL) if node.attributes.get("transB", 0) else (ALL, AxisDependency(1))
    )
    return {0: left, 1: right}


def matmul(node: Node, graph: Graph) -> Mapping[int, Reads]:
    """The same for the last two axes; those before them broadcast as in numpy. Raises Unruled for a
    vector.
    """
    left, right = (shape_of(graph, name) for name in node.inputs[:2])
    rank = max(len(left), len(right))
    if min(len(left), len(right)) < 2:
        raise RuleNotApplicable("a product with a vector")
    lead_left = [AxisDependency(axis + rank - len(left)) for axis in range(len(left) - 2)]
    lead_right = [AxisDependency(axis + rank - len(right)) for axis in range(len(right) - 2)]
    return {
        0: (*lead_left, AxisDependency(rank - 2), ALL),
        1: (*lead_right, ALL, AxisDependency(rank - 1)),
    }
