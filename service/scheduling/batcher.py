"""A bounded queue before a pool of threads. Knows no ONNX Runtime and no HTTP: it runs what it is
given, or is full.

A free thread takes what is queued, of one key up to `max_batch_size` pieces together, and never waits for
more to come: so putting pieces together costs nothing when there is only one.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from operator import attrgetter

from service.errors import DeadlinePassed, QueueFull
from service.runtime.cancellation import CancelScope, running
from service.scheduling.fair_queue import FairQueue
from service.scheduling.work_item import (
    Completed,
    Item,
    Result,
    Run,
    WorkItem,
    deliver,
    outcomes_of,
)
from service.telemetry.instruments import Gauge

_wanted = attrgetter("wanted")


class Batcher:
    """Runs work on `workers` threads. At most `max_queue_size` more pieces of one owner may wait; one more
    raises QueueFull.

    Owners, such as models, are served in turn, so that a rush for one does not keep the others
    waiting.

    `length` is set to how many are running or waiting, `busy_workers` to how many workers have
    something to do.
    """

    def __init__(
        self,
        workers: int,
        max_queue_size: int,
        max_batch_size: int = 8,
        length: Gauge | None = None,
        busy_workers: Gauge | None = None,
        name: str = "run",
    ) -> None:
        self._length = length or Gauge()
        self._busy_workers = busy_workers or Gauge()
        self._busy = 0
        self._limit = workers + max_queue_size
        self._workers = workers
        self._max_batch_size = max_batch_size
        self._waiting: FairQueue[WorkItem] = FairQueue()
        self._here: list[WorkItem] = []
        self._changed = threading.Condition(threading.Lock())
        self._running: Counter[Hashable] = Counter()
        self._elsewhere: Counter[Hashable] = Counter()
        self._closed = False
        self._typical = 0.05
        self._threads = [
            threading.Thread(target=self._work, name=f"fovea-{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def workers(self) -> int:
        """How many pieces can run at a time."""
        return self._workers

    @property
    def pending(self) -> int:
        """How many pieces are running or waiting now."""
        with self._changed:
            self._waiting.keep(_wanted)
            return self._total()

    @contextmanager
    def admitted(self, owner: Hashable = None, *, limited: bool = True) -> Iterator[None]:
        """While open, one more request of this owner counts as waiting, whatever it waits for.

        It has its place in the queue that way while its input is decoded, before there is anything
        to `run` for. Raises QueueFull as `run` does, unless it is not `limited`.
        """
        with self._changed:
            if limited:
                self._check_room(owner)
            self._elsewhere[owner] += 1
            self._tell()
        try:
            yield
        finally:
            with self._changed:
                self._elsewhere[owner] -= 1
                if not self._elsewhere[owner]:
                    del self._elsewhere[owner]
                self._tell()

    def submit(
        self, work: Callable[[], Result], owner: Hashable = None
    ) -> "Future[Completed[Result]]":
        """Queue `work` for an owner; raises QueueFull, which tells in how many seconds to try
        again.
        """
        future: Future[Completed[Result]] = Future()
        self._put(WorkItem(lambda _: [work()], None, None, owner, future, None))
        return future

    async def run(
        self,
        run: Run[Item, Result],
        item: Item,
        deadline: float,
        key: object,
        *,
        owner: Hashable = None,
        inline: bool = False,
    ) -> Completed[Result]:
        """What `run` makes of the item, perhaps with others of the same owner and key; None is a
        key of its own.

        With `inline` it is done by the event loop itself, together with what else came in this turn
        of it: right for what takes less time than waking a thread and handing the interpreter to
        and fro. `deadline` is a point of `time.monotonic()`. Raises QueueFull, what `run` gives or
        raises for this item, and DeadlinePassed if it is not done in time: work whose turn did not
        come by then, or whose caller is cancelled, is dropped, and what runs for nobody else is
        stopped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Completed[Result]] = loop.create_future()
        piece = WorkItem(run, item, key, owner, future, loop)
        if inline:
            self._put_here(piece)
            return await future
        self._put(piece)
        late = loop.call_later(deadline - time.monotonic(), piece.expire)
        try:
            return await future
        except (DeadlinePassed, asyncio.CancelledError):
            self._forget()
            raise
        finally:
            late.cancel()
            piece.leave()

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and end the threads."""
        with self._changed:
            self._closed = True
            dropped = self._waiting.clear()
            self._changed.notify_all()
        for piece in dropped:
            piece.cancel()
        for thread in self._threads:
            thread.join()

    def _put_here(self, piece: WorkItem) -> None:
        if not self._here:
            asyncio.get_running_loop().call_soon(self._work_here)
        self._here.append(piece)

    def _work_here(self) -> None:
        here, self._here = self._here, []
        while here:
            same = [piece for piece in here if piece.key == here[0].key][: self._max_batch_size]
            here = [piece for piece in here if piece not in same]
            started = time.monotonic()
            found = outcomes_of(same)
            took = time.monotonic() - started
            for piece, outcome in zip(same, found, strict=True):
                piece.settle(outcome, started - piece.came, took)

    def _put(self, piece: WorkItem) -> None:
        with self._changed:
            self._check_room(piece.owner)
            self._waiting.put(piece.owner, piece)
            self._tell()
            self._changed.notify()

    def _check_room(self, owner: Hashable) -> None:
        inside = self._inside(owner)
        if inside >= self._limit:
            self._waiting.keep(_wanted)
            inside = self._inside(owner)
        if inside >= self._limit:
            retry_after = inside * self._typical / self._workers
            raise QueueFull(
                f"{inside} requests are running or waiting already; try again later", retry_after
            )

    def _inside(self, owner: Hashable) -> int:
        return self._running[owner] + self._elsewhere[owner] + self._waiting.length(owner)

    def _total(self) -> int:
        return self._running.total() + self._elsewhere.total() + len(self._waiting)

    def _forget(self) -> None:
        with self._changed:
            self._waiting.keep(_wanted)
            self._tell()

    def _tell(self) -> None:
        self._length.set(self._total())
        active = self._busy + len(self._waiting) + self._elsewhere.total()
        self._busy_workers.set(min(active, self._workers))

    def _work(self) -> None:
        while pieces := self._taken():
            started = time.monotonic()
            owner = pieces[0].owner
            with running(pieces[0].errand):
                found = outcomes_of(pieces)
            took = time.monotonic() - started
            with self._changed:
                self._running[owner] -= len(pieces)
                if not self._running[owner]:
                    del self._running[owner]
                self._busy -= 1
                self._tell()
                # A moving average is enough for an honest Retry-After.
                self._typical += 0.1 * (took / len(pieces) - self._typical)
            deliver(pieces, found, started, took)
            # While it waits for more, it must not keep what these were about.
            del pieces, found, owner

    def _taken(self) -> list[WorkItem]:
        """The next pieces that can run together; none once the queue is closed."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return []
                pieces = self._next()
                if pieces:
                    self._running[pieces[0].owner] += len(pieces)
                    self._busy += 1
                self._tell()
                if pieces:
                    return pieces

    def _next(self) -> list[WorkItem]:
        pieces = self._waiting.take(
            self._max_batch_size, lambda first, other: other.goes_with(first)
        )
        futures = [piece.future for piece in pieces]
        errand = CancelScope(lambda: not all(future.done() for future in futures))
        for piece in pieces:
            # Before it is looked whether somebody waits: who leaves after that finds what to stop.
            piece.errand = errand
        return [piece for piece in pieces if piece.begin()]
