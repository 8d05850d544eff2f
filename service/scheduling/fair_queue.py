"""A fair queue: one first-in-first-out queue per owner, served round-robin, so that a rush for one
owner does not keep the others waiting.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Not thread-safe. An owner's queue is dropped with its last item."""

    def __init__(self) -> None:
        self._queues: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def length(self, owner: Hashable) -> int:
        """How many items of this owner wait."""
        return len(self._queues.get(owner, ()))

    def put(self, owner: Hashable, item: Item) -> None:
        """Append to the owner's queue; the queue of a new owner is served after the others."""
        self._queues.setdefault(owner, deque()).append(item)
        self._count += 1

    def take(self, max_size: int, compatible: Callable[[Item, Item], bool]) -> list[Item]:
        """The first item of the owner whose turn it is, with the next ones `compatible` with it.

        At most `max_size` items, all of one owner. Raises KeyError if the queue is empty.
        """
        owner, queue = self._queues.popitem(last=False)
        first = queue.popleft()
        taken, skipped = [first], deque[Item]()
        while queue and len(taken) < max_size:
            item = queue.popleft()
            (taken if compatible(first, item) else skipped).append(item)
        queue.extendleft(reversed(skipped))
        if queue:
            self._queues[owner] = queue
        self._count -= len(taken)
        return taken

    def retain(self, predicate: Callable[[Item], bool]) -> None:
        """Drop every item for which `predicate` is false, in the queues of all owners."""
        for owner, queue in list(self._queues.items()):
            if all(map(predicate, queue)):
                continue
            retained = deque(filter(predicate, queue))
            self._count -= len(queue) - len(retained)
            if retained:
                self._queues[owner] = retained
            else:
                del self._queues[owner]

    def clear(self) -> list[Item]:
        """Remove all items and return them."""
        dropped = [item for queue in self._queues.values() for item in queue]
        self._queues.clear()
        self._count = 0
        return dropped
