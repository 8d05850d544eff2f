"""A bounded single-flight cache of what is costly to build, such as a session: thread-safe, and one
build per key at a time.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from service.telemetry.metrics import CacheMetrics

Value = TypeVar("Value")

_Slot = tuple[int, Hashable]
"""The identity of an owner, and a key of its own."""


class LRUCache(Generic[Value]):
    """Keeps the `capacity` values that were used last; a value that is dropped lives on for those
    who still hold it.

    Values belong to an owner, told from others by identity, and are dropped when the owner is
    deleted: they must not refer to it.
    """

    def __init__(self, capacity: int, metrics: CacheMetrics | None = None) -> None:
        self._capacity = max(1, capacity)
        self._metrics = metrics or CacheMetrics()
        # Reentrant: the garbage collector may delete an owner on any line, under this lock too.
        self._lock = threading.RLock()
        self._values: OrderedDict[_Slot, Future[Value]] = OrderedDict()
        self._owners: dict[int, weakref.ref[object]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, item: tuple[Hashable, object]) -> bool:
        """Whether the value of `(key, owner)` is there or being built; this is not a use of it."""
        key, owner = item
        return (id(owner), key) in self._values

    def get(self, key: Hashable, build: Callable[[], Value], owner: object = None) -> Value:
        """The value of `key`, built by the first caller while the others wait; what `build` raises
        is raised to all of them and not kept.
        """
        slot = (id(owner), key)
        with self._lock:
            self._watch(owner)
            future = self._values.get(slot)
            builds = future is None
            if future is None:
                self._metrics.misses.inc()
                future = self._values[slot] = Future()
            else:
                self._metrics.hits.inc()
            self._values.move_to_end(slot)
            self._evict()
        if builds:
            self._build(slot, future, build)
        return future.result()

    def capacity_left(self, owner: object = None) -> int:
        """How many more values of this owner fit before they fill half of the cache, or one place
        of a cache for one.
        """
        with self._lock:
            held = sum(slot_owner == id(owner) for slot_owner, _ in self._values)
            return max(1, self._capacity // 2) - held

    def _watch(self, owner: object) -> None:
        """Drop the values of this owner when it is deleted."""
        if owner is not None and id(owner) not in self._owners:
            self._owners[id(owner)] = weakref.ref(owner, partial(self._forget, id(owner)))

    def _evict(self) -> None:
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)
            self._metrics.evictions.inc()
        self._metrics.size.set(len(self._values))

    def _build(self, slot: _Slot, future: "Future[Value]", build: Callable[[], Value]) -> None:
        try:
            future.set_result(build())
        except BaseException as error:  # noqa: BLE001 - raised to all who wait for the value
            with self._lock:
                if self._values.get(slot) is future:
                    del self._values[slot]
                    self._metrics.size.set(len(self._values))
            future.set_exception(error)

    def _forget(self, owner_id: int, _: object) -> None:
        with self._lock:
            self._owners.pop(owner_id, None)
            for slot in [slot for slot in self._values if slot[0] == owner_id]:
                self._values.pop(slot, None)
            self._metrics.size.set(len(self._values))
