"""A bounded cache of what is costly to build, such as a session: thread-safe, and one build per key
at a time.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from service.telemetry.shared_counters import Numbers

Value = TypeVar("Value")

_HITS, _MISSES, _EVICTIONS = range(3)


class LRUCache(Generic[Value]):
    """Keeps the `capacity` values that were used last; a value that is dropped lives on for who
    still holds it.

    The values of an owner, told from others by identity, are dropped when it is no more: they must
    not hold it. `counts` are those of questions whose value was there, of others, and of values
    dropped for want of room; `kept` is how many values there are.
    """

    def __init__(
        self, capacity: int, counts: Numbers | None = None, kept: Numbers | None = None
    ) -> None:
        self._capacity = max(1, capacity)
        self._counts = [0.0] * 3 if counts is None else counts
        self._kept = [0.0] if kept is None else kept
        # An owner may end in any line of Python, also in one of ours.
        self._lock = threading.RLock()
        self._values: OrderedDict[tuple[int, Hashable], Future[Value]] = OrderedDict()
        self._owners: dict[int, weakref.ref[object]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, build: Callable[[], Value], owner: object = None) -> Value:
        """The value of `key`, built by the first who asks while the others wait; what `build`
        raises is not kept.
        """
        place = (id(owner), key)
        with self._lock:
            if owner is not None and id(owner) not in self._owners:
                self._owners[id(owner)] = weakref.ref(owner, partial(self._forget, id(owner)))
            future = self._values.get(place)
            mine = future is None
            if future is None:
                future = self._values[place] = Future()
            self._values.move_to_end(place)
            self._counts[_MISSES if mine else _HITS] += 1.0
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)
                self._counts[_EVICTIONS] += 1.0
            self._kept[0] = len(self._values)
        if mine:
            self._build(place, future, build)
        return future.result()

    def has(self, key: Hashable, owner: object = None) -> bool:
        """Whether the value of `key` is there, or being built; it does not count as a use."""
        return (id(owner), key) in self._values

    def room(self, owner: object = None) -> int:
        """How many values of this owner fit before it has taken half of the room, at least one."""
        with self._lock:
            return max(1, self._capacity // 2) - sum(
                place[0] == id(owner) for place in self._values
            )

    def _build(
        self, place: tuple[int, Hashable], future: "Future[Value]", build: Callable[[], Value]
    ) -> None:
        try:
            future.set_result(build())
        except BaseException as error:  # noqa: BLE001 - handed on to all who wait for it
            with self._lock:
                if self._values.get(place) is future:
                    del self._values[place]
                    self._kept[0] = len(self._values)
            future.set_exception(error)

    def _forget(self, owner: int, _: object) -> None:
        with self._lock:
            self._owners.pop(owner, None)
            for place in list(self._values):
                if place[0] == owner:
                    self._values.pop(place, None)
            self._kept[0] = len(self._values)
