"""The layers of a network: anchor operators with the element-wise operators that follow them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anatomy.fields.forward import TensorWindows, propagate_windows, spatial_axes
from anatomy.fields.rule_table import BINARY, UNARY
from anatomy.fields.rules.base import RuleNotApplicable, attribute_or_input
from anatomy.fields.rules.sliding_window import (
    pads_of,
    transposed_pads,
    weight_position,
    window_geometry,
)
from anatomy.graphs.dequantise import PASSING
from anatomy.graphs.graph import Graph, Node
from anatomy.layers.costs import is_weight, macs, parameters
from anatomy.layers.kinds import BIASES, KINDS, Kind

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
    reach = propagate_windows(graph, graph.inputs[0], spatial_axes(graph))
    owners: dict[str, str] = {}
    taken: Counter[str] = Counter()
    found: list[Layer] = []
    swallowed: set[str] = set()
    for node in graph.nodes:
        kind = _kind(node, graph, reach)
        if kind is None or node.outputs[0] in swallowed:
            continue
        members = _real_valued([node, *_followers(node, graph, reach)])
        taken[node.name] += 1
        name = node.name if taken[node.name] == 1 else f"{node.name}.{taken[node.name]}"
        found.append(_layer(len(found), name, kind, members, graph, reach, owners))
        owners.update(
            dict.fromkeys((output for member in members for output in member.outputs), name)
        )
        swallowed.update(output for member in members for output in member.outputs)
    return tuple(found)


def _kind(node: Node, graph: Graph, reach: Mapping[str, TensorWindows]) -> Kind | None:
    kind = KINDS.get(node.operator) if node.domain == "" and node.outputs[0] in reach else None
    computed = [name for name in node.inputs if name in reach]
    if kind == "merge" and len(computed) < 2:
        return None
    if kind == "dense" and not any(is_weight(name, reach) for name in node.inputs[:2]):
        return None
    if node.operator in ("ReduceMean", "ReduceMax") and not _pools_whole_map(node, graph):
        return None
    return kind


def _pools_whole_map(node: Node, graph: Graph) -> bool:
    rank = len(graph.shape(node.inputs[0]) or ())
    try:
        axes = attribute_or_input(node, graph, 1, "axes")
    except RuleNotApplicable:
        return False
    return rank > 2 and axes is not None and len(axes) == rank - 2


def _followers(anchor: Node, graph: Graph, reach: Mapping[str, TensorWindows]) -> Iterator[Node]:
    tensor = anchor.outputs[0]
    while following := _next(tensor, graph, reach):
        yield from following
        tensor = following[-1].outputs[0]


def _real_valued(members: list[Node]) -> list[Node]:
    """Without the codes at the end, of which each reader makes numbers by itself."""
    return _real_valued(members[:-1]) if members[-1].operator == "QuantizeLinear" else members


def _next(tensor: str, graph: Graph, reach: Mapping[str, TensorWindows]) -> list[Node]:
    """The fewest element-wise nodes that alone read this tensor and join in one: a Relu, or what a
    Swish is made of.
    """
    inside, joined = {tensor}, dict[str, Node]()
    while (node := _element_wise(inside, joined, graph, reach)) is not None and len(
        joined
    ) < LONGEST_ACTIVATION:
        joined[node.outputs[0]] = node
        inside.update(node.outputs)
        if not any(_is_open(name, joined, graph) for name in inside.difference(node.outputs)):
            return list(joined.values())
    return []


def _element_wise(
    inside: set[str], joined: Mapping[str, Node], graph: Graph, reach: Mapping[str, TensorWindows]
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
    return name in graph.outputs or any(
        node.outputs[0] not in joined for node in graph.consumers(name)
    )


def _layer(
    index: int,
    name: str,
    kind: Kind,
    members: list[Node],
    graph: Graph,
    reach: Mapping[str, TensorWindows],
    owners: Mapping[str, str],
) -> Layer:
    anchor, served = members[0], _tensor(members[-1].outputs[0], graph, reach)
    kernel = _weights(anchor, kind, reach)
    kernel_shape, strides, pads, dilations = (
        _geometry(anchor, graph) if kind in WINDOWED else (None,) * 4
    )
    return Layer(
        index=index,
        name=name,
        kind=kind,
        operator=anchor.operator,
        tensor=served.name,
        anchor_tensor=anchor.outputs[0],
        inputs=tuple(dict.fromkeys(_feeding(anchor, graph, reach, owners))),
        operands=tuple(_tensor(name, graph, reach) for name in anchor.inputs if name in reach),
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
        groups=anchor.attributes.get("group", 1) if "convolution" in kind else None,
        attributes=anchor.attributes,
        output_shape=served.shape,
        spatial_axes=served.spatial_axes,
        channel_axis=served.channel_axis,
        parameters=sum(parameters(member, graph, reach) for member in members),
        macs=macs(anchor, kind, graph, kernel),
        kernel=_stored(kernel, graph),
        bias=_stored(_bias(anchor, reach), graph),
    )


WINDOWED = frozenset(("convolution", "transposed_convolution", "pool"))


def _weights(anchor: Node, kind: Kind, reach: Mapping[str, TensorWindows]) -> str | None:
    if kind in ("pool", "merge"):
        return None
    operands = anchor.inputs[:2] if kind == "dense" else (anchor.inputs[weight_position(anchor)],)
    return next((name for name in operands if is_weight(name, reach)), None)


def _tensor(name: str, graph: Graph, reach: Mapping[str, TensorWindows]) -> LayerTensor:
    """Its channels are axis 1, unless that follows a spatial axis of the input and another does not
    (NHWC).
    """
    shape = graph.shape(name) or ()
    followed = {windows.axis for windows in reach[name].axes.values()}
    free = [axis for axis in range(1, len(shape)) if axis not in followed]
    channel = next(iter(free), 1 if len(shape) > 1 else None)
    sizes = tuple(size if isinstance(size, int) else None for size in shape[1:])
    return LayerTensor(
        name, sizes, tuple(axis for axis in range(1, len(shape)) if axis != channel), channel
    )


def _geometry(
    anchor: Node, graph: Graph
) -> tuple[
    tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None, tuple[int, ...] | None
]:
    if anchor.operator.startswith(("Global", "Reduce")):
        return None, None, None, None
    try:
        kernel, strides, dilations = window_geometry(anchor, graph)
    except RuleNotApplicable:
        return None, None, None, None
    if anchor.operator == "ConvTranspose":
        before = transposed_pads(anchor, graph)
        after = anchor.attributes.get("pads", before + before)[len(kernel) :]
        pads = (
            None if None in before else tuple(pad for pad in (*before, *after) if pad is not None)
        )
    else:
        pairs = pads_of(anchor, graph)
        pads = (
            None
            if None in pairs
            else tuple(pair[side] for side in (0, 1) for pair in pairs if pair is not None)
        )
    return kernel, strides, pads, dilations


def _feeding(
    anchor: Node, graph: Graph, reach: Mapping[str, TensorWindows], owners: Mapping[str, str]
) -> Iterator[str]:
    """The layers that an anchor reads, in the order of its inputs, through nodes that belong to no
    layer.
    """
    waiting, seen = list(reversed(anchor.inputs)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in owners:
            yield owners[name]
        elif name in reach and name not in seen and (producer := graph.producer(name)) is not None:
            seen.add(name)
            waiting.extend(reversed(producer.inputs))


def _bias(anchor: Node, reach: Mapping[str, TensorWindows]) -> str | None:
    place = BIASES.get(anchor.operator, len(anchor.inputs))
    name = anchor.inputs[place] if place < len(anchor.inputs) else ""
    return name if is_weight(name, reach) else None


def _stored(name: str | None, graph: Graph) -> str | None:
    """The constant that holds weights or a bias, behind quantisation if need be."""
    while name is not None and name not in graph.constants:
        producer = graph.producer(name)
        name = producer.inputs[0] if producer is not None and producer.operator in PASSING else None
    return name
