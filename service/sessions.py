"""A bounded cache of what is costly to build, such as a session: thread-safe, and one build per key at a time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Keeps the `capacity` values that were used last; a value that is dropped lives on for who still holds it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = max(1, capacity)
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Future[Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, build: Callable[[], Value]) -> Value:
        """The value of `key`, built by the first who asks while the others wait; what `build` raises is not kept."""
        with self._lock:
            future = self._values.get(key)
            mine = future is None
            if future is None:
                future = self._values[key] = Future()
            self._values.move_to_end(key)
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)
        if mine:
            self._build(key, future, build)
        return future.result()

    def _build(self, key: Hashable, future: "Future[Value]", build: Callable[[], Value]) -> None:
        try:
            future.set_result(build())
        except BaseException as error:  # noqa: BLE001 - handed on to all who wait for it
            with self._lock:
                if self._values.get(key) is future:
                    del self._values[key]
            future.set_exception(error)
