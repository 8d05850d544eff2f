"""`GET /models/{name}/samples`: inputs that lie beside a model, to try it with."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response

from service import errors
from service.api import problems, schemas
from service.api.dependencies import ServicesDependency, deadline_of, run_queued
from service.api.inputs import GUARDED
from service.api.responses import as_json
from service.inputs.samples import MEDIA_TYPES, Sample, find, samples

router = APIRouter(tags=["models"])

_TYPES = {
    each: {"schema": {"type": "string", "format": "binary"}}
    for each in dict.fromkeys(MEDIA_TYPES.values())
}
_OK: dict[int | str, dict[str, Any]] = {200: {"description": "The sample", "content": _TYPES}}
_PROBLEMS = (errors.UnknownModel, errors.QueueFull, errors.NotReady, errors.DeadlinePassed)


@router.get(
    "/models/{name}/samples",
    summary="Inputs to try a model with",
    response_model=schemas.Samples,
    responses=problems.documented(*_PROBLEMS),
)
async def listed(services: ServicesDependency, name: str) -> Response:
    """The files in the folder `samples` of the model's version, by name; each can be posted as it
    is.
    """
    model = services.catalogue.get(name)

    def work() -> Response:
        found = samples(model.file.path, services.settings.max_bytes)
        body = {
            "model": model.name,
            "version": model.version,
            "samples": [_summary(each) for each in found],
        }
        return as_json(body)

    return (await run_queued(services, deadline_of(services), work)).result


@router.get(
    "/models/{name}/samples/{file}",
    summary="One of them",
    response_class=Response,
    responses=_OK | problems.documented(*_PROBLEMS, errors.UnknownSample),
)
async def sample(
    services: ServicesDependency,
    name: str,
    file: Annotated[str, Path(description="as the list names it", examples=["7.png"])],
) -> Response:
    """The bytes of a sample, in its media type."""
    path = services.catalogue.get(name).file.path

    def work() -> Response:
        found = find(samples(path, services.settings.max_bytes), file)
        return Response(
            found.path.read_bytes(), headers=GUARDED | {"Content-Type": found.media_type}
        )

    return (await run_queued(services, deadline_of(services), work)).result


def _summary(each: Sample) -> dict[str, Any]:
    return {
        "name": each.name,
        "file": each.path.name,
        "media_type": each.media_type,
        "bytes": each.size,
    }
