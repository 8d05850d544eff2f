"""The learned kernels of a layer, in one order whatever the operator's own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.graphs.dequantise import TRANSPARENT, real_values
from anatomy.graphs.graph import Graph, Node
from anatomy.layers.layers import Layer
from service.errors import Impossible, UnknownChannel
from service.repository.model import Model


@dataclass(frozen=True, eq=False)
class Kernels:
    """Weights [out, in, *kernel], where `in` is that of one group, and the bias [out] if there is
    one.

    `channels` are the numbers of the outputs. What the layer reads, put through these, is what its
    operator answers.
    """

    channels: Sequence[int]
    weights: np.ndarray
    bias: np.ndarray | None


def kernels(layer: Layer, model: Model, channels: Sequence[int] = ()) -> Kernels:
    """The kernels of these outputs, or of all: what the operator multiplies by, of a Gemm times its
    alpha and beta.

    Quantised ones are told as the numbers that their codes stand for; a QLinearConv multiplies by
    the codes themselves.

    Raises Impossible for a layer that has none, UnknownChannel.
    """
    graph = model.file.graph
    node = graph.producer(layer.anchor_tensor)
    if layer.kernel is None or node is None:
        raise Impossible(f"layer '{layer.name}' is a {layer.operator} and has no kernels")
    operand = _operand(node, layer.kernel, graph)
    weights = _scaled(_outputs_first(layer, operand, node, graph), node, "alpha")
    bias = (
        None
        if layer.bias is None
        else _bias(_operand(node, layer.bias, graph), len(weights), layer, node, graph)
    )
    last = len(weights) - 1
    for channel in channels:
        if not 0 <= channel <= last:
            raise UnknownChannel(
                f"layer '{layer.name}' has no kernel {channel}; its outputs are 0 to {last}"
            )
    if not channels:
        return Kernels(range(len(weights)), weights, bias)
    picked = list(dict.fromkeys(channels))
    return Kernels(picked, weights[picked], None if bias is None else bias[picked])


def _operand(node: Node, constant: str, graph: Graph) -> str:
    """What a node reads of this constant: the constant itself, or what a dequantisation or a cast
    makes of it.
    """
    for operand in node.inputs:
        name = operand
        while (
            (producer := graph.producer(name)) is not None
            and name != constant
            and producer.operator in TRANSPARENT
        ):
            name = producer.inputs[0]
        if name == constant:
            return operand
    return constant


def _outputs_first(layer: Layer, kernel: str, node: Node, graph: Graph) -> np.ndarray:
    weights = real_values(graph, kernel)
    if layer.kind == "transposed_convolution":
        grouped = weights.reshape(layer.groups or 1, -1, *weights.shape[1:])
        return np.swapaxes(grouped, 1, 2).reshape(-1, grouped.shape[1], *weights.shape[2:])
    if weights.ndim == 1:
        return weights[None]
    return (
        np.swapaxes(weights, -1, -2)
        if layer.kind == "dense" and _inputs_first(node, kernel)
        else weights
    )


def _inputs_first(node: Node, kernel: str) -> bool:
    """Whether the weights of a Gemm or MatMul are stored [in, out]."""
    if _on_the_right(node, kernel):
        return not node.attributes.get("transB", 0)
    return bool(node.attributes.get("transA", 0))


def _on_the_right(node: Node, kernel: str) -> bool:
    """Whether a Gemm or MatMul multiplies by the weights from the right: outputs are columns then,
    else rows.
    """
    return node.inputs[1] == kernel


def _bias(operand: str, outputs: int, layer: Layer, node: Node, graph: Graph) -> np.ndarray | None:
    """One number for each output; None for a matrix, which adds another to each item of a batch."""
    stored = real_values(graph, operand)
    if layer.kind != "dense":
        return stored
    shape = (
        (1, outputs)
        if _on_the_right(node, _operand(node, str(layer.kernel), graph))
        else (outputs, 1)
    )
    try:
        return _scaled(np.broadcast_to(stored, shape).reshape(-1), node, "beta")
    except ValueError:
        return None


def _scaled(values: np.ndarray, node: Node, attribute: str) -> np.ndarray:
    factor = node.attributes.get(attribute, 1.0) if node.operator == "Gemm" else 1.0
    return values if factor == 1 else (values * factor).astype(values.dtype)
