"""The queue is bounded, keeps its order, and reports what each piece of work cost."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from service.batcher import Batcher
from service.errors import QueueFull


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    batcher = Batcher(workers=1, waiting=2)
    yield batcher
    batcher.close()


def test_work_comes_back_with_the_time_it_waited_and_took(batcher: Batcher) -> None:
    first = batcher.submit(lambda: time.sleep(0.05))
    done = batcher.submit(lambda: "result").result(5)
    assert done.result == "result"
    assert done.waited >= 0.04
    assert first.result(5).took >= 0.05 > done.took >= 0


def test_one_more_than_fits_is_refused_with_a_time_to_come_back(batcher: Batcher) -> None:
    release = threading.Event()
    accepted = [batcher.submit(lambda: release.wait(10)) for _ in range(3)]
    with pytest.raises(QueueFull, match="3 requests") as full:
        batcher.submit(lambda: None)
    assert full.value.retry_after > 0
    release.set()
    assert all(each.result(5).result for each in accepted)
    assert batcher.submit(lambda: 7).result(5).result == 7


def test_the_time_to_come_back_grows_with_the_time_that_work_takes(batcher: Batcher) -> None:
    def asked() -> float:
        release = threading.Event()
        futures = [batcher.submit(lambda: release.wait(10)) for _ in range(3)]
        with pytest.raises(QueueFull) as full:
            batcher.submit(lambda: None)
        release.set()
        for each in futures:
            each.result(5)
        return full.value.retry_after

    before = asked()
    batcher.submit(lambda: time.sleep(0.4)).result(5)
    assert asked() > before


def test_work_is_done_in_the_order_it_came(batcher: Batcher) -> None:
    order: list[int] = []
    release = threading.Event()
    batcher.submit(lambda: release.wait(10))
    futures = [batcher.submit(lambda n=n: order.append(n)) for n in range(2)]  # type: ignore[misc]
    release.set()
    for each in futures:
        each.result(5)
    assert order == [0, 1]


def test_a_failure_is_handed_to_who_asked_and_frees_its_place(batcher: Batcher) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            batcher.submit(lambda: 1 // 0).result(5)
    assert batcher.submit(lambda: 1).result(5).result == 1


def test_work_that_is_given_up_before_its_turn_is_never_done(batcher: Batcher) -> None:
    release, done = threading.Event(), threading.Event()
    batcher.submit(lambda: release.wait(10))
    waiting = batcher.submit(done.set)
    assert waiting.cancel()
    assert batcher.inside == 1
    release.set()
    batcher.submit(lambda: None).result(5)
    assert not done.is_set()


def test_several_workers_work_at_once() -> None:
    batcher, meeting = Batcher(workers=2, waiting=0), threading.Barrier(2)
    futures = [batcher.submit(lambda: meeting.wait(5)) for _ in range(2)]
    assert sorted(each.result(5).result for each in futures) == [0, 1]
    batcher.close()


def test_closing_finishes_what_runs_and_drops_what_waits() -> None:
    batcher, running = Batcher(workers=1, waiting=1), threading.Event()

    def work() -> str:
        running.set()
        time.sleep(0.1)
        return "finished"

    first, second = batcher.submit(work), batcher.submit(lambda: "never")
    running.wait(5)
    batcher.close()
    assert first.result(0).result == "finished"
    with pytest.raises(CancelledError):
        second.result(0)
