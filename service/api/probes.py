"""`/livez`, `/readyz` and `/metrics`."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.api import problems
from service.api.dependencies import ServicesDependency
from service.api.responses import as_json
from service.api.schemas import Status
from service.errors import NotReady
from service.services import Services
from service.telemetry.prometheus import CONTENT_TYPE, Snapshot, render

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
async def readyz(request: Request, services: ServicesDependency) -> Response:
    """200 if a model is served; 503 if none is, or while the service is shutting down."""
    if request.app.state.health.draining:
        raise NotReady("draining: the service is shutting down")
    if services.catalogue.trouble:
        raise NotReady(services.catalogue.trouble)
    repository = services.catalogue
    refused = "; ".join(
        f"{refusal.name}:{refusal.version}: {refusal.reason}" for refusal in repository.refused
    )
    notes = [
        note for note in (repository.without_default, refused and f"refused: {refused}") if note
    ]
    return as_json({"status": "ready"} | ({"detail": "; ".join(notes)} if notes else {}))


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus text format",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def prometheus(services: ServicesDependency) -> Response:
    """Requests, latencies, models, the queue, caches and processes; of all workers, whichever
    answers.
    """
    text = await asyncio.to_thread(_scrape, services)
    return Response(text, media_type=CONTENT_TYPE)


def _scrape(services: Services) -> bytes:
    return render(services.metrics, services.statistics, _snapshot(services))


def _snapshot(services: Services) -> Snapshot:
    engine, store = services.engine, services.store
    return Snapshot(
        provider=engine.provider,
        runtime=engine.version,
        served=[(model.name, model.version, model.provider) for model in services.catalogue],
        rejected=len(services.catalogue.refused),
        stored=store.usage(),
        store_limit=services.settings.input_store_bytes,
    )
