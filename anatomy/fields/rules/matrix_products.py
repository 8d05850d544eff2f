"""Rules of the products of matrices."""

from collections.abc import Mapping

from anatomy.fields.rules.base import (
    WHOLE_AXIS,
    AxisDependencies,
    AxisDependency,
    RuleNotApplicable,
    shape_of,
)
from anatomy.graphs.graph import Graph, Node


def gemm(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """Rows follow the left operand, columns the right one; what is summed over is read whole."""
    left, right = (AxisDependency(0), WHOLE_AXIS), (WHOLE_AXIS, AxisDependency(1))
    return {
        0: left[::-1] if node.attributes.get("transA", 0) else left,
        1: right[::-1] if node.attributes.get("transB", 0) else right,
    }


def matmul(node: Node, graph: Graph) -> Mapping[int, AxisDependencies]:
    """The same for the last two axes; those before them broadcast as in numpy.

    Raises RuleNotApplicable for a vector.
    """
    left, right = (shape_of(graph, name) for name in node.inputs[:2])
    rank = max(len(left), len(right))
    if min(len(left), len(right)) < 2:
        raise RuleNotApplicable("a product with a vector")
    batch_left = [AxisDependency(axis + rank - len(left)) for axis in range(len(left) - 2)]
    batch_right = [AxisDependency(axis + rank - len(right)) for axis in range(len(right) - 2)]
    return {
        0: (*batch_left, AxisDependency(rank - 2), WHOLE_AXIS),
        1: (*batch_right, WHOLE_AXIS, AxisDependency(rank - 1)),
    }
