"""The app factory: routes, middleware and the services they use. Importing this does nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import (
    docs_pages,
    field_tables,
    inputs,
    layers,
    models,
    predictions,
    probes,
    problems,
    receptive_fields,
    samples,
)
from service.api.oip import infer, repository, server
from service.api.oip import models as v2_models
from service.api.openapi import describe
from service.draining import DrainState, drain_on_signals
from service.explorer import pages as explorer
from service.http.fast_path import FastPath
from service.http.fast_routes import FastRoutes
from service.http.middleware import ID_HEADER, RequestMiddleware
from service.services import Services
from service.settings import Settings
from service.telemetry.metrics import Metrics

ROUTERS = (
    predictions,
    models,
    samples,
    layers,
    receptive_fields,
    field_tables,
    inputs,
    probes,
    problems,
)
V2_ROUTERS = (server, v2_models, infer, repository)

EXPOSED_HEADERS = (
    ID_HEADER,
    "X-Input-Id",
    "X-Channels",
    "Retry-After",
    "Inference-Header-Content-Length",
)

log = structlog.get_logger(__name__)


class State(TypedDict):
    """What the lifespan hands to every request."""

    services: Services


class App(FastAPI):
    """The framework, what every request passes around it, and the fast path in front of it."""

    outside: ASGIApp
    fast_path: FastPath | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self
        await self.outside(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """The framework's, without its own answer to failures: `RequestMiddleware` logs and answers
        them.
        """
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack

    async def inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        await super().__call__(scope, receive, send)


def create_app(
    settings: Settings, services: Services | None = None, metrics: Metrics | None = None
) -> FastAPI:
    """The app with these settings; it starts the services on its way up, unless they are given, and
    closes them.

    It counts in `metrics`, or in those of the services, or in some of its own.
    """
    metrics = metrics or (Metrics() if services is None else services.metrics)
    metrics.worker_started()
    health = DrainState()
    app = App(
        title="Fovea",
        version=_version(),
        summary="Serves convolutional networks and shows what every unit sees.",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(settings, services, metrics, health),
    )
    app.state.health = health
    problems.install(app)
    for module in (*ROUTERS, *V2_ROUTERS):
        app.include_router(module.router)
    docs_pages.install(app)
    explorer.install(app)
    describe(app)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    app.outside = RequestMiddleware(FastRoutes(app.inside), metrics, health)
    return app


def _allow_origins(app: App, origins: Sequence[str]) -> None:
    """Answer requests of pages of these sites too (CORS)."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )


def _lifespan(
    settings: Settings,
    services: Services | None,
    metrics: Metrics,
    health: DrainState,
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        running = services
        if running is None:
            running = await asyncio.to_thread(Services.start, settings, metrics)
        _announce(running)
        if isinstance(app, App):
            app.fast_path = FastPath(running, metrics, health)
        try:
            with drain_on_signals(health, settings.shutdown_seconds):
                yield {"services": running}
        finally:
            await asyncio.to_thread(running.close)

    return lifespan


def _announce(services: Services) -> None:
    """Log once the provider, each model that is served, and each that was rejected."""
    engine, catalogue = services.engine, services.catalogue
    log.info(
        "engine",
        provider=engine.provider,
        onnxruntime=engine.version,
        note=engine.cpu_reason or None,
    )
    for model in catalogue:
        log.info("model served", model=model.name, version=model.version, layers=len(model.layers))
    for refused in catalogue.refused:
        log.error(
            "model rejected",
            model=refused.name,
            version=refused.version,
            reason=refused.reason,
        )
    if catalogue.without_default:
        log.warning("default model not served", reason=catalogue.without_default)
    if catalogue.trouble:
        models = str(services.settings.models.absolute())
        log.error("not ready", reason=catalogue.trouble, models=models)


def _version() -> str:
    try:
        return version("fovea")
    except PackageNotFoundError:
        return "0"
