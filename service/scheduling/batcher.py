"""Dynamic batching: a bounded fair queue before a pool of threads. It knows no ONNX Runtime and no
HTTP.

A free thread takes what is queued, up to `max_batch_size` items of one key together, and never
waits for more to come: batching costs nothing when there is only one.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterator
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
    resolve_all,
    run_batch,
)
from service.telemetry.instruments import Gauge

SMOOTHING = 0.1
"""Weight of the last run in the mean service time: a moving average is enough for an honest
Retry-After.
"""

_is_wanted = attrgetter("is_wanted")


class Batcher:
    """Runs work on `workers` threads. At most `max_queue_size` more items of one owner may wait;
    one more raises QueueFull.

    Owners, such as models, are served in turn, so that a rush for one does not keep the others
    waiting.

    `length` is set to how many items are running or waiting, `busy_workers` to how many workers
    have something to do.
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
        self._queue: FairQueue[WorkItem] = FairQueue()
        self._inline: list[WorkItem] = []
        self._condition = threading.Condition(threading.Lock())
        self._running: Counter[Hashable] = Counter()
        self._admitted: Counter[Hashable] = Counter()
        self._closed = False
        self._mean_service_seconds = 0.05
        self._threads = [
            threading.Thread(target=self._work, name=f"fovea-{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def workers(self) -> int:
        """How many batches can run at a time."""
        return self._workers

    @contextmanager
    def admitted(self, owner: Hashable = None, *, limited: bool = True) -> Iterator[None]:
        """While open, one more request of this owner counts as waiting, whatever it waits for.

        A request has its place in the queue that way while its input is decoded, before there is
        anything to `run`. Raises QueueFull as `run` does, unless it is not `limited`.
        """
        with self._condition:
            if limited:
                self._check_capacity(owner)
            self._admitted[owner] += 1
            self._publish()
        try:
            yield
        finally:
            with self._condition:
                _decrement(self._admitted, owner, 1)
                self._publish()

    async def run(
        self,
        function: Run[Item, Result],
        item: Item,
        deadline: float,
        key: object,
        *,
        owner: Hashable = None,
        inline: bool = False,
    ) -> Completed[Result]:
        """What `function` makes of the item, perhaps in one batch with others of the same owner and
        key; an item with the key None runs alone.

        With `inline` it runs on the event loop itself, together with what else came in this turn of
        the loop: right for what takes less time than waking a thread and handing the interpreter
        over and back. `deadline` is a point of `time.monotonic()`.

        Raises QueueFull, what `function` returns or raises for this item, and DeadlinePassed if it
        is not done in time. An item whose turn did not come by then, or whose caller is cancelled,
        is dropped; a run that nobody else waits for is cancelled.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Completed[Result]] = loop.create_future()
        work = WorkItem(function, item, key, owner, future)
        if inline:
            self._enqueue_inline(work)
            return await future
        self._enqueue(work)
        timer = loop.call_later(deadline - time.monotonic(), work.time_out)
        try:
            return await future
        except (DeadlinePassed, asyncio.CancelledError):
            self._purge()
            raise
        finally:
            timer.cancel()
            work.detach()

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and end the threads."""
        with self._condition:
            self._closed = True
            dropped = self._queue.clear()
            self._condition.notify_all()
        for work in dropped:
            work.cancel()
        for thread in self._threads:
            thread.join()

    def _enqueue_inline(self, work: WorkItem) -> None:
        if not self._inline:
            asyncio.get_running_loop().call_soon(self._run_inline)
        self._inline.append(work)

    def _run_inline(self) -> None:
        waiting, self._inline = self._inline, []
        while waiting:
            same_key = [work for work in waiting if work.key == waiting[0].key]
            batch = same_key[: self._max_batch_size]
            waiting = [work for work in waiting if work not in batch]
            started = time.monotonic()
            results = run_batch(batch)
            took = time.monotonic() - started
            resolve_all(list(zip(batch, results, strict=True)), started, took)

    def _enqueue(self, work: WorkItem) -> None:
        with self._condition:
            self._check_capacity(work.owner)
            self._queue.put(work.owner, work)
            self._publish()
            self._condition.notify()

    def _check_capacity(self, owner: Hashable) -> None:
        pending = self._pending_of(owner)
        if pending >= self._limit:
            self._queue.retain(_is_wanted)
            pending = self._pending_of(owner)
        if pending >= self._limit:
            retry_after = pending * self._mean_service_seconds / self._workers
            raise QueueFull(
                f"{pending} requests are running or waiting already; try again later", retry_after
            )

    def _pending_of(self, owner: Hashable) -> int:
        return self._running[owner] + self._admitted[owner] + self._queue.length(owner)

    def _purge(self) -> None:
        """Drop the items that nobody waits for any more."""
        with self._condition:
            self._queue.retain(_is_wanted)
            self._publish()

    def _publish(self) -> None:
        """Set the gauges."""
        waiting = len(self._queue) + self._admitted.total()
        self._length.set(self._running.total() + waiting)
        self._busy_workers.set(min(self._busy + waiting, self._workers))

    def _work(self) -> None:
        while batch := self._next_batch():
            started = time.monotonic()
            with running(batch[0].scope):
                results = run_batch(batch)
            took = time.monotonic() - started
            self._finish(batch, took)
            deliver(batch, results, started, took)
            # While the thread waits for more, it must not keep what these were about.
            del batch, results

    def _finish(self, batch: list[WorkItem], took: float) -> None:
        with self._condition:
            _decrement(self._running, batch[0].owner, len(batch))
            self._busy -= 1
            self._publish()
            difference = took / len(batch) - self._mean_service_seconds
            self._mean_service_seconds += SMOOTHING * difference

    def _next_batch(self) -> list[WorkItem]:
        """The next items that can run together; none once the batcher is closed."""
        with self._condition:
            while True:
                while not self._queue and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return []
                batch = self._take_batch()
                if batch:
                    self._running[batch[0].owner] += len(batch)
                    self._busy += 1
                self._publish()
                if batch:
                    return batch

    def _take_batch(self) -> list[WorkItem]:
        taken = self._queue.take(
            self._max_batch_size, lambda first, other: other.batches_with(first)
        )
        futures = [work.future for work in taken]
        scope = CancelScope(lambda: not all(future.done() for future in futures))
        for work in taken:
            # Set before asking who still waits: a caller who leaves after that finds the scope.
            work.scope = scope
        return [work for work in taken if work.is_wanted]


def _decrement(counter: Counter[Hashable], owner: Hashable, count: int) -> None:
    counter[owner] -= count
    if not counter[owner]:
        del counter[owner]
