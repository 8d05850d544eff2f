"""`/v2/repository`: which models there are, and loading and unloading them by name where that is
allowed.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.api.dependencies import ServicesDependency, limits_of
from service.api.oip import request_bodies, schemas
from service.api.oip.failures import documented
from service.api.responses import as_json
from service.errors import InvalidRequest
from service.oip import document
from service.oip.document import Fields
from service.services import Services

router = APIRouter(tags=["Open Inference Protocol"])
BODY = (400, 408, 413, 415)
CONTROL = {200: {"description": "Done"}} | documented(*BODY, 403, 404, 503)


@router.post(
    "/v2/repository/index",
    summary="Every model that there is",
    response_model=list[schemas.RepositoryIndexEntry],
    responses=documented(*BODY, 503),
    openapi_extra=schemas.INDEX,
)
async def index(request: Request, services: ServicesDependency) -> Response:
    """Each version with its state, and what is wrong with it; with `{"ready": true}` only those
    that answer.
    """
    ready = document.flag("the request", await _body(request, services), "ready")
    listed = await asyncio.to_thread(services.manager.index)
    return as_json(
        [
            {
                "name": entry.name,
                "version": entry.version,
                "state": entry.state,
                "reason": entry.reason,
            }
            for entry in listed
            if not ready or entry.state == "READY"
        ]
    )


@router.post(
    "/v2/repository/models/{name}/load",
    summary="Load a model",
    response_class=Response,
    responses=CONTROL,
    openapi_extra=schemas.LOAD,
)
async def load(request: Request, services: ServicesDependency, name: str) -> Response:
    """Load all versions of a model from the models folder, or what changed of them.

    Only where `FOVEA_MODEL_CONTROL` is `explicit`. Answered when the model is warm. No
    configuration and no file are taken from the request.
    """
    parameters = _parameters(await _body(request, services))
    if parameters:
        refused = ", ".join(f"'{parameter[:80]}'" for parameter in parameters)
        raise InvalidRequest(
            f"a model is loaded as it is in the models folder: no {refused} is taken from a request"
        )
    await asyncio.to_thread(services.manager.load, name)
    return Response()


@router.post(
    "/v2/repository/models/{name}/unload",
    summary="Unload a model",
    response_class=Response,
    responses=CONTROL,
    openapi_extra=schemas.UNLOAD,
)
async def unload(request: Request, services: ServicesDependency, name: str) -> Response:
    """Answer no requests for a model any more; those that began are answered.

    Only where `FOVEA_MODEL_CONTROL` is `explicit`.
    """
    parameters = _parameters(await _body(request, services))
    document.flag("the request", parameters, "unload_dependents")
    await asyncio.to_thread(services.manager.unload, name)
    return Response()


async def _body(request: Request, services: Services) -> Fields:
    data = await request_bodies.read(request, limits_of(services))
    return document.read(data) if data else {}


def _parameters(body: Fields) -> dict[str, Any]:
    return dict(document.parameters("the request", body))
