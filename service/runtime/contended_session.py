"""A second session of a graph with fewer threads, for runs at the same time as others.

A run by itself is done soonest with all processors. Several at a time, each with threads for all of
them, wait for one another; with an equal part each they do a third more. ONNX Runtime fixes the
number of threads when it loads a graph.
"""

import threading
from collections.abc import Callable
from typing import Any

import structlog

from service.runtime.process import trim_heap
from service.telemetry.instruments import Gauge

CONTENDED_WORKERS = 2
"""From this many busy workers on, a run has its share of the threads only."""

log = structlog.get_logger(__name__)


class ContendedSession:
    """The session that `build` loads in the background once several workers are busy.

    It is not loaded before, because it takes memory.
    """

    def __init__(self, build: Callable[[], Any], busy_workers: Gauge) -> None:
        self._build = build
        self._busy_workers = busy_workers
        self._load_started = threading.Lock()
        self._session: Any = None

    @property
    def session(self) -> Any:
        """The session for a run that starts now; None for a run alone, and until it is loaded."""
        if self._busy_workers.value < CONTENDED_WORKERS:
            return None
        if self._session is None and self._load_started.acquire(blocking=False):
            threading.Thread(target=self._load, name="fovea-contended", daemon=True).start()
        return self._session

    def _load(self) -> None:
        try:
            self._session = self._build()
            trim_heap()
        except Exception:
            # Runs go on with the first session, as before.
            log.exception("no second session")
