"""The use cases of `/layers`: activations with what each unit sees, kernels, receptive fields. Knows no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from anatomy.graph import Graph, Node
from anatomy.layers import Layer
from anatomy.reach import spatial_axes
from anatomy.receptive_field import ReceptiveFields, UnitError
from service.errors import Impossible, UnknownChannel
from service.feed import Feed
from service.repository import Model
from service.sessions import Cache

Tap = Literal["post", "pre"]

LONGEST_AXIS = 1 << 18
"""Of an input for which fields of units are worked out: that goes index by index, and takes a second by then."""


@dataclass(frozen=True, eq=False)
class Activations:
    """What a layer answered: `values` is [channels, *map], `channels` are the numbers of its first axis.

    `tensor` is the same part of the served tensor in the tensor's own order of axes, without the batch.
    """

    layer: Layer
    channels: Sequence[int]
    values: np.ndarray
    tensor: np.ndarray
    shape: Sequence[int]
    """The whole tensor's shape, without the batch."""
    mapped: bool
    """Whether the axes of the map are the layer's spatial axes, so that its positions have a receptive field."""


@dataclass(frozen=True)
class Field:
    """What a unit sees: half-open intervals on the network's input, and in pixels of the posted picture if any."""

    interval: Sequence[Sequence[int]]
    clipped: Sequence[Sequence[int]]
    picture: Sequence[Sequence[int]] | None


@dataclass(frozen=True)
class Unit:
    """One unit of a layer and its value; the field is None where it cannot be told."""

    channel: int
    position: Sequence[int]
    value: float
    field: Field | None


class Inspector:
    """Looks into models. Receptive fields of models with open sizes are worked out once per input shape."""

    def __init__(self, kept: int = 32) -> None:
        self._fields: Cache[ReceptiveFields] = Cache(kept)

    def activations(
        self, model: Model, layer: Layer, feed: Feed, deadline: float, tap: Tap = "post", channels: Sequence[int] = ()
    ) -> Activations:
        """The layer's tensor for this input (`pre`: before the operators that follow the anchor), all channels or some.

        Raises UnknownChannel, and what a run raises.
        """
        name = layer.tensor if tap == "post" else layer.anchor_tensor
        tensor = model.tap(name).run(feed.feeds, deadline)[0]
        tensor = tensor[0] if tensor.ndim and tensor.shape[0] == 1 else tensor
        axis = (layer.channel_axis or 1) - 1
        whole = np.moveaxis(tensor, axis, 0) if tensor.ndim > axis else tensor.reshape(1, *tensor.shape)
        picked = _checked(layer, channels, len(whole))
        mapped = bool(layer.spatial_axes) and whole.ndim - 1 == len(layer.spatial_axes)
        if not channels:
            return Activations(layer, picked, whole, tensor, tensor.shape, mapped)
        part = np.take(tensor, picked, axis=axis) if tensor.ndim > axis else tensor
        return Activations(layer, picked, whole[list(picked)], part, tensor.shape, mapped)

    def strongest(self, model: Model, found: Activations, feed: Feed, count: int) -> list[Unit]:
        """The units with the largest values, the strongest first, with what each sees."""
        flat = found.values.reshape(-1)
        ranked = _largest(flat, count)
        indices = [np.unravel_index(index, found.values.shape) for index in ranked]
        positions = [tuple(int(i) for i in index[1:]) for index in indices]
        fields = self._seen(model, found, feed, positions)
        return [
            Unit(found.channels[int(index[0])], position, float(flat[place]), field)
            for place, index, position, field in zip(ranked, indices, positions, fields, strict=True)
        ]

    def fields(self, model: Model, shape: Sequence[int] | None = None) -> ReceptiveFields:
        """Receptive fields of a model, for an input of this shape where the graph leaves it open."""
        declared = model.file.graph.shape(model.file.input)
        if shape is None or (declared is not None and all(isinstance(size, int) for size in declared[1:])):
            return model.fields
        sizes = tuple(shape)
        return self._fields.get((model, sizes), lambda: ReceptiveFields(Graph(model.file.proto, sizes)))

    def _seen(
        self, model: Model, found: Activations, feed: Feed, positions: Sequence[Sequence[int]]
    ) -> list[Field | None]:
        if not found.layer.spatial_axes:
            whole = _whole_input(model, feed)
            return [whole] * len(positions)
        if not found.mapped or max(feed.array.shape) > LONGEST_AXIS:
            return [None] * len(positions)
        try:
            units = self.fields(model, feed.array.shape).units(found.layer, positions)
        except UnitError:
            return [None] * len(positions)
        return [Field(unit.interval, unit.clipped, feed.rectangle(unit.clipped)) for unit in units]


def kernels(layer: Layer, model: Model) -> np.ndarray:
    """The layer's learned weights, [out, in, *kernel] whatever the operator's own order; `in` is that of one group.

    Raises Impossible for a layer that has none.
    """
    graph = model.file.graph
    node = graph.producer(layer.anchor_tensor)
    if layer.kernel is None or node is None:
        raise Impossible(f"layer '{layer.name}' is a {layer.operator} and has no kernels")
    weights = graph.constants[layer.kernel]
    if layer.kind == "transposed_convolution":
        grouped = weights.reshape(layer.groups or 1, -1, *weights.shape[1:])
        return np.swapaxes(grouped, 1, 2).reshape(-1, grouped.shape[1], *weights.shape[2:])
    return (
        np.swapaxes(weights, -1, -2) if layer.kind == "dense" and _inputs_first(node, layer.kernel, graph) else weights
    )


def statistics(found: Activations) -> list[Mapping[str, Any]]:
    """Of each channel: its number, min, max, mean and the fraction of zeros."""
    flat = found.values.reshape(len(found.values), -1)
    if not flat.size:
        return []
    with np.errstate(all="ignore"):
        columns = (flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1, dtype=np.float64), (flat == 0).mean(axis=1))
    rows = zip(found.channels, *(column.tolist() for column in columns), strict=True)
    return [dict(zip(("channel", "min", "max", "mean", "zeros"), row, strict=True)) for row in rows]


def _checked(layer: Layer, channels: Sequence[int], count: int) -> list[int]:
    for channel in channels:
        if not 0 <= channel < count:
            raise UnknownChannel(f"layer '{layer.name}' has no channel {channel}; its channels are 0 to {count - 1}")
    return list(dict.fromkeys(channels)) if channels else list(range(count))


def _largest(flat: np.ndarray, count: int) -> list[int]:
    """Places of the largest values, largest first, the first of equals first; what is not a number comes last."""
    values = np.nan_to_num(flat.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    count = min(count, values.size)
    if count == 0:
        return []
    least = np.partition(values, values.size - count)[values.size - count]
    candidates = np.flatnonzero(values >= least)
    order = np.argsort(-values[candidates], kind="stable")
    return [int(place) for place in candidates[order][:count]]


def _whole_input(model: Model, feed: Feed) -> Field:
    interval = [[0, feed.array.shape[axis]] for axis in spatial_axes(model.file.graph)]
    return Field(interval, interval, feed.rectangle(interval))


def _inputs_first(node: Node, kernel: str, graph: Graph) -> bool:
    """Whether the weights of a Gemm or MatMul are stored [in, out]."""
    name = node.inputs[1]
    while (producer := graph.producer(name)) is not None and name != kernel:
        name = producer.inputs[0]
    if name == kernel:
        return not node.attributes.get("transB", 0)
    return bool(node.attributes.get("transA", 0))
