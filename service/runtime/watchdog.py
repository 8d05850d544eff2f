"""When runs are to end: knows what a run's options look like, and no more of ONNX Runtime."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.errors import DeadlinePassed

# Seconds in which a thread without work ends.
_LOOKS_EVERY = 1.0


class Watchdog:
    """Sets `terminate` on runs whose deadline comes: one thread for all, for starting one costs as
    much as a small run.

    The thread ends when it looks and finds nothing to watch, and the next run starts another.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs: dict[int, tuple[float, Any]] = {}
        self._wakes = math.inf
        self._thread: threading.Thread | None = None

    @contextmanager
    def until(self, deadline: float | None, options: Any) -> Iterator[None]:
        """While open, a run with these options is ended at `deadline`; raises DeadlinePassed if
        that is past.
        """
        if deadline is None:
            yield
            return
        if deadline <= time.monotonic():
            raise DeadlinePassed("the deadline passed before the run could start; try again later")
        with self._changed:
            self._runs[id(options)] = (deadline, options)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="fovea-deadlines", daemon=True
                )
                self._thread.start()
            elif deadline < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._runs[id(options)]

    def _watch(self) -> None:
        with self._changed:
            while self._runs:
                now = time.monotonic()
                for deadline, options in self._runs.values():
                    options.terminate = options.terminate or deadline <= now
                due = [deadline for deadline, _ in self._runs.values() if deadline > now]
                self._wakes = min([now + _LOOKS_EVERY, *due])
                self._changed.wait(self._wakes - now)
            self._thread = None
