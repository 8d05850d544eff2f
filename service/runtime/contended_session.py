"""A network for runs beside others: loaded once more, with fewer threads for a run.

A run by itself is done soonest with all processors. Several at a time, each with threads for all of
them, wait for one another; with a share each they do a third more. ONNX Runtime settles the threads
when it loads a graph.
"""

import threading
from collections.abc import Callable
from typing import Any

import structlog

from service.runtime.process import trim_heap
from service.telemetry.instruments import Gauge

SEVERAL = 2
"""So many workers with something to do, and each run has its share of the threads."""

log = structlog.get_logger(__name__)


class ContendedSession:
    """What `build` loads, when there first are several `busy_workers`: it takes memory."""

    def __init__(self, build: Callable[[], Any], busy_workers: Gauge) -> None:
        self._build = build
        self._busy_workers = busy_workers
        self._begun = threading.Lock()
        self._session: Any = None

    @property
    def session(self) -> Any:
        """The session for a run that begins now; None for a run by itself, and until it is loaded."""
        if self._busy_workers.value < SEVERAL:
            return None
        if self._session is None and self._begun.acquire(blocking=False):
            threading.Thread(target=self._load, name="fovea-beside", daemon=True).start()
        return self._session

    def _load(self) -> None:
        try:
            self._session = self._build()
            trim_heap()
        except Exception:
            # All goes on with the first one, as until now.
            log.exception("no second session")
