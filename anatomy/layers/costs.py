"""What a layer costs: learned numbers, and multiply-adds for one input."""

from collections.abc import Mapping, Sequence
from math import prod

from anatomy.fields.forward import TensorWindows
from anatomy.graphs.graph import Dim, Graph, Node
from anatomy.layers.anchors import KINDS, Kind, is_weight


def parameters(node: Node, graph: Graph, reached: Mapping[str, TensorWindows]) -> int:
    """Learned numbers of a node: weights and biases; running statistics and clipping bounds are not
    learned.
    """
    count = 0
    for name in _learned(node, reached):
        shape = graph.shape(name)
        if shape:
            count += prod(size for size in shape if isinstance(size, int))
    return count


def _learned(node: Node, reached: Mapping[str, TensorWindows]) -> Sequence[str]:
    if node.operator == "BatchNormalization":
        return node.inputs[1:3]
    if node.operator == "QLinearConv":
        return (node.inputs[3], *node.inputs[8:])
    has_weights = KINDS.get(node.operator, "pool") != "pool"
    if has_weights or node.operator in ("PRelu", "Sub", "Div"):
        return [name for name in node.inputs if is_weight(name, reached)]
    return ()


def macs(anchor: Node, kind: Kind, graph: Graph, kernel: str | None) -> int | None:
    """Multiply-accumulates for one item of a batch; None where a size is open."""
    if kernel is None:
        return 0
    factors = _factors(anchor, kind, graph, graph.shape(kernel) or ())
    sizes = [size for size in factors if isinstance(size, int)]
    return prod(sizes) if sizes and len(sizes) == len(factors) else None


def _factors(anchor: Node, kind: Kind, graph: Graph, weight: Sequence[Dim]) -> Sequence[Dim]:
    """The sizes whose product is the number of multiply-accumulates."""
    output = graph.shape(anchor.outputs[0]) or ()
    match kind:
        case "convolution":
            return (*output[1:], *weight[1:])
        case "transposed_convolution":
            positions = graph.shape(anchor.inputs[0]) or ()
            return (*positions[1:], *weight[1:])
        case _:
            # Weights without columns are a vector.
            rows = 1 if anchor.attributes.get("transB", 0) else -min(2, len(weight))
            return (*output[1:], weight[rows])
