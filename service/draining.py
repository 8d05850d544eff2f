"""A graceful end: after the signal to stop, requests in flight finish before the server closes its
socket.

Until then `/readyz` answers 503 and new work is refused, so that a load balancer sees it and sends
no more. The same signal once more ends the service at once; another one does not, because Ctrl-C
reaches every worker itself and again as the SIGTERM of the process that watches over them. The
server's own handler is wrapped, whichever it is, and called when work is done.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog

SIGNALS = (signal.SIGTERM, signal.SIGINT)
POLL_SECONDS = 0.05

log = structlog.get_logger(__name__)


@dataclass
class DrainState:
    """`draining` after the signal to stop; `in_flight` counts requests that are being answered,
    health checks aside.
    """

    draining: bool = False
    in_flight: int = 0


@contextmanager
def drain_on_signals(health: DrainState, seconds: float) -> Iterator[None]:
    """While open, SIGTERM and SIGINT drain first, for at most `seconds`. Only the main thread can
    listen to signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    drain = _Drain(health, seconds)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, drain.wrapped(handler))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Drain:
    def __init__(self, health: DrainState, seconds: float) -> None:
        self._health = health
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._first: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def wrapped(
        self, handler: Callable[[int, FrameType | None], Any]
    ) -> Callable[[int, FrameType | None], None]:
        """The handler, put off until the work is done; the same signal once more calls it now."""

        def on_signal(number: int, frame: FrameType | None) -> None:
            if self._first is not None:
                if number == self._first:
                    handler(number, frame)
                return
            self._first = number
            self._health.draining = True
            self._loop.call_soon_threadsafe(self._start, lambda: handler(number, None))

        return on_signal

    def _start(self, stop: Callable[[], Any]) -> None:
        task = self._loop.create_task(self._wait(stop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, stop: Callable[[], Any]) -> None:
        log.info("draining", in_flight=self._health.in_flight)
        until = time.monotonic() + self._seconds
        while self._health.in_flight and time.monotonic() < until:  # noqa: ASYNC110 - polled rarely, once in a life
            await asyncio.sleep(POLL_SECONDS)
        if self._health.in_flight:
            log.warning("draining took too long", in_flight=self._health.in_flight)
        stop()
