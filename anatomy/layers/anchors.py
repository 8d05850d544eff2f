"""Anchor operators: which operators anchor a layer, of which kind, and with which window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from anatomy.fields.forward import TensorWindows
from anatomy.fields.rules.base import RuleNotApplicable, attribute_or_input
from anatomy.fields.rules.sliding_window import (
    pads_of,
    transposed_pads,
    weight_position,
    window_geometry,
)
from anatomy.graphs.graph import Graph, Node

Kind = Literal["convolution", "transposed_convolution", "pool", "dense", "merge"]

POOLS = (
    "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean ReduceMax"
).split()
KINDS: Mapping[str, Kind] = {
    "Conv": "convolution",
    "ConvInteger": "convolution",
    "QLinearConv": "convolution",
    "ConvTranspose": "transposed_convolution",
    "Gemm": "dense",
    "MatMul": "dense",
    **dict.fromkeys(POOLS, "pool"),
    **dict.fromkeys(("Add", "Mul", "Concat"), "merge"),
}
BIASES: Mapping[str, int] = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "QLinearConv": 8}
"""Which input is the bias."""

WINDOWED = frozenset(("convolution", "transposed_convolution", "pool"))
"""The kinds whose units each read a window of positions."""


@dataclass(frozen=True)
class WindowGeometry:
    """The window of an anchor, one entry a spatial axis; None where it has none, or it is unknown.

    Pads are all those before the axes, then all those after them, as ONNX writes them.
    """

    kernel_shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    pads: tuple[int, ...] | None = None
    dilations: tuple[int, ...] | None = None


def is_weight(name: str, reached: Mapping[str, TensorWindows]) -> bool:
    """Whether a tensor is there and does not depend on the input."""
    return bool(name) and name not in reached


def kind_of(node: Node, graph: Graph, reached: Mapping[str, TensorWindows]) -> Kind | None:
    """The kind of the layer that a node anchors; None if it anchors none."""
    if node.domain != "" or node.outputs[0] not in reached:
        return None
    kind = KINDS.get(node.operator)
    match kind:
        case "merge":
            is_anchor = sum(name in reached for name in node.inputs) >= 2
        case "dense":
            is_anchor = any(is_weight(name, reached) for name in node.inputs[:2])
        case "pool" if node.operator.startswith("Reduce"):
            is_anchor = _pools_all_positions(node, graph)
        case _:
            is_anchor = True
    return kind if is_anchor else None


def _pools_all_positions(node: Node, graph: Graph) -> bool:
    rank = len(graph.shape(node.inputs[0]) or ())
    try:
        axes = attribute_or_input(node, graph, 1, "axes")
    except RuleNotApplicable:
        return False
    return rank > 2 and axes is not None and len(axes) == rank - 2


def weights_of(anchor: Node, kind: Kind, reached: Mapping[str, TensorWindows]) -> str | None:
    """The tensor of an anchor's weights, if it has any."""
    if kind in ("pool", "merge"):
        return None
    operands = anchor.inputs[:2] if kind == "dense" else (anchor.inputs[weight_position(anchor)],)
    return next((name for name in operands if is_weight(name, reached)), None)


def bias_of(anchor: Node, reached: Mapping[str, TensorWindows]) -> str | None:
    """The tensor of an anchor's bias, if it has one."""
    position = BIASES.get(anchor.operator, len(anchor.inputs))
    name = anchor.inputs[position] if position < len(anchor.inputs) else ""
    return name if is_weight(name, reached) else None


def geometry_of(anchor: Node, kind: Kind, graph: Graph) -> WindowGeometry:
    """The window of an anchor."""
    if kind not in WINDOWED or anchor.operator.startswith(("Global", "Reduce")):
        return WindowGeometry()
    try:
        kernel, strides, dilations = window_geometry(anchor, graph)
    except RuleNotApplicable:
        return WindowGeometry()
    if kind == "transposed_convolution":
        pads = _flat_transposed_pads(anchor, graph)
    else:
        pads = _flat_pads(anchor, graph)
    return WindowGeometry(kernel, strides, pads, dilations)


def _flat_pads(anchor: Node, graph: Graph) -> tuple[int, ...] | None:
    pairs = pads_of(anchor, graph)
    known = [pair for pair in pairs if pair is not None]
    if len(known) != len(pairs):
        return None
    return (*(before for before, _ in known), *(after for _, after in known))


def _flat_transposed_pads(anchor: Node, graph: Graph) -> tuple[int, ...] | None:
    befores = transposed_pads(anchor, graph)
    known = tuple(before for before in befores if before is not None)
    if len(known) != len(befores):
        return None
    explicit = anchor.attributes.get("pads", known + known)
    return (*known, *explicit[len(known) :])
