"""The layers of a network: anchor operators with the element-wise operators that follow them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from anatomy.graph import Graph, Node, Shape
from anatomy.reach import Reach, forward, spatial_axes
from anatomy.reads import BINARY, UNARY
from anatomy.rules.base import Unruled, constant
from anatomy.rules.sliding import pads_of, transposed_pads, weight_position, window_geometry

Kind = Literal["convolution", "transposed_convolution", "pool", "dense", "merge"]

KINDS: Mapping[str, Kind] = {
    "Conv": "convolution",
    "ConvInteger": "convolution",
    "QLinearConv": "convolution",
    "ConvTranspose": "transposed_convolution",
    "Gemm": "dense",
    "MatMul": "dense",
    **dict.fromkeys(
        "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool ReduceMean ReduceMax".split(), "pool"
    ),
    **dict.fromkeys(("Add", "Mul", "Concat"), "merge"),
}
FOLLOWERS = frozenset((*UNARY, *BINARY))
LONGEST_ACTIVATION = 12
"""Nodes of the longest activation function that exporters spell out; a GELU by tanh has nine."""


@dataclass(frozen=True)
class Layer:
    """One layer. Shapes leave out the batch; a size that the model leaves open is None."""

    index: int
    name: str
    kind: Kind
    operator: str
    tensor: str
    anchor_tensor: str
    inputs: tuple[str, ...]
    kernel_shape: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    pads: tuple[int, ...] | None
    dilations: tuple[int, ...] | None
    groups: int | None
    attributes: Mapping[str, Any]
    output_shape: tuple[int | None, ...]
    spatial_axes: tuple[int, ...]
    channel_axis: int | None
    parameters: int
    macs: int | None
    kernel: str | None


def layers(graph: Graph) -> tuple[Layer, ...]:
    """Every layer that the first input reaches, in topological order."""
    reach = forward(graph, graph.inputs[0], spatial_axes(graph))
    owners: dict[str, str] = {}
    taken: Counter[str] = Counter()
    found: list[Layer] = []
    swallowed: set[str] = set()
    for node in graph.nodes:
        kind = _kind(node, graph, reach)
        if kind is None or node.outputs[0] in swallowed:
            continue
        members = [node, *_followers(node, graph, reach)]
        taken[node.name] += 1
        name = node.name if taken[node.name] == 1 else f"{node.name}.{taken[node.name]}"
        found.append(_layer(len(found), name, kind, members, graph, reach, owners))
        owners.update(dict.fromkeys((output for member in members for output in member.outputs), name))
        swallowed.update(output for member in members for output in member.outputs)
    return tuple(found)


def _kind(node: Node, graph: Graph, reach: Mapping[str, Reach]) -> Kind | None:
    kind = KINDS.get(node.operator) if node.domain == "" and node.outputs[0] in reach else None
    computed = [name for name in node.inputs if name in reach]
    if kind == "merge" and len(computed) < 2:
        return None
    if kind == "dense" and not any(_is_weight(name, reach) for name in node.inputs[:2]):
        return None
    if node.operator in ("ReduceMean", "ReduceMax") and not _pools_whole_map(node, graph):
        return None
    return kind


def _is_weight(name: str, reach: Mapping[str, Reach]) -> bool:
    return bool(name) and name not in reach


def _pools_whole_map(node: Node, graph: Graph) -> bool:
    rank = len(graph.shape(node.inputs[0]) or ())
    try:
        axes = constant(node, graph, 1, "axes")
    except Unruled:
        return False
    return rank > 2 and axes is not None and len(axes) == rank - 2


def _followers(anchor: Node, graph: Graph, reach: Mapping[str, Reach]) -> Iterator[Node]:
    tensor = anchor.outputs[0]
    while following := _next(tensor, graph, reach):
        yield from following
        tensor = following[-1].outputs[0]


def _next(tensor: str, graph: Graph, reach: Mapping[str, Reach]) -> list[Node]:
    """The fewest element-wise nodes that alone read this tensor and join in one: a Relu, or what a Swish is made of."""
    inside, joined = {tensor}, dict[str, Node]()
    while (node := _element_wise(inside, joined, graph, reach)) is not None and len(joined) < LONGEST_ACTIVATION:
        joined[node.outputs[0]] = node
        inside.update(node.outputs)
        if not any(_is_open(name, joined, graph) for name in inside.difference(node.outputs)):
            return list(joined.values())
    return []


def _element_wise(
    inside: set[str], joined: Mapping[str, Node], graph: Graph, reach: Mapping[str, Reach]
) -> Node | None:
    """The first element-wise node, not joined yet, that computes on tensors inside alone."""
    readers = (node for name in inside for node in graph.consumers(name))
    candidates = {
        node.outputs[0]: node
        for node in readers
        if node.operator in FOLLOWERS
        and node.domain == ""
        and node.outputs[0] not in joined
        and all(name in inside for name in node.inputs if name in reach)
    }
    return min(candidates.values(), key=graph.nodes.index, default=None)


def _is_open(name: str, joined: Mapping[str, Node], graph: Graph) -> bool:
    """Whether somebody outside reads the tensor."""
    return name in graph.outputs or any(node.outputs[0] not in joined for node in graph.consumers(name))


def _layer(
    index: int,
    name: str,
    kind: Kind,
    members: list[Node],
    graph: Graph,
    reach: Mapping[str, Reach],
    owners: Mapping[str, str],
) -> Layer:
    anchor, tensor = members[0], members[-1].outputs[0]
    shape = graph.shape(tensor) or ()
    channel = _channel_axis(tensor, shape, reach)
    kernel = _weights(anchor, kind, reach)
    kernel_shape, strides, pads, dilations = _geometry(anchor, graph) if kind in WINDOWED else (None,) * 4
    return Layer(
        index=index,
        name=name,
        kind=kind,
        operator=anchor.operator,
        tensor=tensor,
        anchor_tensor=anchor.outputs[0],
        inputs=tuple(dict.fromkeys(_feeding(anchor, graph, reach, owners))),
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
        groups=anchor.attributes.get("group", 1) if "convolution" in kind else None,
        attributes=anchor.attributes,
        output_shape=tuple(size if isinstance(size, int) else None for size in shape[1:]),
        spatial_axes=tuple(axis for axis in range(1, len(shape)) if axis != channel),
        channel_axis=channel,
        parameters=sum(_parameters(member, graph, reach) for member in members),
        macs=_macs(anchor, kind, graph, kernel),
        kernel=_stored(kernel, graph),
    )


WINDOWED = frozenset(("convolution", "transposed_convolution", "pool"))


def _weights(anchor: Node, kind: Kind, reach: Mapping[str, Reach]) -> str | None:
    if kind in ("pool", "merge"):
        return None
    operands = anchor.inputs[:2] if kind == "dense" else (anchor.inputs[weight_position(anchor)],)
    return next((name for name in operands if _is_weight(name, reach)), None)


def _channel_axis(tensor: str, shape: Shape, reach: Mapping[str, Reach]) -> int | None:
    """Axis 1, unless it follows a spatial axis of the input and another does not, as in the layout [N, H, W, C]."""
    followed = {track.axis for track in reach[tensor].tracks.values()}
    free = [axis for axis in range(1, len(shape)) if axis not in followed]
    return next(iter(free), 1 if len(shape) > 1 else None)


def _geometry(
    anchor: Node, graph: Graph
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None]:
    if anchor.operator.startswith(("Global", "Reduce")):
        return None, None, None, None
    try:
        kernel, strides, dilations = window_geometry(anchor, graph)
    except Unruled:
        return None, None, None, None
    if anchor.operator == "ConvTranspose":
        before = transposed_pads(anchor, graph)
        after = anchor.attributes.get("pads", before + before)[len(kernel) :]
        pads = None if None in before else tuple(pad for pad in (*before, *after) if pad is not None)
    else:
        pairs = pads_of(anchor, graph)
        pads = None if None in pairs else tuple(pair[side] for side in (0, 1) for pair in pairs if pair is not None)
    return kernel, strides, pads, dilations


def _feeding(anchor: Node, graph: Graph, reach: Mapping[str, Reach], owners: Mapping[str, str]) -> Iterator[str]:
    """The layers that an anchor reads, in the order of its inputs, through nodes that belong to no layer."""
    waiting, seen = list(reversed(anchor.inputs)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in owners:
            yield owners[name]
        elif name in reach and name not in seen and (producer := graph.producer(name)) is not None:
            seen.add(name)
            waiting.extend(reversed(producer.inputs))


def _parameters(node: Node, graph: Graph, reach: Mapping[str, Reach]) -> int:
    """Learned numbers of a node: weights and biases; running statistics and clipping bounds are not learned."""
    match node.operator:
        case "BatchNormalization":
            names = node.inputs[1:3]
        case "QLinearConv":
            names = (node.inputs[3], *node.inputs[8:])
        case operator if (operator in KINDS and KINDS[operator] != "pool") or operator == "PRelu":
            names = tuple(name for name in node.inputs if _is_weight(name, reach))
        case "Sub" | "Div":
            names = tuple(name for name in node.inputs if _is_weight(name, reach))
        case _:
            names = ()
    return sum(
        prod(size for size in graph.shape(name) or () if isinstance(size, int)) for name in names if _rank(name, graph)
    )


def _rank(name: str, graph: Graph) -> int:
    return len(graph.shape(name) or ())


def _macs(anchor: Node, kind: Kind, graph: Graph, kernel: str | None) -> int | None:
    """Multiply-accumulates for one item of a batch; None where a size is open."""
    if kernel is None:
        return 0
    weight, output = graph.shape(kernel) or (), graph.shape(anchor.outputs[0]) or ()
    positions = (graph.shape(anchor.inputs[0]) or ()) if kind == "transposed_convolution" else output
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


def _stored(kernel: str | None, graph: Graph) -> str | None:
    """The constant that holds the weights, behind quantisation if need be."""
    while kernel is not None and kernel not in graph.constants:
        producer = graph.producer(kernel)
        kernel = (
            producer.inputs[0]
            if producer is not None and producer.operator in ("DequantizeLinear", "Cast", "Identity")
            else None
        )
    return kernel
