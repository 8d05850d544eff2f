"""Work for a batcher from outside of any event loop, and how much of it is pending."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import Future
from functools import cache
from typing import TypeVar

from service.errors import QueueFull
from service.scheduling.batcher import Batcher
from service.scheduling.work_item import Completed

Result = TypeVar("Result")
SECONDS = 60


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="test-callers", daemon=True).start()
    return loop


def submit(
    batcher: Batcher, work: Callable[[], Result], owner: Hashable = None
) -> "Future[Completed[Result]]":
    """Queue work that runs alone; raises QueueFull. The work is in the queue on return."""
    deadline = time.monotonic() + SECONDS

    def run(_: Sequence[None]) -> Sequence[Result | BaseException]:
        return [work()]

    coroutine: Coroutine[None, None, Completed[Result]] = batcher.run(
        run, None, deadline, None, owner=owner
    )
    future = asyncio.run_coroutine_threadsafe(coroutine, _loop())
    # The loop has taken the first step of `run` when it has taken those of a later coroutine.
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), _loop()).result(SECONDS)
    if future.done() and isinstance(future.exception(), QueueFull):
        future.result()
    return future


def pending(batcher: Batcher) -> int:
    """How many items are running or waiting, as the batcher publishes it."""
    return int(batcher._length.value)
