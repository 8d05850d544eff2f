"""Work done ahead, in a thread, while the caller waits in the runtime with Python's lock released.

Simpler than an executor, and for a reason: handing work to one takes locks that its thread holds as
it wakes up, and the caller then waits for Python's lock before it reaches the runtime.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Self


class Prefetch:
    """One thread that does one piece of work at a time; `ask` never blocks, `wait` is for what was
    asked for.
    """

    def __init__(self, work: Callable[[int, int], None]) -> None:
        self._work = work
        self._asked: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)
        self._thread.join()

    def ask(self, first: int, second: int) -> None:
        """Have the work done with these arguments."""
        self._asked.put((first, second))

    def wait(self) -> None:
        """Return when the work that was asked for first is done; raises what it raised."""
        if (error := self._done.get()) is not None:
            raise error

    def _run(self) -> None:
        while (arguments := self._asked.get()) is not None:
            try:
                self._work(*arguments)
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                self._done.put(error)
            else:
                self._done.put(None)
