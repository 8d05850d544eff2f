"""`GET /inputs/{input_id}`: a picture, a signal or a volume that was posted before."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from service import errors
from service.api import problems
from service.api.dependencies import ModelSpec, ServicesDependency, deadline_of, run_queued
from service.api.responses import as_npy, as_png
from service.inference.feature_map_images import as_picture
from service.inputs.array_formats import CSV, JSON, NPY
from service.inputs.preprocess import Document, parse_stored
from service.inputs.recognise import FORMATS, recognise

router = APIRouter(tags=["inputs"])

# What was posted is a stranger's file: it is shown as what it was posted as, or not at all.
GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_MEDIA = (*(kind.media_type for kind in FORMATS), NPY, CSV, JSON)
_TYPES = {name: {"schema": {"type": "string", "format": "binary"}} for name in _MEDIA}
_OK: dict[int | str, dict[str, Any]] = {200: {"description": "The input", "content": _TYPES}}

View = Annotated[
    Literal["posted", "network"],
    Query(
        description=(
            "`posted`: the bytes as posted; `network`: what the chosen model is given, of "
            "a picture as PNG, "
            "of numbers as .npy"
        )
    ),
]


@router.get(
    "/inputs/{input_id}",
    summary="An input posted before",
    response_class=Response,
    responses=_OK
    | problems.documented(
        errors.UnknownInput,
        errors.UnknownModel,
        errors.Impossible,
        errors.NoImageInput,
        errors.QueueFull,
        errors.NotReady,
        errors.DeadlinePassed,
    ),
)
async def posted(
    services: ServicesDependency, input_id: str, view: View = "posted", model: ModelSpec = None
) -> Response:
    """The bytes as posted, or with `view=network` what a model makes of them: a picture resized, or
    an array.
    """
    deadline = deadline_of(services)

    def work() -> Response:
        if view == "posted":
            source = parse_stored(services.store.get(input_id))
            kind = (
                source.media_type
                if isinstance(source, Document)
                else recognise(source.data).media_type
            )
            return Response(source.data, headers=GUARDED | {"Content-Type": kind})
        model_input = services.decoded_inputs.get(services.catalogue.get(model), input_id)
        if model_input.image is None:
            return as_npy(model_input.array[0], GUARDED)
        return as_png(as_picture(model_input.array[0]), GUARDED)

    return (await run_queued(services, deadline, work)).result
