"""What a layer answers to an input: JSON with statistics, .npy, or a picture. The routes differ in
the input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import Query
from fastapi.responses import Response

from anatomy.layers.layers import Layer
from anatomy.report import layer_reference, tensor_body
from service import errors
from service.api.dependencies import deadline_of
from service.api.responses import JSON, NPY, as_json, as_npy, as_png
from service.inference import feature_map_images
from service.inference.inspector import (
    Activations,
    Field,
    Tap,
    TensorSelection,
    Unit,
    select,
    statistics,
)
from service.inputs.preprocess import SMALL_BYTES, ModelInput, RawInput, preprocess
from service.repository.model import Model
from service.scheduling.work_item import Completed
from service.services import Services

VARIES = {"Vary": "Accept"}
MOST_STRONGEST = 1000


@dataclass(frozen=True)
class Selection:
    """What of a layer's activations is wanted."""

    tap: Annotated[
        Tap,
        Query(
            description=(
                "`post`: after the operators that follow; `pre`: the anchor's own output; "
                "`input`: what the "
                "anchor reads"
            )
        ),
    ] = "post"
    operand: Annotated[
        int, Query(ge=0, description="which of the tensors that it reads, with `tap=input`")
    ] = 0
    channel: Annotated[
        tuple[int, ...], Query(description="only these channels; may be repeated")
    ] = ()
    strongest: Annotated[
        int | None,
        Query(
            ge=1,
            le=MOST_STRONGEST,
            description="only so many channels, of the largest maxima, largest first",
        ),
    ] = None
    units: Annotated[
        int, Query(ge=0, le=1000, description="how many of the strongest units (JSON only)")
    ] = 10
    full: Annotated[
        bool, Query(description="also the values themselves, as nested lists (JSON only)")
    ] = False

    @property
    def part(self) -> TensorSelection:
        """What the inspector is asked for; raises InvalidRequest."""
        if self.channel and self.strongest is not None:
            raise errors.InvalidRequest(
                "ask for channels by number or for the strongest, not for both in one request"
            )
        return TensorSelection(self.tap, self.operand, self.channel, self.strongest)


@dataclass(frozen=True)
class ActivationsRequest:
    """A request for activations, before its input is looked at; raises UnknownLayer or
    InvalidRequest when made.
    """

    model: Model
    layer: Layer
    selection: Selection
    part: TensorSelection
    kind: str

    @classmethod
    def of(cls, model: Model, n: str, selection: Selection, kind: str) -> "ActivationsRequest":
        """What is asked for of the layer with this index or name."""
        return cls(model, model.layer(n), selection, selection.part, kind)


@dataclass(frozen=True, eq=False, slots=True)
class _Ran:
    """An input and the layer's tensor for it."""

    model_input: ModelInput
    array: np.ndarray


async def of_posted(services: Services, asked: ActivationsRequest, source: RawInput) -> Response:
    """The answer to an input that comes with the request; it is kept."""
    pipeline, model, deadline = services.pipeline, asked.model, deadline_of(services)
    small = len(source.data) <= SMALL_BYTES

    def decode() -> tuple[ModelInput, str | None]:
        model_input = preprocess(model, source, services.settings.max_pixels)
        # To keep a small one takes less time than to hand it over.
        return model_input, _keep(services, model, model_input) if small else None

    decoded = await pipeline.on_cpu(model, deadline, decode)
    model_input, input_id = decoded.result
    writing = None if small else pipeline.beside(lambda: _keep(services, model, model_input))
    ran = await _run(services, asked, deadline, lambda: model_input)
    if writing is not None:
        input_id = await pipeline.finished(model, deadline, writing)
    waited = decoded.waited + ran.waited
    return await _answer(services, asked, deadline, ran.result, input_id, waited)


async def of_kept(services: Services, asked: ActivationsRequest, input_id: str) -> Response:
    """The answer to an input that was posted before."""
    model, deadline = asked.model, deadline_of(services)
    if services.decoded_inputs.has(model, input_id):
        # Nothing is to be decoded: the look at the store is part of the run.
        ran = await _run(
            services, asked, deadline, lambda: services.decoded_inputs.get(model, input_id)
        )
        return await _answer(services, asked, deadline, ran.result, input_id, ran.waited)
    decoded = await services.pipeline.on_cpu(
        model, deadline, lambda: services.decoded_inputs.get(model, input_id)
    )
    ran = await _run(services, asked, deadline, lambda: decoded.result)
    waited = decoded.waited + ran.waited
    return await _answer(services, asked, deadline, ran.result, input_id, waited)


def _keep(services: Services, model: Model, model_input: ModelInput) -> str | None:
    if model_input.posted is None:
        return None
    input_id = services.store.put(model_input.posted.stored_bytes)
    services.decoded_inputs.put(model, input_id, model_input)
    return input_id


async def _run(
    services: Services, asked: ActivationsRequest, deadline: float, get: Callable[[], ModelInput]
) -> Completed[_Ran]:
    """The layer's whole tensor, in a run slot."""
    model, layer, part = asked.model, asked.layer, asked.part

    def run() -> _Ran:
        model_input = get()
        array = services.inspector.run(model, layer, model_input, deadline, part)
        return _Ran(model_input, array)

    return await services.batcher.run(lambda _: [run()], None, deadline, None, owner=model)


async def _answer(
    services: Services,
    asked: ActivationsRequest,
    deadline: float,
    ran: _Ran,
    input_id: str | None,
    waited: float,
) -> Response:
    """What was asked for of the tensor; `waited` is how long the request waited so far."""
    if asked.kind == NPY and asked.part.whole:
        services.statistics.waited(waited)
        return _rendered(services, asked, ran, input_id)
    rendered = await services.pipeline.on_cpu(
        asked.model, deadline, lambda: _rendered(services, asked, ran, input_id), admitted=True
    )
    services.statistics.waited(waited + rendered.waited)
    return rendered.result


def _rendered(
    services: Services, asked: ActivationsRequest, ran: _Ran, input_id: str | None
) -> Response:
    selected = select(asked.layer, asked.part, ran.array)
    headers = VARIES | ({"X-Input-Id": input_id} if input_id else {})
    if asked.kind == JSON:
        return as_json(_body(services, asked, selected, ran.model_input, input_id), headers)
    headers |= named(() if asked.part.whole else selected.channels)
    if asked.kind == NPY:
        return as_npy(selected.array, headers)
    return as_png(feature_map_images.feature_maps(selected.values), headers)


def _body(
    services: Services,
    asked: ActivationsRequest,
    selected: Activations,
    model_input: ModelInput,
    input_id: str | None,
) -> dict[str, Any]:
    model, selection = asked.model, asked.selection
    units = services.inspector.strongest(model, selected, model_input, selection.units)
    reference = layer_reference(selected.layer)
    if selection.tap != "input":
        reference |= {"output_shape": list(selected.shape)}
    body = {
        "model": model.name,
        "version": model.version,
        "input_id": input_id,
        "tap": selection.tap,
        "layer": reference,
        "tensor": tensor_body(selected.tensor, selected.shape),
        "channels": statistics(selected),
        "units": [_unit(unit) for unit in units],
    }
    return body | ({"values": selected.values} if selection.full else {})


def named(channels: Sequence[int]) -> dict[str, str]:
    """Which channels an answer holds that cannot say so itself."""
    return {"X-Channels": ",".join(map(str, channels))} if channels else {}


def _unit(unit: Unit) -> dict[str, Any]:
    return {
        "channel": unit.channel,
        "position": unit.position,
        "value": unit.value,
        "receptive_field": None if unit.field is None else _field(unit.field),
    }


def _field(field: Field) -> dict[str, Any]:
    return {"interval": field.interval, "clipped": field.clipped, "picture": field.picture}
