"""`GET /v2/models/{m}` and what is below it: metadata, readiness, configuration and statistics."""

from fastapi import APIRouter
from fastapi.responses import Response

from service.api.dependencies import ServicesDependency
from service.api.oip import schemas
from service.api.oip.failures import documented
from service.api.responses import as_json
from service.oip import about
from service.repository.model import Model
from service.services import Services

router = APIRouter(tags=["Open Inference Protocol"])
FAILURES = documented(404, 503)
MODEL = "/v2/models/{name}"
VERSION = "/v2/models/{name}/versions/{version}"


# Before the routes of one model, so that none is looked for by the name of this one.
@router.get(
    "/v2/models/stats",
    summary="Statistics of all models",
    response_model=schemas.ModelStatisticsResponse,
)
async def all_stats(services: ServicesDependency) -> Response:
    """How often each version ran since the start, in which batches, and how long each part of it
    took.
    """
    return _statistics(services, list(services.catalogue))


@router.get(MODEL, summary="A model", response_model=schemas.Metadata, responses=FAILURES)
async def metadata(services: ServicesDependency, name: str) -> Response:
    """Inputs and outputs of the newest version, and its layers, each of which can be asked for as
    an output.
    """
    return _metadata(services, services.catalogue.get(name))


@router.get(
    VERSION, summary="A version of a model", response_model=schemas.Metadata, responses=FAILURES
)
async def metadata_of_version(services: ServicesDependency, name: str, version: str) -> Response:
    """The same of this version."""
    return _metadata(services, services.catalogue.get(f"{name}:{version}"))


@router.get(
    f"{MODEL}/ready",
    summary="Is a model ready",
    response_model=schemas.ModelReady,
    responses=FAILURES,
)
async def ready(services: ServicesDependency, name: str) -> Response:
    """200 if the model answers."""
    return as_json({"name": services.catalogue.get(name).name, "ready": True})


@router.get(
    f"{VERSION}/ready",
    summary="Is a version ready",
    response_model=schemas.ModelReady,
    responses=FAILURES,
)
async def ready_version(services: ServicesDependency, name: str, version: str) -> Response:
    """200 if this version answers."""
    return as_json({"name": services.catalogue.get(f"{name}:{version}").name, "ready": True})


@router.get(
    f"{MODEL}/config",
    summary="A model's configuration",
    response_model=schemas.Config,
    responses=FAILURES,
)
async def config(services: ServicesDependency, name: str) -> Response:
    """Triton's ModelConfig of the newest version, as far as it means something here."""
    return _config(services, services.catalogue.get(name))


@router.get(
    f"{VERSION}/config",
    summary="A version's configuration",
    response_model=schemas.Config,
    responses=FAILURES,
)
async def config_of_version(services: ServicesDependency, name: str, version: str) -> Response:
    """The same of this version."""
    return _config(services, services.catalogue.get(f"{name}:{version}"))


@router.get(
    f"{MODEL}/stats",
    summary="A model's statistics",
    response_model=schemas.ModelStatisticsResponse,
    responses=FAILURES,
)
async def stats(services: ServicesDependency, name: str) -> Response:
    """Those of all its versions."""
    newest = services.catalogue.get(name)
    versions = services.catalogue.models.get(newest.name, {newest.version: newest})
    return _statistics(services, list(versions.values()))


@router.get(
    f"{VERSION}/stats",
    summary="A version's statistics",
    response_model=schemas.ModelStatisticsResponse,
    responses=FAILURES,
)
async def stats_of_version(services: ServicesDependency, name: str, version: str) -> Response:
    """Those of this version."""
    return _statistics(services, [services.catalogue.get(f"{name}:{version}")])


def _metadata(services: Services, model: Model) -> Response:
    versions = sorted(services.catalogue.models.get(model.name, [model.version]), key=int)
    return as_json(about.metadata(model, versions))


def _config(services: Services, model: Model) -> Response:
    return as_json(about.config(model, services.batcher.workers))


def _statistics(services: Services, models: list[Model]) -> Response:
    entries = [
        about.statistics(services.statistics.of(model.name, model.version)) for model in models
    ]
    return as_json({"model_stats": entries})
