"""Work that nobody waits for any more: known to the thread that does it, ended from another.

A thread that takes up work says so with `doing`; whatever takes long within says with `stopped_by`
how it is stopped. Who no longer waits lets the errand `check` whether anybody does.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext


class Cancelled(Exception):
    """Nobody waits for the result."""


class CancelScope:
    """A piece of work, perhaps of several who wait for it; `wanted` tells whether anybody still
    does.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        self._cancelled = False

    def check(self) -> None:
        """Stop what is going on, and whatever would begin, unless somebody still waits."""
        if self._wanted():
            return
        with self._lock:
            self._cancelled = True
            for stop in self._stops:
                stop()

    @contextmanager
    def on_cancel(self, stop: Callable[[], None]) -> Iterator[None]:
        """While open, `stop` is called when nobody waits any more; raises Abandoned if nobody does
        already.
        """
        with self._lock:
            if self._cancelled:
                raise Cancelled
            self._stops.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._stops.remove(stop)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was found that nobody waits."""
        return self._cancelled


class _Here(threading.local):
    errand: CancelScope | None = None


_here = _Here()
_NOTHING = nullcontext()


@contextmanager
def running(errand: CancelScope | None) -> Iterator[None]:
    """While open, this is what the thread does."""
    _here.errand = errand
    try:
        yield
    finally:
        _here.errand = None


def on_cancel(stop: Callable[[], None]) -> AbstractContextManager[None]:
    """`CancelScope.stopped_by` of what this thread does; nothing where nobody said what that is."""
    return _NOTHING if _here.errand is None else _here.errand.on_cancel(stop)


def is_cancelled() -> bool:
    """Whether it was found that nobody waits for what this thread does."""
    return _here.errand is not None and _here.errand.is_cancelled
