"""Batches prefetched in a thread, while the caller waits in the runtime without Python's lock.

Simpler than an executor, and for a reason: handing work to one takes locks that its thread holds as
it wakes up, and the caller then waits for Python's lock before it reaches the runtime.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Self


class Prefetch:
    """One thread that prepares one batch at a time, in the order of `submit`."""

    def __init__(self, prepare: Callable[[int, int], None]) -> None:
        self._prepare = prepare
        self._submitted: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._submitted.put(None)
        self._thread.join()

    def submit(self, step: int, buffer: int) -> None:
        """Have the batch of a step put into a buffer; never blocks."""
        self._submitted.put((step, buffer))

    def wait(self) -> None:
        """Wait for the batch that was submitted first; raises what its preparation raised."""
        if (error := self._done.get()) is not None:
            raise error

    def _run(self) -> None:
        while (arguments := self._submitted.get()) is not None:
            try:
                self._prepare(*arguments)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                self._done.put(error)
            else:
                self._done.put(None)
