"""Around every request: its id, the access log, metrics, refusal while draining, and the last
resort for failures.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import errors
from service.api import problems
from service.draining import DrainState
from service.http.protocol import REQUEST_TASK, RequestTask
from service.telemetry.logs import access, request_id
from service.telemetry.metrics import Metrics

ID_HEADER = "X-Request-ID"
_ID_HEADER = ID_HEADER.lower().encode()
PROBES = frozenset(("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"))
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
CLIENT_GONE = 499

log = structlog.get_logger(__name__)


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
        exchange = _RequestContext(scope, send)
        work = scope["path"] not in PROBES
        self._count(1 if work else 0)
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        try:
            await self._answer(exchange, receive, work)
        finally:
            self._count(-1 if work else 0)
            self._record(exchange, work)
            structlog.contextvars.unbind_contextvars("request_id")

    def _count(self, step: int) -> None:
        self._health.in_flight += step
        self._metrics.requests_in_flight.set(self._health.in_flight)

    async def _answer(self, exchange: "_RequestContext", receive: Receive, work: bool) -> None:
        answering: RequestTask | None = exchange.scope.get(REQUEST_TASK)
        if answering is not None:
            answering.task = asyncio.current_task()
            if answering.gone:
                return
        try:
            if self._health.draining and work:
                kind = problems.KINDS[errors.NotReady]
                text = "the service is shutting down; ask another instance, or try again later"
                headers = {"Retry-After": "5", "Connection": "close"}
                refusal = problems.response(
                    kind, text, exchange.request_id, headers, path=exchange.scope["path"]
                )
                await refusal(exchange.scope, receive, exchange.send)
                return
            await self._app(exchange.scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = exchange.status or CLIENT_GONE
        except asyncio.CancelledError:
            if answering is None or answering.task is None or not answering.gone:
                raise
            answering.task.uncancel()
            exchange.status = exchange.status or CLIENT_GONE
        except Exception:
            log.exception("request failed", method=exchange.method, path=exchange.scope["path"])
            if exchange.status:
                raise
            path = exchange.scope["path"]
            failure = problems.response(
                problems.INTERNAL, problems.FAILED, exchange.request_id, path=path
            )
            await failure(exchange.scope, receive, exchange.send)

    def _record(self, exchange: "_RequestContext", work: bool) -> None:
        seconds = time.monotonic() - exchange.started
        scope, status = exchange.scope, exchange.status or CLIENT_GONE
        method = exchange.method if exchange.method in _METHODS else "other"
        self._metrics.request_answered(method, _template(scope), status, seconds)
        access.write(
            logging.INFO if work else logging.DEBUG,
            [logged(exchange.method, scope["path"], status, seconds, exchange.request_id)],
        )


def logged(
    method: str, path: str, status: int, seconds: float, request_id: str
) -> Mapping[str, Any]:
    """What the access log says of a request."""
    return {
        "method": method,
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 3),
        "request_id": request_id,
    }


class _RequestContext:
    """One request and what was answered so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.started = time.monotonic()
        self.status = 0
        given = next((value for name, value in scope["headers"] if name == _ID_HEADER), None)
        self.request_id = request_id(None if given is None else given.decode("latin-1"))
        self.method = scope["method"]
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


def _template(scope: Scope) -> str:
    """The route's pattern: paths themselves would make endless metrics."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "") or "(none)")
