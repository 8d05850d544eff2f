"""The queue is bounded, keeps its order, and reports what each item of work cost."""

import asyncio
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest

from service.errors import DeadlinePassed, QueueFull
from service.runtime import cancellation
from service.scheduling.batcher import Batcher
from service.scheduling.work_item import Completed
from service.telemetry.instruments import Gauge
from tests.service.batches import pending, submit


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    batcher = Batcher(workers=1, max_queue_size=2)
    yield batcher
    batcher.close()


def test_work_comes_back_with_the_time_it_waited_and_took(batcher: Batcher) -> None:
    first = submit(batcher, lambda: time.sleep(0.05))
    done = submit(batcher, lambda: "result").result(5)
    assert done.result == "result"
    assert done.waited >= 0.04
    assert first.result(5).took >= 0.05 > done.took >= 0


def test_one_more_than_fits_is_refused_with_a_time_to_come_back(batcher: Batcher) -> None:
    release = threading.Event()
    accepted = [submit(batcher, lambda: release.wait(10)) for _ in range(3)]
    with pytest.raises(QueueFull, match="3 requests") as full:
        submit(batcher, lambda: None)
    assert full.value.retry_after > 0
    release.set()
    assert all(future.result(5).result for future in accepted)
    assert submit(batcher, lambda: 7).result(5).result == 7


def test_the_time_to_come_back_grows_with_the_time_that_work_takes(batcher: Batcher) -> None:
    def retry_after() -> float:
        release = threading.Event()
        futures = [submit(batcher, lambda: release.wait(10)) for _ in range(3)]
        with pytest.raises(QueueFull) as full:
            submit(batcher, lambda: None)
        release.set()
        for future in futures:
            future.result(5)
        return full.value.retry_after

    before = retry_after()
    submit(batcher, lambda: time.sleep(0.4)).result(5)
    assert retry_after() > before


def test_work_is_done_in_the_order_it_came(batcher: Batcher) -> None:
    order: list[int] = []
    release = threading.Event()
    submit(batcher, lambda: release.wait(10))
    futures = [submit(batcher, lambda n=n: order.append(n)) for n in range(2)]  # type: ignore[misc]
    release.set()
    for future in futures:
        future.result(5)
    assert order == [0, 1]


def test_a_failure_is_handed_to_who_asked_and_frees_its_place(batcher: Batcher) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            submit(batcher, lambda: 1 // 0).result(5)
    assert submit(batcher, lambda: 1).result(5).result == 1


def test_work_that_is_given_up_before_its_turn_is_never_done(batcher: Batcher) -> None:
    release, done = threading.Event(), threading.Event()
    submit(batcher, lambda: release.wait(10))
    waiting = submit(batcher, done.set)
    assert waiting.cancel()
    end = time.monotonic() + 5
    while pending(batcher) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert pending(batcher) == 1
    release.set()
    submit(batcher, lambda: None).result(5)
    assert not done.is_set()


def test_several_workers_work_at_once() -> None:
    batcher, meeting = Batcher(workers=2, max_queue_size=0), threading.Barrier(2)
    futures = [submit(batcher, lambda: meeting.wait(5)) for _ in range(2)]
    assert sorted(future.result(5).result for future in futures) == [0, 1]
    batcher.close()


def test_closing_finishes_what_runs_and_drops_what_waits() -> None:
    batcher, running = Batcher(workers=1, max_queue_size=1), threading.Event()

    def work() -> str:
        running.set()
        time.sleep(0.1)
        return "finished"

    first, second = submit(batcher, work), submit(batcher, lambda: "never")
    running.wait(5)
    batcher.close()
    assert first.result(5).result == "finished"
    with pytest.raises(CancelledError):
        second.result(5)


def test_items_of_one_key_that_wait_run_together_up_to_the_largest_batch() -> None:
    batcher, release = Batcher(workers=1, max_queue_size=9, max_batch_size=3), threading.Event()
    together: list[list[int]] = []

    def run(items: Sequence[int]) -> list[int]:
        together.append(list(items))
        return [item * 10 for item in items]

    async def run_all() -> list[int]:
        submit(batcher, lambda: release.wait(10))
        tasks = [
            asyncio.ensure_future(batcher.run(run, n, time.monotonic() + 10, "same"))
            for n in range(4)
        ]
        other = asyncio.ensure_future(batcher.run(run, 9, time.monotonic() + 10, None))
        await asyncio.sleep(0)
        release.set()
        return [done.result for done in await asyncio.gather(*tasks, other)]

    assert asyncio.run(run_all()) == [0, 10, 20, 30, 90]
    assert together == [[0, 1, 2], [3], [9]]
    batcher.close()


@pytest.mark.parametrize("inline", [False, True])
def test_an_item_that_fails_does_not_fail_its_neighbours(inline: bool) -> None:
    batcher, release = Batcher(workers=1, max_queue_size=9), threading.Event()

    def run(items: Sequence[int]) -> list[float]:
        return [1 / item for item in items]

    async def run_all() -> list[Any]:
        submit(batcher, lambda: release.wait(10))
        tasks = [
            asyncio.ensure_future(batcher.run(run, n, time.monotonic() + 10, 1, inline=inline))
            for n in (1, 0, 2)
        ]
        await asyncio.sleep(0)
        release.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    one, none, half = asyncio.run(run_all())
    assert (one.result, half.result) == (1, 0.5)
    assert isinstance(none, ZeroDivisionError)
    batcher.close()


def test_inline_work_shares_the_turn_of_the_event_loop_and_its_thread() -> None:
    batcher, together = Batcher(workers=1, max_queue_size=0), list[tuple[int, int]]()

    def run(items: Sequence[int]) -> Sequence[int]:
        together.append((len(items), threading.get_ident()))
        return items

    async def run_all() -> None:
        await asyncio.gather(
            *(batcher.run(run, n, time.monotonic() + 5, "same", inline=True) for n in range(5))
        )

    asyncio.run(run_all())
    assert together == [(5, threading.get_ident())]
    batcher.close()


def test_a_thread_that_waits_for_work_keeps_nothing_of_what_it_did(batcher: Batcher) -> None:
    class Kept:
        """Stands for a model."""

    async def run_all(kept: Kept) -> None:
        await batcher.run(lambda items: items, kept, time.monotonic() + 5, kept)

    def use() -> "weakref.ref[Kept]":
        kept = Kept()
        asyncio.run(run_all(kept))
        return weakref.ref(kept)

    reference, end = use(), time.monotonic() + 5
    while reference() is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert reference() is None


class _Held:
    """Work that runs until it is released or stopped."""

    def __init__(self) -> None:
        self.begun, self.release, self.stopped = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self.runs = 0

    def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.runs += 1
        with cancellation.on_cancel(self._stop):
            self.begun.set()
            self.release.wait(20)
        if cancellation.is_cancelled():
            raise cancellation.Cancelled
        return items

    def _stop(self) -> None:
        self.stopped.set()
        self.release.set()


async def _holding(batcher: Batcher, held: _Held, callers: int) -> list["asyncio.Task[Any]"]:
    """Callers who share one run that has begun."""
    first = threading.Event()
    submit(batcher, lambda: first.wait(20))
    tasks = [
        asyncio.create_task(batcher.run(held, number, time.monotonic() + 20, "key"))
        for number in range(callers)
    ]
    await asyncio.sleep(0)
    first.set()
    await asyncio.to_thread(held.begun.wait, 20)
    return tasks


def test_a_run_is_stopped_when_all_who_share_it_are_gone_and_not_tried_again(
    batcher: Batcher,
) -> None:
    async def gone() -> _Held:
        held = _Held()
        tasks = await _holding(batcher, held, 2)
        tasks[0].cancel()
        await asyncio.sleep(0.05)
        assert not held.stopped.is_set()
        tasks[1].cancel()
        assert await asyncio.to_thread(held.stopped.wait, 20)
        return held

    held = asyncio.run(gone())
    submit(batcher, lambda: None).result(20)
    assert held.runs == 1


def test_a_run_goes_on_for_who_stays(batcher: Batcher) -> None:
    async def one_goes() -> Any:
        held = _Held()
        gone, staying = await _holding(batcher, held, 2)
        gone.cancel()
        await asyncio.sleep(0.05)
        held.release.set()
        return (await staying).result, held.stopped.is_set()

    assert asyncio.run(one_goes()) == (1, False)


def test_a_run_whose_deadline_passed_for_all_is_stopped(batcher: Batcher) -> None:
    async def late() -> bool:
        held = _Held()
        with pytest.raises(DeadlinePassed):
            await batcher.run(held, 0, time.monotonic() + 0.05, None)
        return await asyncio.to_thread(held.stopped.wait, 20)

    assert asyncio.run(late())


def test_a_rush_for_one_owner_fills_its_own_queue_and_no_other() -> None:
    gate = threading.Event()
    batcher = Batcher(workers=1, max_queue_size=2)

    async def rush() -> list[object]:
        def start(owner: str, item: int) -> "asyncio.Task[Completed[int]]":
            run = lambda items: [gate.wait(20) and item for item in items]  # noqa: E731
            return asyncio.ensure_future(
                batcher.run(run, item, time.monotonic() + 20, None, owner=owner)
            )

        rushed = [start("rush", number) for number in range(5)]
        await asyncio.sleep(0.05)
        lone = start("lone", 7)
        await asyncio.sleep(0.05)
        gate.set()
        return await asyncio.gather(*rushed, lone, return_exceptions=True)

    outcomes = asyncio.run(rush())
    batcher.close()
    refused = [outcome for outcome in outcomes if isinstance(outcome, QueueFull)]
    assert len(refused) == 2
    assert isinstance(outcomes[-1], Completed)
    assert outcomes[-1].result == 7


def test_who_is_admitted_counts_as_waiting_until_it_leaves() -> None:
    length, busy = Gauge(), Gauge()
    batcher = Batcher(workers=1, max_queue_size=1, length=length, busy_workers=busy)
    with batcher.admitted("a"), batcher.admitted("a"), batcher.admitted("b"):
        assert (pending(batcher), length.value, busy.value) == (3, 3, 1)
        with pytest.raises(QueueFull, match="2 requests"):
            submit(batcher, lambda: None, "a")
        with pytest.raises(QueueFull, match="2 requests"), batcher.admitted("a"):
            pass
        with batcher.admitted("a", limited=False):
            assert pending(batcher) == 4
    assert (pending(batcher), length.value, busy.value) == (0, 0, 0)
    batcher.close()
