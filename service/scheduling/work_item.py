"""A piece of work: what runs, who waits for it and where, and how what came of it is handed over."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from service.errors import DeadlinePassed
from service.runtime.cancellation import Cancelled, CancelScope

Item = TypeVar("Item")
Result = TypeVar("Result")
Run = Callable[[Sequence[Item]], Sequence[Result | BaseException]]
"""Results in the order of the items; an exception for an item that failed."""

LATE = "the request waited or ran longer than allowed; try again later"


@dataclass(frozen=True, slots=True)
class Completed(Generic[Result]):
    """What came of a piece of work, and the seconds that it waited and took."""

    result: Result
    waited: float
    took: float


@dataclass(slots=True, eq=False)
class WorkItem:
    """What is to run for an item, and who waits for it: on an event loop, or anywhere where that is
    None.
    """

    run: Run[Any, Any]
    item: Any
    key: object
    owner: Hashable
    future: "asyncio.Future[Completed[Any]] | Future[Completed[Any]]"
    loop: asyncio.AbstractEventLoop | None
    came: float = field(default_factory=time.monotonic)
    errand: CancelScope | None = None
    settled: bool = False

    def settle(self, outcome: Any, waited: float, took: float) -> None:
        """Hand over what came of it, unless nobody waits for it any more."""
        if self.future.done():
            return
        self.settled = True
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(Completed(outcome, waited, took))

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.future.done()

    def goes_with(self, first: "WorkItem") -> bool:
        """Whether it may share a run with this one."""
        return first.key is not None and self.key == first.key

    def begin(self) -> bool:
        """Take it up, unless nobody waits for it any more."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return self.wanted

    def leave(self) -> None:
        """Who asked waits no more: what runs for nobody is stopped."""
        if self.errand is not None and not self.settled:
            self.errand.check()

    def expire(self) -> None:
        """Its time is over."""
        if self.wanted:
            self.future.set_exception(DeadlinePassed(LATE))

    def cancel(self) -> None:
        """Drop it."""
        if self.loop is None:
            self.future.cancel()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.future.cancel)


def outcomes(run: Run[Item, Result], items: Sequence[Item]) -> Sequence[Result | BaseException]:
    """A result or an exception for each; where they fail together, each is tried alone: no one
    fails its neighbours.
    """
    try:
        return run(items)
    except Cancelled as error:
        return [error] * len(items)
    except BaseException as error:  # noqa: BLE001 - handed on to who asked
        return [error] if len(items) == 1 else [outcomes(run, [item])[0] for item in items]


def outcomes_of(pieces: Sequence[WorkItem]) -> Sequence[Any]:
    """The same for pieces that go together."""
    return outcomes(pieces[0].run, [piece.item for piece in pieces])


def deliver(pieces: Sequence[WorkItem], found: Sequence[Any], started: float, took: float) -> None:
    """Wake each event loop once, however many of its pieces are done."""
    settled = [
        (piece, outcome, started - piece.came, took)
        for piece, outcome in zip(pieces, found, strict=True)
    ]
    for loop in {piece.loop for piece in pieces}:
        own = [each for each in settled if each[0].loop is loop]
        if loop is None:
            _settle(own)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_settle, own)


def _settle(settled: Sequence[tuple[WorkItem, Any, float, float]]) -> None:
    for piece, outcome, waited, took in settled:
        piece.settle(outcome, waited, took)
