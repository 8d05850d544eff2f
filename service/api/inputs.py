"""`GET /inputs/{input_id}`: a picture that was posted before."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from service import errors
from service.api import problems
from service.api.rendering import as_png
from service.api.work import ModelSpec, Serving, deadline_of, queued
from service.feed import Picture, make_ready
from service.images import FORMATS, recognise
from service.pictures import as_picture

router = APIRouter(tags=["inputs"])

# A posted picture is a stranger's file: it is shown as a picture or not at all.
_GUARDED = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
_TYPES = {each.media_type: {"schema": {"type": "string", "format": "binary"}} for each in FORMATS}
_OK: dict[int | str, dict[str, Any]] = {200: {"description": "The picture", "content": _TYPES}}

View = Annotated[
    Literal["posted", "network"],
    Query(description="`posted`: the bytes as posted; `network`: a PNG of what the chosen model is given"),
]


@router.get(
    "/inputs/{input_id}",
    summary="A picture posted before",
    response_class=Response,
    responses=_OK
    | problems.documented(
        errors.UnknownInput,
        errors.UnknownModel,
        errors.NoImageInput,
        errors.QueueFull,
        errors.NotReady,
        errors.DeadlinePassed,
    ),
)
async def picture(services: Serving, input_id: str, view: View = "posted", model: ModelSpec = None) -> Response:
    """The picture, or with `view=network` its oriented, cropped and resized form."""
    deadline = deadline_of(services)

    def work() -> Response:
        data = services.store.get(input_id)
        if view == "posted":
            return Response(data, media_type=recognise(data).media_type, headers=_GUARDED)
        feed = make_ready(services.repository.get(model), Picture(data), services.settings.max_pixels)
        return as_png(as_picture(feed.array[0]), _GUARDED)

    return (await queued(services, deadline, work)).result
