"""Prefetching runs beside the caller, in order, and its errors reach the caller."""

import threading

import pytest

from model_build.training.prefetch import Prefetch


def test_work_is_done_in_the_order_it_was_asked_for_in_another_thread() -> None:
    done: list[tuple[int, int, int]] = []
    with Prefetch(
        lambda first, second: done.append((first, second, threading.get_ident()))
    ) as prefetch:
        for number in range(5):
            prefetch.submit(number, -number)
        for _ in range(5):
            prefetch.wait()
    assert [item[:2] for item in done] == [(number, -number) for number in range(5)]
    assert threading.get_ident() not in {item[2] for item in done}


def test_asking_does_not_wait_and_waiting_does() -> None:
    gate, done = threading.Event(), []

    def work(first: int, second: int) -> None:
        gate.wait(10)
        done.append(first)

    with Prefetch(work) as prefetch:
        prefetch.submit(1, 0)
        assert done == []
        gate.set()
        prefetch.wait()
        assert done == [1]


def test_an_error_is_raised_where_it_is_waited_for_and_the_thread_goes_on() -> None:
    def work(first: int, second: int) -> None:
        divmod(first, second)

    with Prefetch(work) as prefetch:
        prefetch.submit(1, 0)
        prefetch.submit(1, 1)
        with pytest.raises(ZeroDivisionError):
            prefetch.wait()
        prefetch.wait()


def test_the_thread_ends_with_the_block_also_when_work_was_not_waited_for() -> None:
    before = threading.active_count()
    with Prefetch(lambda first, second: None) as prefetch:
        prefetch.submit(1, 2)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
