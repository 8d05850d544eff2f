"""`GET /v2` and `/v2/health`."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.api.dependencies import ServicesDependency
from service.api.oip import schemas
from service.api.oip.failures import documented
from service.api.responses import as_json
from service.errors import NotReady
from service.oip import about

router = APIRouter(tags=["Open Inference Protocol"])


@router.get("/v2", summary="The server", response_model=schemas.Server, responses=documented())
async def server(request: Request) -> Response:
    """Its name and version, and which extensions of the protocol it has."""
    return as_json(
        {"name": "fovea", "version": request.app.version, "extensions": list(about.EXTENSIONS)}
    )


@router.get(
    "/v2/health/live",
    summary="Is the server alive",
    response_model=schemas.Live,
    responses=documented(),
)
async def live() -> Response:
    """200 as long as the process answers at all."""
    return as_json({"live": True})


@router.get(
    "/v2/health/ready",
    summary="Is the server ready",
    response_model=schemas.Ready,
    responses=documented(503),
)
async def ready(request: Request, services: ServicesDependency) -> Response:
    """200 if requests may be sent here, 503 with the reason if not; the same as `/readyz`."""
    if request.app.state.health.draining:
        raise NotReady("draining: the service is shutting down")
    if services.catalogue.trouble:
        raise NotReady(services.catalogue.trouble)
    return as_json({"ready": True})
