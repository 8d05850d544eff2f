"""A work item: what runs, who waits for it, and how its outcome is delivered."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from service.errors import DeadlinePassed
from service.runtime.cancellation import Cancelled, CancelScope

Item = TypeVar("Item")
Result = TypeVar("Result")
Run = Callable[[Sequence[Item]], Sequence[Result | BaseException]]
"""Computes results in the order of the items; an exception for an item that failed."""

LATE = "the request waited or ran longer than allowed; try again later"


@dataclass(frozen=True, slots=True)
class Completed(Generic[Result]):
    """The result of a work item, and the seconds that it waited and took."""

    result: Result
    waited: float
    took: float


@dataclass(slots=True, eq=False)
class WorkItem:
    """What to run for an item, and the future of the caller who waits on an event loop."""

    run: Run[Any, Any]
    item: Any
    key: object
    owner: Hashable
    future: "asyncio.Future[Completed[Any]]"
    created: float = field(default_factory=time.monotonic)
    scope: CancelScope | None = None
    is_resolved: bool = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop on which the caller waits."""
        return self.future.get_loop()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.future.done()

    def batches_with(self, first: "WorkItem") -> bool:
        """Whether it may share a run with this one."""
        return first.key is not None and self.key == first.key

    def resolve(self, outcome: Any, started: float, took: float) -> None:
        """Deliver the outcome on the event loop, unless nobody waits for it any more."""
        if not self.is_wanted:
            return
        self.is_resolved = True
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(Completed(outcome, started - self.created, took))

    def detach(self) -> None:
        """The caller waits no more: a run that nobody else waits for is cancelled."""
        if self.scope is not None and not self.is_resolved:
            self.scope.cancel_if_unwanted()

    def time_out(self) -> None:
        """Its deadline has passed."""
        if self.is_wanted:
            self.future.set_exception(DeadlinePassed(LATE))

    def cancel(self) -> None:
        """Cancel the caller's future, from any thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.future.cancel)


def outcomes(run: Run[Item, Result], items: Sequence[Item]) -> Sequence[Result | BaseException]:
    """A result or an exception for every item.

    Where they fail together, each is tried alone, so that none fails its neighbours.
    """
    try:
        return run(items)
    except Cancelled as error:
        return [error] * len(items)
    except BaseException as error:  # noqa: BLE001 - delivered to the caller
        return [error] if len(items) == 1 else [outcomes(run, [item])[0] for item in items]


def run_batch(batch: Sequence[WorkItem]) -> Sequence[Any]:
    """The outcomes of work items that share a run."""
    return outcomes(batch[0].run, [work.item for work in batch])


def deliver(batch: Sequence[WorkItem], results: Sequence[Any], started: float, took: float) -> None:
    """Resolve the items of a batch, with one wake-up for every event loop."""
    resolved = list(zip(batch, results, strict=True))
    for loop in {work.loop for work in batch}:
        if loop.is_closed():
            continue
        on_loop = [(work, outcome) for work, outcome in resolved if work.loop is loop]
        loop.call_soon_threadsafe(resolve_all, on_loop, started, took)


def resolve_all(resolved: Sequence[tuple[WorkItem, Any]], started: float, took: float) -> None:
    """Resolve work items of the running event loop."""
    for work, outcome in resolved:
        work.resolve(outcome, started, took)
