"""`GET /layers`, and the activations, kernels and receptive fields of each."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from anatomy.report import layer_reference
from service import errors
from service.api import problems, request_bodies, schemas
from service.api.accept import choose
from service.api.activations import VARIES, ActivationsRequest, Selection, named, of_kept, of_posted
from service.api.dependencies import (
    ModelDependency,
    ServicesDependency,
    deadline_of,
    limits_of,
    run_queued,
)
from service.api.predictions import PICTURE_PROBLEMS
from service.api.problems import NotAcceptable
from service.api.responses import JSON, NPY, PNG, as_json, as_npy, as_png
from service.inference import feature_map_images
from service.inference.kernels import kernels

router = APIRouter(tags=["layers"])

Selected = Annotated[Selection, Depends()]
LayerPath = Annotated[
    str,
    Path(
        description="index or name of a layer; a name is percent-encoded and may hold slashes",
        examples=["0"],
    ),
]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LOOK_UPS = (
    errors.UnknownModel,
    errors.UnknownLayer,
    errors.QueueFull,
    errors.NotReady,
    errors.DeadlinePassed,
)


def offered(schema: type[schemas.Body], text: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answer 200 of a route that gives JSON, the array itself, or a picture of it."""
    reference = {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}}
    return {200: {"description": text, "content": {JSON: reference, NPY: _BINARY, PNG: _BINARY}}}


@router.get(
    "/layers",
    summary="Every layer",
    response_model=schemas.Layers,
    responses=problems.documented(errors.UnknownModel, errors.NotReady),
)
async def layers(model: ModelDependency) -> Response:
    """Each layer with its shapes, parameters, MACs and receptive field, in topological order."""
    return as_json(model.listing)


@router.post(
    "/layers/{n:path}/activations",
    summary="Activations for an input",
    response_class=Response,
    responses=offered(schemas.Activations, "The activations")
    | problems.documented(
        *PICTURE_PROBLEMS,
        errors.InvalidRequest,
        errors.UnknownLayer,
        errors.UnknownChannel,
        NotAcceptable,
    ),
    openapi_extra=request_bodies.documented(several=False),
)
async def post_activations(
    request: Request,
    services: ServicesDependency,
    model: ModelDependency,
    n: LayerPath,
    selection: Selected,
) -> Response:
    """What the layer answers to the input: statistics and strongest units, the whole array, or an
    image of it.
    """
    asked = ActivationsRequest.of(model, n, selection, _kind(request))
    return await of_posted(
        services, asked, await request_bodies.read_one(request, limits_of(services))
    )


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
    services: ServicesDependency,
    model: ModelDependency,
    n: LayerPath,
    input_id: Annotated[str, Query(description="as /predict gave it")],
    selection: Selected,
) -> Response:
    """The same as the POST, for an input that was posted before."""
    return await of_kept(
        services, ActivationsRequest.of(model, n, selection, _kind(request)), input_id
    )


@router.get(
    "/layers/{n:path}/kernels",
    summary="The learned kernels",
    response_class=Response,
    responses=offered(schemas.Kernels, "The kernels")
    | problems.documented(*_LOOK_UPS, errors.Impossible, errors.UnknownChannel, NotAcceptable),
)
async def get_kernels(
    request: Request,
    services: ServicesDependency,
    model: ModelDependency,
    n: LayerPath,
    channel: Annotated[
        tuple[int, ...], Query(description="only these outputs; may be repeated")
    ] = (),
) -> Response:
    """The layer's weights, [out, in, ...]: as nested lists with the bias, as an array, or as a
    picture.
    """
    layer = model.layer(n)
    kind = _kind(request)

    def work() -> Response:
        selected = kernels(layer, model, channel)
        headers = VARIES | named(selected.channels if channel else ())
        if kind == NPY:
            return as_npy(selected.weights, headers)
        if kind == PNG:
            return as_png(feature_map_images.kernels(selected.weights), headers)
        about = {"model": model.name, "version": model.version, "layer": layer_reference(layer)}
        shown = {
            "channels": list(selected.channels),
            "kernels": selected.weights,
            "bias": selected.bias,
        }
        return as_json({**about, "shape": list(selected.weights.shape), **shown}, headers)

    return (await run_queued(services, deadline_of(services), work, model)).result


def _kind(request: Request) -> str:
    accept = request.headers.get("accept")
    kind = choose(accept, (JSON, NPY, PNG))
    if kind is None:
        raise NotAcceptable(
            f"this route gives {JSON}, {NPY} or {PNG}; Accept: {(accept or '')[:80]} takes none "
            "of them"
        )
    return kind
