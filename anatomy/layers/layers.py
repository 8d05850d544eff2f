"""The layers of a network: anchor operators with the element-wise operators that follow them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anatomy.fields.forward import TensorWindows, propagate_windows, spatial_axes
from anatomy.fields.rule_table import BINARY, UNARY
from anatomy.graphs.dequantise import TRANSPARENT
from anatomy.graphs.graph import Graph, Node
from anatomy.layers.anchors import Kind, bias_of, geometry_of, kind_of, weights_of
from anatomy.layers.costs import macs, parameters

FOLLOWERS = frozenset((*UNARY, *BINARY))
LONGEST_ACTIVATION = 12
"""Nodes of the longest activation function that exporters spell out; a GELU by tanh has nine."""


@dataclass(frozen=True)
class LayerTensor:
    """A tensor of a layer. The shape leaves out the batch, the numbers of its axes do not."""

    name: str
    shape: tuple[int | None, ...]
    spatial_axes: tuple[int, ...]
    channel_axis: int | None


@dataclass(frozen=True)
class Layer:
    """One layer. Shapes leave out the batch; a size that the model leaves open is None.

    `operands` are the tensors that the anchor reads, in its order, without those that do not depend
    on the input.
    """

    index: int
    name: str
    kind: Kind
    operator: str
    tensor: str
    anchor_tensor: str
    inputs: tuple[str, ...]
    operands: tuple[LayerTensor, ...]
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
    bias: str | None


def layers(graph: Graph) -> tuple[Layer, ...]:
    """Every layer that the first input reaches, in topological order."""
    reached = propagate_windows(graph, graph.inputs[0], spatial_axes(graph))
    name_counts: Counter[str] = Counter()
    result: list[Layer] = []
    owners: dict[str, str] = {}
    for node in graph.nodes:
        kind = kind_of(node, graph, reached)
        if kind is None or node.outputs[0] in owners:
            continue
        members = _real_valued([node, *_followers(node, graph, reached)])
        name_counts[node.name] += 1
        count = name_counts[node.name]
        name = node.name if count == 1 else f"{node.name}.{count}"
        result.append(_layer(len(result), name, kind, members, graph, reached, owners))
        owners.update((output, name) for member in members for output in member.outputs)
    return tuple(result)


def _followers(anchor: Node, graph: Graph, reached: Mapping[str, TensorWindows]) -> Iterator[Node]:
    tensor = anchor.outputs[0]
    while following := _next(tensor, graph, reached):
        yield from following
        tensor = following[-1].outputs[0]


def _real_valued(members: list[Node]) -> list[Node]:
    """Without the codes at the end, of which each reader makes numbers by itself."""
    return _real_valued(members[:-1]) if members[-1].operator == "QuantizeLinear" else members


def _next(tensor: str, graph: Graph, reached: Mapping[str, TensorWindows]) -> list[Node]:
    """The fewest element-wise nodes that alone read this tensor and join in one: a Relu, or what a
    Swish is made of.
    """
    inside = {tensor}
    joined: dict[str, Node] = {}
    while len(joined) < LONGEST_ACTIVATION:
        node = _element_wise(inside, joined, graph, reached)
        if node is None:
            break
        joined[node.outputs[0]] = node
        inside.update(node.outputs)
        inner = inside.difference(node.outputs)
        if not any(_is_read_outside(name, joined, graph) for name in inner):
            return list(joined.values())
    return []


def _element_wise(
    inside: set[str],
    joined: Mapping[str, Node],
    graph: Graph,
    reached: Mapping[str, TensorWindows],
) -> Node | None:
    """The first element-wise node, not joined yet, that computes on tensors inside alone."""
    candidates: dict[str, Node] = {}
    for name in inside:
        for node in graph.consumers(name):
            is_new = node.outputs[0] not in joined
            if (
                is_new
                and _is_follower(node)
                and inside.issuperset(filter(reached.__contains__, node.inputs))
            ):
                candidates[node.outputs[0]] = node
    return min(candidates.values(), key=graph.nodes.index, default=None)


def _is_follower(node: Node) -> bool:
    return node.operator in FOLLOWERS and node.domain == ""


def _is_read_outside(name: str, joined: Mapping[str, Node], graph: Graph) -> bool:
    if name in graph.outputs:
        return True
    return any(node.outputs[0] not in joined for node in graph.consumers(name))


def _layer(
    index: int,
    name: str,
    kind: Kind,
    members: Sequence[Node],
    graph: Graph,
    reached: Mapping[str, TensorWindows],
    owners: Mapping[str, str],
) -> Layer:
    anchor = members[0]
    output = _tensor(members[-1].outputs[0], graph, reached)
    weights = weights_of(anchor, kind, reached)
    geometry = geometry_of(anchor, kind, graph)
    return Layer(
        index=index,
        name=name,
        kind=kind,
        operator=anchor.operator,
        tensor=output.name,
        anchor_tensor=anchor.outputs[0],
        inputs=tuple(dict.fromkeys(_feeding(anchor, graph, reached, owners))),
        operands=tuple(_tensor(name, graph, reached) for name in anchor.inputs if name in reached),
        kernel_shape=geometry.kernel_shape,
        strides=geometry.strides,
        pads=geometry.pads,
        dilations=geometry.dilations,
        groups=anchor.attributes.get("group", 1) if "convolution" in kind else None,
        attributes=anchor.attributes,
        output_shape=output.shape,
        spatial_axes=output.spatial_axes,
        channel_axis=output.channel_axis,
        parameters=sum(parameters(member, graph, reached) for member in members),
        macs=macs(anchor, kind, graph, weights),
        kernel=_stored(weights, graph),
        bias=_stored(bias_of(anchor, reached), graph),
    )


def _tensor(name: str, graph: Graph, reached: Mapping[str, TensorWindows]) -> LayerTensor:
    """Its channels are axis 1, unless that follows a spatial axis of the input and another does not
    (NHWC).
    """
    shape = graph.shape(name) or ()
    followed = {windows.axis for windows in reached[name].axes.values()}
    axes = range(1, len(shape))
    default = 1 if len(shape) > 1 else None
    channel = next((axis for axis in axes if axis not in followed), default)
    sizes = [size if isinstance(size, int) else None for size in shape[1:]]
    spatial = [axis for axis in axes if axis != channel]
    return LayerTensor(name, tuple(sizes), tuple(spatial), channel)


def _feeding(
    anchor: Node, graph: Graph, reached: Mapping[str, TensorWindows], owners: Mapping[str, str]
) -> Iterator[str]:
    """The layers that an anchor reads, in the order of its inputs, through nodes that belong to no
    layer.
    """
    waiting = list(reversed(anchor.inputs))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        producer = graph.producer(name)
        if name in owners:
            yield owners[name]
        elif producer is not None and name in reached and name not in seen:
            seen.add(name)
            waiting.extend(reversed(producer.inputs))


def _stored(name: str | None, graph: Graph) -> str | None:
    """The constant that holds weights or a bias, behind quantisation if need be."""
    while name is not None and name not in graph.constants:
        producer = graph.producer(name)
        is_transparent = producer is not None and producer.operator in TRANSPARENT
        name = producer.inputs[0] if producer is not None and is_transparent else None
    return name
