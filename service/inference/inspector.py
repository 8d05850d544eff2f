"""The use cases of `/layers`: activations with what each unit sees, and receptive fields. Knows no
HTTP.
"""

import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from anatomy.fields.forward import spatial_axes
from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.results import UnitError
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import Layer, LayerTensor
from service.errors import Impossible, UnknownChannel
from service.inference.top_k import top_k
from service.inputs.preprocess import ModelInput
from service.repository.model import Model
from service.repository.session_cache import LRUCache
from service.runtime.session import Session
from service.telemetry.statistics import Statistics

Tap = Literal["post", "pre", "input"]

LONGEST_AXIS = 1 << 18
"""Of an input for which fields of units are worked out: that goes index by index, and takes a
second by then.
"""


@dataclass(frozen=True)
class TensorSelection:
    """What of a layer is wanted: the tensor served, the anchor's own output, or that which it reads
    as an operand.

    Of its channels all, these, or the `strongest` so many by their largest value.
    """

    tap: Tap = "post"
    operand: int = 0
    channels: Sequence[int] = ()
    strongest: int | None = None

    @property
    def whole(self) -> bool:
        """Whether all channels are wanted, in their order."""
        return not self.channels and self.strongest is None


@dataclass(frozen=True, eq=False)
class Activations:
    """A tensor of a layer: `values` is [channels, *map], `channels` are the numbers of its first
    axis.

    `array` is the same part of the tensor in its own order of axes, without the batch.
    """

    layer: Layer
    tensor: LayerTensor
    channels: Sequence[int]
    values: np.ndarray
    array: np.ndarray
    shape: Sequence[int]
    """The whole tensor's shape, without the batch."""

    @property
    def mapped(self) -> bool:
        """Whether the axes of the map are the tensor's spatial axes, so that its positions have a
        receptive field.
        """
        return bool(self.tensor.spatial_axes) and self.values.ndim - 1 == len(
            self.tensor.spatial_axes
        )


@dataclass(frozen=True)
class Field:
    """What a unit sees: half-open intervals on the network's input, and in pixels of the posted
    picture if any.
    """

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


WHOLE = TensorSelection()


@dataclass(frozen=True, eq=False, slots=True)
class _Latest:
    """What the latest run for all layers gave: who asks for one layer after another asks of the
    same input.
    """

    model_input: ModelInput
    session: weakref.ref[Session]
    arrays: Mapping[str, np.ndarray]


class Inspector:
    """Looks into models. Receptive fields of models with open sizes are worked out once per input
    shape.
    """

    def __init__(self, statistics: Statistics | None = None, kept: int = 32) -> None:
        self._statistics = statistics or Statistics()
        self._fields: LRUCache[ReceptiveFields] = LRUCache(kept)
        self._latest: _Latest | None = None

    def run(
        self,
        model: Model,
        layer: Layer,
        decoded: ModelInput,
        deadline: float,
        part: TensorSelection = WHOLE,
    ) -> np.ndarray:
        """The tensor of the layer that `part` is of, for this input, without the batch axis.

        Raises Impossible, and what a run raises.
        """
        tensor = tensor_of(layer, part)
        if tensor.name == decoded.name:
            array = decoded.array
        else:
            array = self._run(model, tensor.name, decoded, deadline)
        return array[0] if array.ndim and array.shape[0] == 1 else array

    def _run(
        self, model: Model, tensor: str, model_input: ModelInput, deadline: float
    ) -> np.ndarray:
        session, latest = model.session_of(tensor), self._latest
        if latest is not None and latest.model_input is model_input and latest.session() is session:
            return latest.arrays[tensor]
        started = time.monotonic()
        arrays = dict(zip(session.outputs, session.run(model_input.feeds, deadline), strict=True))
        self._statistics.layer_run(model.name, model.version, time.monotonic() - started)
        if len(arrays) > 1:
            self._latest = _Latest(model_input, weakref.ref(session), arrays)
        return arrays[tensor]

    def strongest(
        self, model: Model, activations: Activations, model_input: ModelInput, count: int
    ) -> list[Unit]:
        """The units with the largest values, the strongest first, with what each sees."""
        flat = activations.values.reshape(-1)
        ranked = top_k(flat, count).tolist()
        indices = [np.unravel_index(index, activations.values.shape) for index in ranked]
        positions = [tuple(int(i) for i in index[1:]) for index in indices]
        fields = self._seen(model, activations, model_input, positions)
        return [
            Unit(activations.channels[int(index[0])], position, float(flat[flat_index]), field)
            for flat_index, index, position, field in zip(
                ranked, indices, positions, fields, strict=True
            )
        ]

    def fields(self, model: Model, shape: Sequence[int] | None = None) -> ReceptiveFields:
        """Receptive fields of a model, for inputs of this shape where the graph leaves it open."""
        declared = model.file.graph.shape(model.file.input)
        if shape is None or (
            declared is not None and all(isinstance(size, int) for size in declared[1:])
        ):
            return model.fields
        sizes = tuple(shape)
        return self._fields.get(
            sizes, lambda: ReceptiveFields(Graph(model.file.proto, sizes)), model
        )

    def _seen(
        self,
        model: Model,
        activations: Activations,
        model_input: ModelInput,
        positions: Sequence[Sequence[int]],
    ) -> list[Field | None]:
        layer = replace(
            activations.layer,
            tensor=activations.tensor.name,
            spatial_axes=activations.tensor.spatial_axes,
        )
        is_output = activations.tensor.name in (
            activations.layer.tensor,
            activations.layer.anchor_tensor,
        )
        if is_output and not layer.spatial_axes:
            field = _whole_input(model, model_input)
            return [field] * len(positions)
        if not activations.mapped or max(model_input.array.shape) > LONGEST_AXIS:
            return [None] * len(positions)
        try:
            fields = self.fields(model, model_input.array.shape)
            if not is_output and fields.layer(layer).status == "upper_bound":
                return [None] * len(positions)
            units = fields.units(layer, positions)
        except UnitError:
            return [None] * len(positions)
        return [
            Field(unit.interval, unit.clipped, model_input.rectangle(unit.clipped))
            for unit in units
        ]


def tensor_of(layer: Layer, part: TensorSelection) -> LayerTensor:
    """The tensor that is wanted of a layer; raises Impossible for an operand that there is not."""
    if part.tap != "input":
        if part.operand:
            raise Impossible("operand says which of its inputs is meant: it goes with tap=input")
        name = layer.tensor if part.tap == "post" else layer.anchor_tensor
        return LayerTensor(name, layer.output_shape, layer.spatial_axes, layer.channel_axis)
    if part.operand >= len(layer.operands):
        count = len(layer.operands)
        raise Impossible(
            f"layer '{layer.name}' has no operand {part.operand}: its {layer.operator} reads "
            f"{count} computed "
            f"{'tensor' if count == 1 else 'tensors'}, counted from 0"
        )
    return layer.operands[part.operand]


def select(layer: Layer, part: TensorSelection, array: np.ndarray) -> Activations:
    """This part of a layer's tensor, as `Inspector.run` gave it; raises UnknownChannel."""
    tensor = tensor_of(layer, part)
    axis = (tensor.channel_axis or 1) - 1
    has_channels = array.ndim > axis
    values = np.moveaxis(array, axis, 0) if has_channels else array.reshape(1, *array.shape)
    channels = _chosen_channels(layer, part, values)
    if channels is None:
        return Activations(layer, tensor, range(len(values)), values, array, array.shape)
    selected = np.take(array, channels, axis=axis) if has_channels else array
    return Activations(layer, tensor, channels, values[channels], selected, array.shape)


def statistics(activations: Activations) -> list[Mapping[str, Any]]:
    """Of each channel: its number, min, max, mean and the fraction of zeros."""
    flat = activations.values.reshape(len(activations.values), -1)
    if not flat.size:
        return []
    with np.errstate(all="ignore"):
        columns = (
            flat.min(axis=1),
            flat.max(axis=1),
            flat.mean(axis=1, dtype=np.float64),
            (flat == 0).mean(axis=1),
        )
    rows = zip(activations.channels, *(column.tolist() for column in columns), strict=True)
    return [dict(zip(("channel", "min", "max", "mean", "zeros"), row, strict=True)) for row in rows]


def _chosen_channels(layer: Layer, part: TensorSelection, values: np.ndarray) -> list[int] | None:
    """The channels of the part, in order; None for all. Raises UnknownChannel."""
    if part.strongest is not None:
        return _strongest(values, part.strongest)
    last = len(values) - 1
    for channel in part.channels:
        if not 0 <= channel <= last:
            whose = f"operand {part.operand} of layer" if part.tap == "input" else "layer"
            raise UnknownChannel(
                f"{whose} '{layer.name}' has no channel {channel}; its channels are 0 to {last}"
            )
    return list(dict.fromkeys(part.channels)) or None


def _strongest(values: np.ndarray, count: int) -> list[int]:
    """The channels of the largest maxima, largest first, the first of equals first."""
    peaks = _comparable(values).max(axis=tuple(range(1, values.ndim)), initial=-np.inf)
    return [int(channel) for channel in top_k(peaks, count)]


def _comparable(values: np.ndarray) -> np.ndarray:
    """Float64, with the least of all in place of what is not a number."""
    return np.nan_to_num(values.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)


def _whole_input(model: Model, model_input: ModelInput) -> Field:
    interval = [[0, model_input.array.shape[axis]] for axis in spatial_axes(model.file.graph)]
    return Field(interval, interval, model_input.rectangle(interval))
