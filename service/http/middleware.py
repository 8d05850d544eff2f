"""Around every request: its id, the access log, metrics, refusal while draining, and the last
resort for failures.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import errors
from service.api import problems
from service.draining import DrainState
from service.http.request_task import SCOPE_KEY, RequestTask
from service.telemetry.logs import access, request_id
from service.telemetry.metrics import Metrics

ID_HEADER = "X-Request-ID"
_ID_HEADER = ID_HEADER.lower().encode()
PROBES = frozenset(("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"))
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
CLIENT_GONE = 499
_DRAINING = "the service is shutting down; ask another instance, or try again later"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AnsweredRequest:
    """What metrics and the access log report of a request; `template` is its route's path."""

    method: str
    path: str
    template: str
    status: int
    seconds: float
    request_id: str


def record(
    metrics: Metrics, requests: Sequence[AnsweredRequest], level: int = logging.INFO
) -> None:
    """Count these requests, and write their lines of the access log in one piece."""
    for request in requests:
        method = request.method if request.method in _METHODS else "other"
        metrics.request_answered(method, request.template, request.status, request.seconds)
    access.write(
        level,
        [
            {
                "method": request.method,
                "path": request.path,
                "status": request.status,
                "ms": round(request.seconds * 1000, 3),
                "request_id": request.request_id,
            }
            for request in requests
        ],
    )


def internal_error(error: object, method: str, path: str, request_id: str) -> Response:
    """The answer to a request that failed with an error nobody expected; it is logged."""
    log.error("request failed", method=method, path=path, request_id=request_id, exc_info=error)
    return problems.response(problems.INTERNAL, problems.FAILED, request_id, path=path)


class RequestMiddleware:
    """Pure ASGI: bodies and answers pass through untouched. HEAD is answered as GET, without the
    body.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, health: DrainState) -> None:
        self._app = app
        self._metrics = metrics
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = _RequestContext(scope, send)
        in_flight = 0 if context.is_probe else 1
        self._count(in_flight)
        structlog.contextvars.bind_contextvars(request_id=context.request_id)
        try:
            await self._answer_until_disconnect(context, receive)
        finally:
            self._count(-in_flight)
            self._record(context)
            structlog.contextvars.unbind_contextvars("request_id")

    def _count(self, step: int) -> None:
        self._health.in_flight += step
        self._metrics.requests_in_flight.set(self._health.in_flight)

    async def _answer_until_disconnect(self, context: "_RequestContext", receive: Receive) -> None:
        """Answer a request; the connection cancels this task when the client disconnects."""
        request_task: RequestTask | None = context.scope.get(SCOPE_KEY)
        if request_task is not None:
            request_task.task = asyncio.current_task()
            if request_task.disconnected:
                return
        try:
            await self._answer(context, receive)
        except ClientDisconnect:
            context.status = context.status or CLIENT_GONE
        except asyncio.CancelledError:
            if request_task is None or request_task.task is None or not request_task.disconnected:
                raise
            request_task.task.uncancel()
            context.status = context.status or CLIENT_GONE

    async def _answer(self, context: "_RequestContext", receive: Receive) -> None:
        """Answer a request, also where the app fails before its answer has begun."""
        if self._health.draining and not context.is_probe:
            await _refusal(context)(context.scope, receive, context.send)
            return
        try:
            await self._app(context.scope, receive, context.send)
        except ClientDisconnect:
            raise
        except Exception as error:
            failure = internal_error(
                error, context.method, context.scope["path"], context.request_id
            )
            if context.status:
                raise
            await failure(context.scope, receive, context.send)

    def _record(self, context: "_RequestContext") -> None:
        request = AnsweredRequest(
            context.method,
            context.scope["path"],
            _template(context.scope),
            context.status or CLIENT_GONE,
            time.monotonic() - context.started,
            context.request_id,
        )
        record(self._metrics, [request], logging.DEBUG if context.is_probe else logging.INFO)


class _RequestContext:
    """One request and what was answered so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = time.monotonic()
        self.status = 0
        sent_id = next((value for name, value in scope["headers"] if name == _ID_HEADER), None)
        self.request_id = request_id(None if sent_id is None else sent_id.decode("latin-1"))
        self.method = scope["method"]
        self.is_probe = scope["path"] in PROBES
        self.scope = {**scope, "method": "GET"} if self.method == "HEAD" else scope
        self._send = send
        self.scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        """Pass a message on; the head of the answer gets the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (_ID_HEADER, self.request_id.encode("ascii")),
            ]
        elif self.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)


def _refusal(context: _RequestContext) -> Response:
    """The answer to new work while the service is draining."""
    kind = problems.KINDS[errors.NotReady]
    headers = {"Retry-After": "5", "Connection": "close"}
    path = context.scope["path"]
    return problems.response(kind, _DRAINING, context.request_id, headers, path=path)


def _template(scope: Scope) -> str:
    """The route's pattern: paths themselves would make endless metrics."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "") or "(none)")
