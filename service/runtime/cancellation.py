"""Cancel scopes: work that runs on one thread is cancelled from another when nobody waits for it.

A thread opens `running` around the work of a scope. Whatever takes long within registers with
`on_cancel` how it is stopped. A caller who stops waiting calls `cancel_if_unwanted` on the scope.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext


class Cancelled(Exception):
    """The work was cancelled, because nobody waits for its result."""


class CancelScope:
    """Work that one or more callers wait for; `is_wanted` tells whether anybody still does."""

    def __init__(self, is_wanted: Callable[[], bool]) -> None:
        self._is_wanted = is_wanted
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._cancelled = False

    def cancel_if_unwanted(self) -> None:
        """Stop what runs in this scope, and whatever would start, unless somebody still waits."""
        if self._is_wanted():
            return
        with self._lock:
            self._cancelled = True
            for callback in self._callbacks:
                callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """While open, `callback` is called when the scope is cancelled.

        Raises Cancelled if it is cancelled already.
        """
        with self._lock:
            if self._cancelled:
                raise Cancelled
            self._callbacks.append(callback)
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    @property
    def is_cancelled(self) -> bool:
        """Whether the scope was cancelled."""
        return self._cancelled


class _Current(threading.local):
    scope: CancelScope | None = None


_current = _Current()
_NO_SCOPE = nullcontext()


@contextmanager
def running(scope: CancelScope | None) -> Iterator[None]:
    """While open, this is the scope of what the thread runs."""
    _current.scope = scope
    try:
        yield
    finally:
        _current.scope = None


def on_cancel(callback: Callable[[], None]) -> AbstractContextManager[None]:
    """`CancelScope.on_cancel` of this thread's scope; does nothing without one."""
    scope = _current.scope
    return _NO_SCOPE if scope is None else scope.on_cancel(callback)


def is_cancelled() -> bool:
    """Whether this thread's scope was cancelled; False without one."""
    return _current.scope is not None and _current.scope.is_cancelled
