"""A watchdog terminates runs at their deadline; of ONNX Runtime it knows run options only."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.errors import DeadlinePassed

IDLE_SECONDS = 1.0
"""The thread ends after at most this time without a run."""


class Watchdog:
    """Sets `terminate` on the options of runs whose deadline has passed.

    One thread does so for all runs, because starting a thread costs as much as a small run. It ends
    when it wakes and finds no run, and the next run starts another.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._runs: dict[int, tuple[float, Any]] = {}
        self._next_wake = math.inf
        self._thread: threading.Thread | None = None

    @contextmanager
    def terminate_at(self, deadline: float | None, options: Any) -> Iterator[None]:
        """While open, a run with these options is terminated at `deadline`.

        Raises DeadlinePassed if the deadline has passed already.
        """
        if deadline is None:
            yield
            return
        if deadline <= time.monotonic():
            raise DeadlinePassed("the deadline passed before the run could start; try again later")
        with self._condition:
            self._runs[id(options)] = (deadline, options)
            if self._thread is None:
                self._start_thread()
            elif deadline < self._next_wake:
                self._condition.notify()
        try:
            yield
        finally:
            with self._condition:
                del self._runs[id(options)]

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="fovea-watchdog", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with self._condition:
            while self._runs:
                now = time.monotonic()
                for deadline, options in self._runs.values():
                    options.terminate = options.terminate or deadline <= now
                upcoming = [deadline for deadline, _ in self._runs.values() if deadline > now]
                self._next_wake = min([now + IDLE_SECONDS, *upcoming])
                self._condition.wait(self._next_wake - now)
            self._thread = None
