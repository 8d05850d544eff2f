"""A bounded queue before a pool of threads. Knows no ONNX Runtime and no HTTP: it runs what it is given, or is full.

Work is run one piece at a time per thread for now; putting several inputs into one run has its place here.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.errors import QueueFull

Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What came of a piece of work, and the seconds that it waited and took."""

    result: Result
    waited: float
    took: float


class Batcher:
    """Runs work on `workers` threads; at most `waiting` more pieces may wait, further ones raise QueueFull."""

    def __init__(self, workers: int, waiting: int) -> None:
        self._limit = workers + waiting
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fovea-run")
        self._lock = threading.Lock()
        self._inside = 0
        self._typical = 0.05

    @property
    def inside(self) -> int:
        """How many pieces are running or waiting now."""
        return self._inside

    def submit(self, work: Callable[[], Result]) -> "Future[Done[Result]]":
        """Queue `work`; raises QueueFull, which tells in how many seconds to try again."""
        with self._lock:
            if self._inside >= self._limit:
                retry_after = self._inside * self._typical / self._workers
                raise QueueFull(f"{self._inside} requests are running or waiting already; try again later", retry_after)
            self._inside += 1
        future = self._pool.submit(self._timed, work, time.monotonic())
        future.add_done_callback(self._leave)
        return future

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _timed(self, work: Callable[[], Result], submitted: float) -> Done[Result]:
        started = time.monotonic()
        result = work()
        took = time.monotonic() - started
        # A moving average is enough for an honest Retry-After.
        self._typical += 0.1 * (took - self._typical)
        return Done(result, started - submitted, took)

    def _leave(self, _: object) -> None:
        with self._lock:
            self._inside -= 1
