"""Who waits for what: a line for each owner, served in turn, so that a rush for one keeps no others
waiting.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Not for several threads at once. An owner is forgotten with the last that waits for it."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def length(self, owner: Hashable) -> int:
        """How many wait for this owner."""
        return len(self._lines.get(owner, ()))

    def put(self, owner: Hashable, piece: Item) -> None:
        """At the end of the owner's line; a new line is served after the others."""
        self._lines.setdefault(owner, deque()).append(piece)
        self._count += 1

    def take(self, most: int, together: Callable[[Item, Item], bool]) -> list[Item]:
        """The first of the line whose turn it is, with up to `most - 1` of the same line that go
        `together` with it.

        Raises KeyError if nobody waits.
        """
        owner, line = self._lines.popitem(last=False)
        first = line.popleft()
        taken, others = [first], deque[Item]()
        while line and len(taken) < most:
            piece = line.popleft()
            (taken if together(first, piece) else others).append(piece)
        line.extendleft(reversed(others))
        if line:
            self._lines[owner] = line
        self._count -= len(taken)
        return taken

    def keep(self, wanted: Callable[[Item], bool]) -> None:
        """Drop all others, wherever they stand."""
        for owner, line in list(self._lines.items()):
            if not all(map(wanted, line)):
                kept = deque(filter(wanted, line))
                self._count -= len(line) - len(kept)
                if kept:
                    self._lines[owner] = kept
                else:
                    del self._lines[owner]

    def clear(self) -> list[Item]:
        """All that waited."""
        dropped = [piece for line in self._lines.values() for piece in line]
        self._lines.clear()
        self._count = 0
        return dropped
