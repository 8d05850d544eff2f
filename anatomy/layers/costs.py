"""What a layer costs: learned numbers, and multiply-adds for one input."""

from collections.abc import Mapping
from math import prod

from anatomy.fields.forward import TensorWindows
from anatomy.graphs.graph import Graph, Node
from anatomy.layers.kinds import KINDS, Kind


def is_weight(name: str, reach: Mapping[str, TensorWindows]) -> bool:
    """Whether a tensor is there and does not depend on the input."""
    return bool(name) and name not in reach


def parameters(node: Node, graph: Graph, reach: Mapping[str, TensorWindows]) -> int:
    """Learned numbers of a node: weights and biases; running statistics and clipping bounds are not
    learned.
    """
    match node.operator:
        case "BatchNormalization":
            names = node.inputs[1:3]
        case "QLinearConv":
            names = (node.inputs[3], *node.inputs[8:])
        case operator if (operator in KINDS and KINDS[operator] != "pool") or operator == "PRelu":
            names = tuple(name for name in node.inputs if is_weight(name, reach))
        case "Sub" | "Div":
            names = tuple(name for name in node.inputs if is_weight(name, reach))
        case _:
            names = ()
    return sum(
        prod(size for size in graph.shape(name) or () if isinstance(size, int))
        for name in names
        if _rank(name, graph)
    )


def macs(anchor: Node, kind: Kind, graph: Graph, kernel: str | None) -> int | None:
    """Multiply-accumulates for one item of a batch; None where a size is open."""
    if kernel is None:
        return 0
    weight, output = graph.shape(kernel) or (), graph.shape(anchor.outputs[0]) or ()
    positions = (
        (graph.shape(anchor.inputs[0]) or ()) if kind == "transposed_convolution" else output
    )
    match kind:
        case "convolution":
            counted = (*output[1:], *weight[1:])
        case "transposed_convolution":
            counted = (*positions[1:], *weight[1:])
        case _:
            # Weights without columns are a vector.
            contracted = weight[1 if anchor.attributes.get("transB", 0) else -min(2, len(weight))]
            counted = (*output[1:], contracted)
    sizes = [size for size in counted if isinstance(size, int)]
    return prod(sizes) if len(sizes) == len(counted) and counted else None


def _rank(name: str, graph: Graph) -> int:
    return len(graph.shape(name) or ())
