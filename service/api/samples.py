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
    name: {"schema": {"type": "string", "format": "binary"}}
    for name in dict.fromkeys(MEDIA_TYPES.values())
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
        files = samples(model.file.path, services.settings.max_bytes)
        body = {
            "model": model.name,
            "version": model.version,
            "samples": [_summary(file) for file in files],
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
        match = find(samples(path, services.settings.max_bytes), file)
        return Response(
            match.path.read_bytes(), headers=GUARDED | {"Content-Type": match.media_type}
        )

    return (await run_queued(services, deadline_of(services), work)).result


def _summary(file: Sample) -> dict[str, Any]:
    return {
        "name": file.name,
        "file": file.path.name,
        "media_type": file.media_type,
        "bytes": file.size,
    }
