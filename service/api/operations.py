"""`/livez`, `/readyz` and `/metrics`."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service import metrics
from service.api import problems
from service.api.rendering import as_json
from service.api.schemas import Status
from service.api.work import Serving
from service.errors import NotReady

router = APIRouter(tags=["operations"])


@router.get("/livez", summary="Is the process alive", response_model=Status)
async def livez() -> Response:
    """200 as long as the process answers at all."""
    return as_json({"status": "alive"})


@router.get(
    "/readyz",
    summary="May requests be sent here",
    response_model=Status,
    responses=problems.documented(NotReady),
)
async def readyz(request: Request, services: Serving) -> Response:
    """200 if a model is served; 503 if none is, or while the service is shutting down."""
    if request.app.state.health.draining:
        raise NotReady("draining: the service is shutting down")
    if services.repository.trouble:
        raise NotReady(services.repository.trouble)
    repository = services.repository
    refused = "; ".join(f"{each.name}:{each.version}: {each.reason}" for each in repository.refused)
    notes = [note for note in (repository.without_default, refused and f"refused: {refused}") if note]
    return as_json({"status": "ready"} | ({"detail": "; ".join(notes)} if notes else {}))


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def prometheus(request: Request, services: Serving) -> Response:
    """Requests, latencies, work in flight, the provider in use and sessions; of this worker process."""
    own: metrics.Metrics = request.app.state.metrics
    own.models(*services.repository.counts)
    own.queued.set(services.batcher.inside)
    own.sessions.set(services.engine.sessions_built)
    return Response(own.text(), media_type=metrics.CONTENT_TYPE)
