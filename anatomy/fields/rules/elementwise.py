"""Rules of the operators that compute each value for itself, and of those that read no value."""

from collections.abc import Mapping

from anatomy.fields.axis_maps import Taps
from anatomy.fields.rules.base import AxisDependencies, AxisDependency, identity, shape_of
from anatomy.graphs.graph import Graph, Node, Shape


def unary(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Every axis follows its own."""
    return {0: identity(len(shape_of(graph, node.inputs[0])))}


def broadcast(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Each computed input follows the output as numpy broadcasts it; an axis of size 1 is read by
    all.
    """
    output = shape_of(graph, node.outputs[0])
    result: dict[int, AxisDependencies] = {}
    for position, name in enumerate(node.inputs):
        if name and name not in graph.constants:
            result[position] = _broadcast(shape_of(graph, name), output)
    return result


def _broadcast(shape: Shape, output: Shape) -> AxisDependencies:
    result: list[AxisDependency] = []
    for axis, size in enumerate(shape, start=len(output) - len(shape)):
        is_repeated = size == 1 and output[axis] != 1
        result.append(AxisDependency(axis, Taps(0 if is_repeated else 1)))
    return tuple(result)


def no_dependency(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Shapes and sizes depend on no value."""
    return {}
