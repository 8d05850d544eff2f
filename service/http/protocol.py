"""Uvicorn's HTTP protocol, with a fast path for plain requests and with the head and the body of an
answer in one write.

A request whose head is plain is kept from the app until its body is there, and is then offered to
the fast path. Besides, clients send the same head again and again: one that the HTTP parser has
read is cached with what it asks for, and the same bytes in the same place are not parsed again.
They are looked for only at the beginning of a message, and only in a request that is there as a
whole: in every other case the parser gets every byte.

This is the one module that relies on attributes of uvicorn that it does not document; before the
server starts, `check_uvicorn` makes sure that they are there.
"""

import asyncio
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import UnsupportedUvicorn
from service.http.fast_path import FastPath, PredictHead
from service.http.request_task import SCOPE_KEY, RequestTask
from service.http.transport import CoalescingTransport

MAX_CACHED_HEADS = 4096
MAX_HEAD_BYTES = 1024
BODY_WAIT_SECONDS = 1.0
"""For the rest of a request, before the framework takes over with its own patience."""
_HEAD_END = b"\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}

OVERRIDDEN = (
    "connection_made",
    "connection_lost",
    "data_received",
    "on_message_begin",
    "on_headers_complete",
    "on_message_complete",
    "timeout_keep_alive_handler",
    "_start_asgi_task",
)
"""Methods that take the place of uvicorn's and call them."""
_PROTOCOL_NAMES = (
    *("app", "config", "cycle", "flow", "loop", "pipeline", "scope", "server_state", "transport"),
    *("timeout_keep_alive", "timeout_keep_alive_task"),
    *("on_response_complete", "_unset_keepalive_if_required"),
)
USED: tuple[tuple[type, tuple[str, ...]], ...] = (
    (HttpToolsProtocol, _PROTOCOL_NAMES),
    (RequestResponseCycle, ("body", "more_body", "response_complete", "scope")),
    (FlowControl, ("resume_reading", "write_paused")),
)
"""What is read of uvicorn's objects besides."""


@dataclass(frozen=True, slots=True)
class _PendingRequest:
    """A request whose body is still coming."""

    cycle: RequestResponseCycle
    app: Any
    head: PredictHead


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with coalesced writes, and past the parser where the app has a fast path."""

    transport: CoalescingTransport  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fast_path: FastPath | None = getattr(self.config.app, "fast_path", None)
        self._at_message_start = True
        # The head that the parser is reading, if it is one to be cached.
        self._head = b""
        # The part of a request that came, where its head is cached; or the request whose head the
        # parser has read. The timer ends the wait for the rest.
        self._partial = b""
        self._pending: _PendingRequest | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The request that the fast path is answering, if the parser has read it.
        self._cycle: RequestResponseCycle | None = None
        self._handling = False
        self._last_activity = 0.0
        self._request_task = RequestTask()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection was opened."""
        super().connection_made(CoalescingTransport(transport, self.loop))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._cancel_timer()
        # The framework answers for a body that ends in the middle.
        self._dispatch(complete=False)
        super().connection_lost(exc)
        self._request_task.cancel()

    def data_received(self, data: bytes) -> None:
        """Part of a request came, or all of it, or several."""
        if self._fast_path is not None:
            if self._handling:
                # Answers go out in the order of the requests, whether or not the client waits for
                # them.
                self._fast_path.run_batch()
            if self._partial:
                data = self._cancel_timer() + data
            if self._is_idle() and self._try_handle(data, self._fast_path):
                return
        super().data_received(data)
        self._head = b""
        if self._pending is not None and self._timer is None:
            self._timer = self.loop.call_later(BODY_WAIT_SECONDS, self._dispatch, False)

    def _is_idle(self) -> bool:
        """Whether the next byte begins a request, and every one before it is answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return self._at_message_start and (cycle is None or cycle.response_complete)

    def _try_handle(self, data: bytes, fast_path: FastPath) -> bool:
        """Whether the fast path answers this or waits for the rest; else the parser gets it."""
        end = data.find(_HEAD_END, 0, MAX_HEAD_BYTES) + len(_HEAD_END)
        if end < len(_HEAD_END):
            return False
        head = fast_path.heads.get(data[:end])
        if head is None:
            self._head = data[:end]
            return False
        missing = head.length - (len(data) - end)
        if missing > 0:
            self._unset_keepalive_if_required()
            self._partial = data
            self._timer = self.loop.call_later(BODY_WAIT_SECONDS, self._fall_back)
            return True
        if missing < 0 or self.flow.write_paused:
            return False
        if not fast_path.try_handle(head, data[end:], self):
            return False
        self._handling, self._last_activity = True, self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._start_keep_alive(self.timeout_keep_alive)
        return True

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the answer to the request that the fast path handles."""
        self._handling = False
        cycle, self._cycle = self._cycle, None
        if not self.transport.is_closing():
            default = b"".join([b"%b: %b\r\n" % pair for pair in self.server_state.default_headers])
            self.transport.write_complete(
                b"%b%b%b\r\n%b" % (_STATUS_LINES[status], default, headers, body)
            )
        if cycle is None:
            self.server_state.total_requests += 1
        else:
            cycle.response_complete = True
            self.on_response_complete()

    def on_message_begin(self) -> None:
        """The parser has seen the first byte of a request."""
        self._at_message_start = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has read a head."""
        super().on_headers_complete()
        self.scope[SCOPE_KEY] = self._request_task  # type: ignore[literal-required]
        head, self._head = self._head, b""
        # Where a line may end differently for the parser, this is not where the head ends.
        ends_alike = head.count(b"\n") == head.count(b"\r\n")
        if head and ends_alike and self._fast_path is not None and self._pending is not None:
            self._cache_head(head, self._pending.head, self._fast_path.heads)

    @staticmethod
    def _cache_head(data: bytes, head: PredictHead, heads: dict[bytes, PredictHead]) -> None:
        if head.cacheable:
            if len(heads) >= MAX_CACHED_HEADS:
                heads.clear()
            heads[data] = head

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        head = None
        if self._fast_path is not None and app is self.app:
            head = self._fast_path.parse_head(cycle.scope)
        if head is None:
            super()._start_asgi_task(cycle, app)
            return
        self._pending = _PendingRequest(cycle, app, head)
        if not cycle.more_body:
            self._dispatch(complete=True)

    def _dispatch(self, complete: bool) -> None:
        """Give the pending request to the fast path, if it is complete, or else to the app."""
        pending, self._pending = self._pending, None
        if pending is None or self._fast_path is None:
            return
        self._cancel_timer()
        cycle = pending.cycle
        fits = complete and not self.flow.write_paused
        if fits and self._fast_path.try_handle(pending.head, bytes(cycle.body), self):
            self._handling, self._cycle = True, cycle
        else:
            super()._start_asgi_task(cycle, pending.app)

    def on_message_complete(self) -> None:
        """The parser has read a request to its end."""
        self._at_message_start = True
        super().on_message_complete()
        self._dispatch(complete=True)
        if not self.pipeline:
            # The last part of a large body has paused it; and a disconnect is to be heard.
            self.flow.resume_reading()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was heard for a while, or only by the fast path, which does not restart the timer
        for each request.
        """
        rest = self._last_activity + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._start_keep_alive(rest)
        else:
            super().timeout_keep_alive_handler()

    def _start_keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _cancel_timer(self) -> bytes:
        """Stop waiting for the rest of a request; the part of it that came."""
        if self._timer is not None:
            self._timer.cancel()
        partial, self._partial, self._timer = self._partial, b"", None
        return partial

    def _fall_back(self) -> None:
        """The rest of a request is late: let the parser and the framework have what came."""
        partial = self._cancel_timer()
        super().data_received(partial)
        self._dispatch(complete=False)


def check_uvicorn() -> None:
    """Raises UnsupportedUvicorn where this version lacks what `HttpProtocol` overrides or uses."""
    missing = [
        f"{owner.__name__}.{name}" for owner, names in USED for name in _absent(owner, names)
    ]
    missing += [f"HttpToolsProtocol.{name}" for name in OVERRIDDEN if not _is_overridable(name)]
    if missing:
        raise UnsupportedUvicorn(
            f"uvicorn {uvicorn.__version__} is not supported: it has no {', '.join(missing)} as "
            "this service knows it; install a version that pyproject.toml allows"
        )


def _absent(owner: type, names: Iterable[str]) -> list[str]:
    """Those of the names that the class has not, and that its constructor never sets."""
    code = getattr(vars(owner).get("__init__"), "__code__", None)
    assigned: tuple[str, ...] = getattr(code, "co_names", ())
    return [name for name in names if not hasattr(owner, name) and name not in assigned]


def _is_overridable(name: str) -> bool:
    """Whether uvicorn has this method, with the parameters that ours has."""
    method = vars(HttpToolsProtocol).get(name)
    if method is None:
        return False
    parameters = inspect.signature(method).parameters
    return list(parameters) == list(inspect.signature(getattr(HttpProtocol, name)).parameters)
