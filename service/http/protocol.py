"""Uvicorn's HTTP protocol, with a lane for plain requests and with the head and the body of an
answer in one write.

A request whose head is plain is kept from the app until its body is there, and then goes down the
lane. Besides, clients send the same head again and again: one that the HTTP parser has read is
remembered with what it asks for, and the same bytes in the same place are not parsed again. Only at
the beginning of a message are they looked for, and only for a request that is there as a whole: in
every other case the parser gets every byte.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

REMEMBERED = 4096
"""Heads that are known at a time."""
LONGEST_HEAD = 1024
WAIT_SECONDS = 1.0
"""For the rest of a request, before the ordinary way takes over with its own patience."""
_END = b"\r\n\r\n"


REQUEST_TASK = "fovea.answering"
"""The key of a scope under which the request's `RequestTask` is."""


class RequestTask:
    """Who answers a connection's request; told when the client goes, and nobody is left to answer."""

    __slots__ = ("gone", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.gone = False

    def leave(self) -> None:
        """The client is gone: cancel the task."""
        self.gone = True
        if self.task is not None:
            self.task.cancel()


class ParsedHead(Protocol):
    """What the head of a request asks for."""

    @property
    def length(self) -> int:
        """How many bytes follow the head."""

    @property
    def repeats(self) -> bool:
        """Whether the same head may come again, byte for byte."""


class Connection(Protocol):
    """Where an answer goes."""

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the answer; `headers` are whole lines."""


class FastPath(Protocol):
    """Answers plain requests without a task, a scope or a route."""

    plans: MutableMapping[bytes, Any]
    """Of the heads that are remembered."""

    def plan(self, scope: Mapping[str, Any]) -> ParsedHead | None:
        """What the head of this request asks for; None if it is to go the ordinary way."""

    def take(self, plan: Any, body: bytes, connection: Connection) -> bool:
        """Answer this request before the loop turns again; False if it is to go the ordinary way."""

    def work(self) -> None:
        """Answer now what was taken."""


class CoalescingTransport:
    """A transport that keeps what is written in one turn of the event loop and writes it at its
    end.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write with what else is written until the loop turns."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def write_whole(self, data: bytes) -> None:
        """Write what nothing more belongs to."""
        if self._parts:
            self._parts.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Write what is left, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
            self._transport.write(data)


@dataclass(frozen=True, slots=True)
class _PendingRequest:
    """A request whose body is still coming."""

    cycle: RequestResponseCycle
    app: Any
    plan: ParsedHead


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with gathered writes, and past the parser where the app has a lane."""

    transport: CoalescingTransport  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane: FastPath | None = getattr(self.config.app, "lane", None)
        # The parser stands at the beginning of a message.
        self._between = True
        # The head that the parser is reading, if it is one to be remembered.
        self._head = b""
        # What was not there as a whole: all of it, or what the parser has read the head of; and
        # until when to wait.
        self._held = b""
        self._deferred: _PendingRequest | None = None
        self._late: asyncio.TimerHandle | None = None
        # What was taken of what the parser has read.
        self._cycle: RequestResponseCycle | None = None
        self._taken = False
        self._heard = 0.0
        self._answering = RequestTask()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection was opened."""
        super().connection_made(CoalescingTransport(transport, self.loop))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._let_go()
        # Of a body that ends in the middle the framework says what it says.
        self._decide(whole=False)
        super().connection_lost(exc)
        self._answering.leave()

    def data_received(self, data: bytes) -> None:
        """Part of a request came, or all of it, or several."""
        if self._lane is not None:
            if self._taken:
                # Answers go out in the order of the requests, whether or not the client waits for
                # them.
                self._lane.work()
            if self._held:
                data = self._let_go() + data
            if self._between and self._answered() and self._took(data, self._lane):
                return
        super().data_received(data)
        self._head = b""
        if self._deferred is not None and self._late is None:
            self._late = self.loop.call_later(WAIT_SECONDS, self._decide, False)

    def _answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _took(self, data: bytes, lane: FastPath) -> bool:
        """Whether the lane answers this; else the parser is to have it."""
        end = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        if end < len(_END):
            return False
        head = data[:end]
        plan = lane.plans.get(head)
        if plan is None:
            self._head = head
            return False
        missing = plan.length - (len(data) - end)
        if missing > 0:
            self._unset_keepalive_if_required()
            self._held, self._late = data, self.loop.call_later(WAIT_SECONDS, self._give_up)
            return True
        if missing < 0 or self.flow.write_paused or not lane.take(plan, data[end:], self):
            return False
        self._taken, self._heard = True, self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)
        return True

    def reply(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the answer to the request that was taken."""
        self._taken = False
        cycle, self._cycle = self._cycle, None
        if not self.transport.is_closing():
            usual = b"".join([b"%b: %b\r\n" % pair for pair in self.server_state.default_headers])
            self.transport.write_whole(
                b"%b%b%b\r\n%b" % (STATUS_LINE[status], usual, headers, body)
            )
        if cycle is None:
            self.server_state.total_requests += 1
        else:
            cycle.response_complete = True
            self.on_response_complete()

    def on_message_begin(self) -> None:
        """The parser has seen the first byte of a request."""
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has read a head."""
        super().on_headers_complete()
        self.scope[REQUEST_TASK] = self._answering  # type: ignore[literal-required]
        head, self._head = self._head, b""
        deferred = self._deferred
        # Where a line may end differently for the parser, this is not where the head ends.
        if (
            self._lane is None
            or deferred is None
            or not head
            or head.count(b"\n") != head.count(b"\r\n")
        ):
            return
        if deferred.plan.repeats:
            if len(self._lane.plans) >= REMEMBERED:
                self._lane.plans.clear()
            self._lane.plans[head] = deferred.plan

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        plan = self._lane.plan(cycle.scope) if self._lane is not None and app is self.app else None
        if plan is None:
            super()._start_asgi_task(cycle, app)
            return
        self._deferred = _PendingRequest(cycle, app, plan)
        if not cycle.more_body:
            self._decide(whole=True)

    def _decide(self, whole: bool) -> None:
        """Give what was deferred to the lane, if it is there as a whole, or else to the app."""
        deferred, self._deferred = self._deferred, None
        if deferred is None or self._lane is None:
            return
        self._let_go()
        cycle = deferred.cycle
        if (
            whole
            and not self.flow.write_paused
            and self._lane.take(deferred.plan, bytes(cycle.body), self)
        ):
            self._taken, self._cycle = True, cycle
        else:
            super()._start_asgi_task(cycle, deferred.app)

    def on_message_complete(self) -> None:
        """The parser has read a request to its end."""
        self._between = True
        super().on_message_complete()
        self._decide(whole=True)
        if not self.pipeline:
            # The last part of a large body has paused it; and that the client goes is to be heard.
            self.flow.resume_reading()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was heard for a while, or only in the lane, which does not wind the clock for
        each request.
        """
        rest = self._heard + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._keep_alive(rest)
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _let_go(self) -> bytes:
        if self._late is not None:
            self._late.cancel()
        held, self._held, self._late = self._held, b"", None
        return held

    def _give_up(self) -> None:
        held = self._let_go()
        super().data_received(held)
        self._decide(whole=False)
