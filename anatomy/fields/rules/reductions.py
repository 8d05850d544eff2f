"""Rules of the operators that read whole axes: reductions, global pools, norms, softmax."""

from collections.abc import Mapping, Sequence

from anatomy.fields.rules.base import (
    WHOLE_AXIS,
    AxisDependencies,
    AxisDependency,
    attribute_or_input,
    identity,
    shape_of,
)
from anatomy.graphs.graph import Graph, Node


def whole_axes(node: Node, graph: Graph, axes: Sequence[int]) -> Mapping[int, AxisDependencies]:
    """Every unit reads these axes whole, and follows the others."""
    rank = len(shape_of(graph, node.inputs[0]))
    return {0: without(rank, {axis % rank for axis in axes}, keep=True)}


def global_pool(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Every unit reads all spatial axes of [N, C, …] whole."""
    return whole_axes(node, graph, range(2, len(shape_of(graph, node.inputs[0]))))


def softmax(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The axis that sums to one is read whole; before opset 13 all axes from it on (ONNX operator
    specification).
    """
    rank = len(shape_of(graph, node.inputs[0]))
    axis = node.attributes.get("axis", 1 if graph.opset < 13 else -1) % rank
    return whole_axes(node, graph, range(axis, rank) if graph.opset < 13 else [axis])


def layer_norm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The axes from `axis` on are read whole."""
    rank = len(shape_of(graph, node.inputs[0]))
    return whole_axes(node, graph, range(node.attributes.get("axis", -1) % rank, rank))


def group_norm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """All axes but that of the batch are read whole."""
    return whole_axes(node, graph, range(1, len(shape_of(graph, node.inputs[0]))))


def local_response_norm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The channels are read whole."""
    return whole_axes(node, graph, [1])


def lp_norm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """One axis is read whole."""
    return whole_axes(node, graph, [node.attributes.get("axis", -1)])


def reduce(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The reduced axes are read whole, and kept with size 1 or dropped."""
    rank = len(shape_of(graph, node.inputs[0]))
    axes = attribute_or_input(node, graph, 1, "axes")
    if axes is None or len(axes) == 0:
        if node.attributes.get("noop_with_empty_axes", 0):
            return {0: identity(rank)}
        axes = range(rank)
    reduced = {axis % rank for axis in axes}
    return {0: without(rank, reduced, keep=bool(node.attributes.get("keepdims", 1)))}


def without(rank: int, dropped: set[int], keep: bool) -> AxisDependencies:
    """An input of this rank some of whose axes are read whole; the rest move up unless these are
    kept.
    """
    result: list[AxisDependency] = []
    output_axis = 0
    for axis in range(rank):
        is_dropped = axis in dropped
        result.append(WHOLE_AXIS if is_dropped else AxisDependency(output_axis))
        output_axis += int(keep or not is_dropped)
    return tuple(result)
