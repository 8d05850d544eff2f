"""`GET /layers`, and the activations, kernels and receptive fields of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from anatomy.report import layer_reference, tensor_body
from service import errors, pictures
from service.api import bodies, problems, schemas
from service.api.accept import choose
from service.api.predictions import PICTURE_PROBLEMS
from service.api.problems import NotAcceptable
from service.api.rendering import JSON, NPY, PNG, as_json, as_npy, as_png
from service.api.work import ChosenModel, Serving, deadline_of, limits_of, queued
from service.feed import Feed, make_ready, posted_of
from service.inspector import Activations, Field, Part, Tap, Unit, statistics
from service.kernels import kernels
from service.repository import Model
from service.services import Services

router = APIRouter(tags=["layers"])

LayerPath = Annotated[
    str, Path(description="index or name of a layer; a name is percent-encoded and may hold slashes", examples=["0"])
]
_VARIES = {"Vary": "Accept"}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LOOK_UPS = (errors.UnknownModel, errors.UnknownLayer, errors.QueueFull, errors.NotReady, errors.DeadlinePassed)


def offered(schema: type[schemas.Body], text: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answer 200 of a route that gives JSON, the array itself, or a picture of it."""
    reference = {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}}
    return {200: {"description": text, "content": {JSON: reference, NPY: _BINARY, PNG: _BINARY}}}


@dataclass(frozen=True)
class Selection:
    """What of a layer's activations is wanted."""

    tap: Annotated[
        Tap,
        Query(
            description="`post`: after the operators that follow; `pre`: the anchor's own output; `input`: what the "
            "anchor reads"
        ),
    ] = "post"
    operand: Annotated[int, Query(ge=0, description="which of the tensors that it reads, with `tap=input`")] = 0
    channel: Annotated[tuple[int, ...], Query(description="only these channels; may be repeated")] = ()
    strongest: Annotated[
        int | None,
        Query(ge=1, le=1000, description="only so many channels, those of the largest maximum, largest first"),
    ] = None
    units: Annotated[int, Query(ge=0, le=1000, description="how many of the strongest units (JSON only)")] = 10
    full: Annotated[bool, Query(description="also the values themselves, as nested lists (JSON only)")] = False

    @property
    def part(self) -> Part:
        """What the inspector is asked for; raises InvalidRequest."""
        if self.channel and self.strongest is not None:
            raise errors.InvalidRequest("ask for channels by number or for the strongest, not for both in one request")
        return Part(self.tap, self.operand, self.channel, self.strongest)


Selected = Annotated[Selection, Depends()]


@router.get(
    "/layers",
    summary="Every layer",
    response_model=schemas.Layers,
    responses=problems.documented(errors.UnknownModel, errors.NotReady),
)
async def layers(model: ChosenModel) -> Response:
    """Each layer with its shapes, parameters, MACs and receptive field, in topological order."""
    return as_json(model.listing)


@router.post(
    "/layers/{n:path}/activations",
    summary="Activations for an input",
    response_class=Response,
    responses=offered(schemas.Activations, "The activations")
    | problems.documented(
        *PICTURE_PROBLEMS, errors.InvalidRequest, errors.UnknownLayer, errors.UnknownChannel, NotAcceptable
    ),
    openapi_extra=bodies.documented(several=False),
)
async def post_activations(
    request: Request, services: Serving, model: ChosenModel, n: LayerPath, selection: Selected
) -> Response:
    """What the layer answers to the input: statistics and strongest units, the whole array, or an image of it."""
    layer, part = model.layer(n), selection.part
    kind = _kind(request)
    given = await bodies.read_one(request, limits_of(services))
    deadline = deadline_of(services)

    def work() -> Response:
        feed = make_ready(model, given, services.settings.max_pixels)
        input_id = None if feed.posted is None else services.store.put(feed.posted.kept)
        found = services.inspector.activations(model, layer, feed, deadline, part)
        return _answer(services, model, found, feed, input_id, selection, kind)

    return (await queued(services, deadline, work)).result


@router.get(
    "/layers/{n:path}/activations",
    summary="Activations for an input posted before",
    response_class=Response,
    responses=offered(schemas.Activations, "The activations")
    | problems.documented(
        *_LOOK_UPS,
        errors.InvalidRequest,
        errors.UnknownInput,
        errors.TooManyPixels,
        errors.Impossible,
        errors.NoImageInput,
        errors.UnknownChannel,
        NotAcceptable,
    ),
)
async def get_activations(
    request: Request,
    services: Serving,
    model: ChosenModel,
    n: LayerPath,
    input_id: Annotated[str, Query(description="as /predict gave it")],
    selection: Selected,
) -> Response:
    """The same as the POST, for an input that was posted before."""
    deadline = deadline_of(services)
    layer, part = model.layer(n), selection.part
    kind = _kind(request)

    def work() -> Response:
        feed = make_ready(model, posted_of(services.store.get(input_id)), services.settings.max_pixels)
        found = services.inspector.activations(model, layer, feed, deadline, part)
        return _answer(services, model, found, feed, input_id, selection, kind)

    return (await queued(services, deadline, work)).result


@router.get(
    "/layers/{n:path}/kernels",
    summary="The learned kernels",
    response_class=Response,
    responses=offered(schemas.Kernels, "The kernels")
    | problems.documented(*_LOOK_UPS, errors.Impossible, errors.UnknownChannel, NotAcceptable),
)
async def get_kernels(
    request: Request,
    services: Serving,
    model: ChosenModel,
    n: LayerPath,
    channel: Annotated[tuple[int, ...], Query(description="only these outputs; may be repeated")] = (),
) -> Response:
    """The layer's weights, [out, in, ...]: as nested lists with the bias, as an array, or as a picture."""
    layer = model.layer(n)
    kind = _kind(request)

    def work() -> Response:
        found = kernels(layer, model, channel)
        headers = _VARIES | _named(found.channels if channel else ())
        if kind == NPY:
            return as_npy(found.weights, headers)
        if kind == PNG:
            return as_png(pictures.kernels(found.weights), headers)
        about = {"model": model.name, "version": model.version, "layer": layer_reference(layer)}
        shown = {"channels": list(found.channels), "kernels": found.weights, "bias": found.bias}
        return as_json({**about, "shape": list(found.weights.shape), **shown}, headers)

    return (await queued(services, deadline_of(services), work)).result


def _kind(request: Request) -> str:
    accept = request.headers.get("accept")
    kind = choose(accept, (JSON, NPY, PNG))
    if kind is None:
        raise NotAcceptable(
            f"this route gives {JSON}, {NPY} or {PNG}; Accept: {(accept or '')[:80]} takes none of them"
        )
    return kind


def _answer(
    services: Services,
    model: Model,
    found: Activations,
    feed: Feed,
    input_id: str | None,
    selection: Selection,
    kind: str,
) -> Response:
    headers = _VARIES | ({"X-Input-Id": input_id} if input_id else {})
    if kind != JSON:
        headers |= _named(found.channels if selection.channel or selection.strongest else ())
        return as_npy(found.array, headers) if kind == NPY else as_png(pictures.feature_maps(found.values), headers)
    strongest = services.inspector.strongest(model, found, feed, selection.units)
    reference = layer_reference(found.layer)
    body = {
        "model": model.name,
        "version": model.version,
        "input_id": input_id,
        "tap": selection.tap,
        "layer": reference if selection.tap == "input" else reference | {"output_shape": list(found.shape)},
        "tensor": tensor_body(found.tensor, found.shape),
        "channels": statistics(found),
        "units": [_unit(each) for each in strongest],
    }
    return as_json(body | ({"values": found.values} if selection.full else {}), headers)


def _named(channels: Sequence[int]) -> dict[str, str]:
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
