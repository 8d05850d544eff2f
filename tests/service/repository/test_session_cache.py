"""The cache keeps what was used last, builds once for all who ask, and does not keep failures."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from service.repository.session_cache import LRUCache
from service.telemetry.metrics import CacheMetrics


def test_a_value_is_built_once_and_kept() -> None:
    cache = LRUCache[object](2)
    values = [cache.get("a", object) for _ in range(3)]
    assert values[0] is values[1] is values[2]


def test_the_least_recently_used_goes_first() -> None:
    cache, built = LRUCache[str](2), list[str]()

    def build(key: str) -> str:
        built.append(key)
        return key

    for key in ("a", "b", "a", "c", "a", "b"):
        assert cache.get(key, partial(build, key)) == key
    assert built == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_it_never_holds_more_than_its_capacity() -> None:
    cache = LRUCache[int](3)
    for number in range(20):
        assert cache.get(number, partial(int, number)) == number
        assert len(cache) <= 3


def test_all_who_ask_at_once_get_the_one_value_that_is_built() -> None:
    cache, built, meeting = LRUCache[object](4), [], threading.Barrier(8)

    def build() -> object:
        built.append(1)
        time.sleep(0.05)
        return object()

    def ask(_: int) -> object:
        meeting.wait(5)
        return cache.get("key", build)

    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(ask, range(8)))
    assert len(built) == 1
    assert len(set(values)) == 1


def test_building_one_does_not_hold_up_another() -> None:
    cache, release = LRUCache[str](4), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.get, "slow", lambda: "late" if release.wait(5) else "never")
        assert cache.get("quick", lambda: "now") == "now"
        release.set()
        assert slow.result(5) == "late"


def test_a_build_that_failed_is_told_to_all_who_wait_and_tried_again() -> None:
    cache, meeting = LRUCache[int](4), threading.Barrier(4)

    def fail() -> int:
        time.sleep(0.05)
        raise ValueError("no such layer")

    def ask(_: int) -> str:
        meeting.wait(5)
        with pytest.raises(ValueError, match="no such layer") as failure:
            cache.get("key", fail)
        return str(failure.value)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == {"no such layer"}
    assert len(cache) == 0
    assert cache.get("key", lambda: 7) == 7


def test_a_value_that_was_dropped_while_it_was_built_still_reaches_who_asked() -> None:
    cache, release, begun = LRUCache[str](1), threading.Event(), threading.Event()

    def build() -> str:
        begun.set()
        return "late" if release.wait(5) else "never"

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.get, "slow", build)
        begun.wait(5)
        cache.get("other", lambda: "now")
        release.set()
        assert slow.result(5) == "late"
    assert len(cache) == 1


class Owner:
    """Something that values belong to."""


def test_it_counts_what_was_there_what_was_built_and_what_was_dropped() -> None:
    metrics = CacheMetrics()
    cache = LRUCache[str](2, metrics)
    for key in ("a", "b", "a", "c", "b"):
        cache.get(key, lambda: "value")
    assert (metrics.hits.value, metrics.misses.value) == (1, 4)
    assert metrics.evictions.value == 2
    assert metrics.size.value == len(cache) == 2


def test_the_values_of_an_owner_are_dropped_with_it_and_are_no_other_owners() -> None:
    metrics = CacheMetrics()
    cache = LRUCache[str](4, metrics)
    one, other = Owner(), Owner()
    cache.get("key", lambda: "value", one)
    assert [("key", owner) in cache for owner in (one, other)] == [True, False]
    del one
    assert (len(cache), metrics.size.value) == (0, 0)


def test_an_owner_may_fill_half_of_the_cache() -> None:
    cache, owner = LRUCache[str](4), Owner()
    capacities = [cache.capacity_left(owner)]
    for key in ("a", "b", "c"):
        cache.get(key, lambda: "value", owner)
        capacities.append(cache.capacity_left(owner))
    assert capacities == [2, 1, 0, -1]
    assert LRUCache[str](1).capacity_left(owner) == 1
