"""What the routes share: the services, the limits, and work done on the queue's threads instead of
the event loop's.
"""

import time
from asyncio import CancelledError
from collections.abc import Callable
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Query, Request
from starlette.requests import ClientDisconnect

from service.api.request_bodies import Limits
from service.errors import DeadlinePassed, FoveaError, NotReady, QueueFull
from service.repository.model import Model
from service.scheduling.work_item import Completed
from service.services import Services
from service.telemetry.metrics import Reason

Result = TypeVar("Result")


async def services_of(request: Request) -> Services:
    """The services of the app that answers this request."""
    return cast(Services, request.state.services)


ServicesDependency = Annotated[Services, Depends(services_of)]
ModelSpec = Annotated[
    str | None,
    Query(
        description="NAME or NAME:VERSION; without it the default model answers",
        examples=["imagenet"],
    ),
]


async def chosen_model(services: ServicesDependency, model: ModelSpec = None) -> Model:
    """The model that the request names, or the default one."""
    return services.catalogue.get(model)


ModelDependency = Annotated[Model, Depends(chosen_model)]


def limits_of(services: Services) -> Limits:
    """The limits of request bodies."""
    chosen = services.settings
    return Limits(chosen.max_bytes, chosen.max_files, chosen.deadline_seconds)


def deadline_of(services: Services) -> float:
    """The point of `time.monotonic()` by which a request that starts now is to be answered."""
    return time.monotonic() + services.settings.deadline_seconds


async def run_queued(
    services: Services, deadline: float, work: Callable[[], Result], model: Model | None = None
) -> Completed[Result]:
    """Do work that needs no run of the network, off the event loop; raises QueueFull, or
    DeadlinePassed if it is not done in time.

    Work whose turn did not come by then is dropped; what is running ends by itself.
    """
    completed = await services.pipeline.on_cpu(model, deadline, work)
    services.statistics.waited(completed.waited)
    return completed


def record_failure(services: Services, model: Model, error: object, came: float) -> None:
    """Count a request to a model that failed with this error; it came at this point of
    `time.monotonic()`.
    """
    services.statistics.failed(model.name, model.version, _reason(error), time.monotonic() - came)


def _reason(error: object) -> Reason:
    if isinstance(error, QueueFull | DeadlinePassed | NotReady):
        return "REJECTED"
    if isinstance(error, CancelledError | ClientDisconnect):
        return "CANCELED"
    return "OTHER" if isinstance(error, FoveaError) else "BACKEND"
