"""What a layer answers to an input: JSON with statistics, .npy, or a picture. The routes differ in
the input.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from anatomy.layers.layers import Layer
from anatomy.report import layer_reference, tensor_body
from service import errors
from service.api.dependencies import deadline_of, run_queued
from service.api.responses import JSON, NPY, PNG, as_json, as_npy, as_png
from service.inference import feature_map_images
from service.inference.inspector import Activations, Field, Tap, TensorSelection, Unit, statistics
from service.inputs.preprocess import ModelInput, RawInput, preprocess
from service.repository.model import Model
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


async def of_posted(services: Services, asked: ActivationsRequest, given: RawInput) -> Response:
    """The answer to an input that comes with the request; it is kept."""
    deadline = deadline_of(services)

    def ready() -> tuple[ModelInput, str | None]:
        feed = preprocess(asked.model, given, services.settings.max_pixels)
        if feed.posted is None:
            return feed, None
        input_id = services.store.put(feed.posted.kept)
        services.prepared.keep(asked.model, input_id, feed)
        return feed, input_id

    return await _queued(services, asked, deadline, ready)


async def of_kept(services: Services, asked: ActivationsRequest, input_id: str) -> Response:
    """The answer to an input that was posted before."""
    return await _queued(
        services,
        asked,
        deadline_of(services),
        lambda: (services.prepared.get(asked.model, input_id), input_id),
    )


async def _queued(
    services: Services,
    asked: ActivationsRequest,
    deadline: float,
    ready: Callable[[], tuple[ModelInput, str | None]],
) -> Response:
    def work() -> Response:
        feed, input_id = ready()
        found = services.inspector.activations(asked.model, asked.layer, feed, deadline, asked.part)
        return _answer(services, asked, found, feed, input_id)

    return (await run_queued(services, deadline, work, asked.model)).result


def _answer(
    services: Services,
    asked: ActivationsRequest,
    found: Activations,
    feed: ModelInput,
    input_id: str | None,
) -> Response:
    model, selection = asked.model, asked.selection
    headers = VARIES | ({"X-Input-Id": input_id} if input_id else {})
    if asked.kind != JSON:
        headers |= named(found.channels if selection.channel or selection.strongest else ())
    if asked.kind == NPY:
        return as_npy(found.array, headers)
    if asked.kind == PNG:
        return as_png(feature_map_images.feature_maps(found.values), headers)
    strongest = services.inspector.strongest(model, found, feed, selection.units)
    reference = layer_reference(found.layer)
    body = {
        "model": model.name,
        "version": model.version,
        "input_id": input_id,
        "tap": selection.tap,
        "layer": reference
        if selection.tap == "input"
        else reference | {"output_shape": list(found.shape)},
        "tensor": tensor_body(found.tensor, found.shape),
        "channels": statistics(found),
        "units": [_unit(each) for each in strongest],
    }
    return as_json(body | ({"values": found.values} if selection.full else {}), headers)


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
