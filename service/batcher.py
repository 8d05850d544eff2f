"""A bounded queue before a pool of threads. Knows no ONNX Runtime and no HTTP: it runs what it is given, or is full.

A free thread takes what is queued, of one key up to `most` pieces together, and never waits for more to come: so
putting pieces together costs nothing when there is only one.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from service.errands import Abandoned, Errand, doing
from service.errors import DeadlinePassed, QueueFull
from service.ledger import Numbers
from service.lines import Lines

Item = TypeVar("Item")
Result = TypeVar("Result")
Run = Callable[[Sequence[Item]], Sequence[Result | BaseException]]
"""Results in the order of the items; an exception for an item that failed."""

LATE = "the request waited or ran longer than allowed; try again later"


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """What came of a piece of work, and the seconds that it waited and took."""

    result: Result
    waited: float
    took: float


@dataclass(slots=True, eq=False)
class _Piece:
    run: Run[Any, Any]
    item: Any
    key: object
    owner: Hashable
    future: "asyncio.Future[Done[Any]] | Future[Done[Any]]"
    loop: asyncio.AbstractEventLoop | None
    came: float = field(default_factory=time.monotonic)
    errand: Errand | None = None
    settled: bool = False

    def settle(self, outcome: Any, waited: float, took: float) -> None:
        """Hand over what came of it, unless nobody waits for it any more."""
        if self.future.done():
            return
        self.settled = True
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(Done(outcome, waited, took))

    def leave(self) -> None:
        """Who asked waits no more: what runs for nobody is stopped."""
        if self.errand is not None and not self.settled:
            self.errand.check()


class Batcher:
    """Runs work on `workers` threads. At most `waiting` more pieces of one owner may wait; one more raises QueueFull.

    Owners, such as models, are served in turn, so that a rush for one does not keep the others waiting.

    How many are running or waiting is told in `length`, and in `crowd` how many workers have something to do.
    """

    def __init__(
        self,
        workers: int,
        waiting: int,
        most: int = 8,
        length: Numbers | None = None,
        crowd: Numbers | None = None,
    ) -> None:
        self._length = [0.0] if length is None else length
        self._crowd = [0.0] if crowd is None else crowd
        self._busy = 0
        self._limit = workers + waiting
        self._workers = workers
        self._most = most
        self._waiting: Lines[_Piece] = Lines()
        self._here: list[_Piece] = []
        self._changed = threading.Condition(threading.Lock())
        self._running: Counter[Hashable] = Counter()
        self._closed = False
        self._typical = 0.05
        self._threads = [
            threading.Thread(target=self._work, name=f"fovea-run-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def workers(self) -> int:
        """How many pieces can run at a time."""
        return self._workers

    @property
    def inside(self) -> int:
        """How many pieces are running or waiting now."""
        with self._changed:
            self._waiting.keep(_wanted)
            return self._running.total() + len(self._waiting)

    def submit(self, work: Callable[[], Result], owner: Hashable = None) -> "Future[Done[Result]]":
        """Queue `work` for an owner; raises QueueFull, which tells in how many seconds to try again."""
        future: Future[Done[Result]] = Future()
        self._put(_Piece(lambda _: [work()], None, None, owner, future, None))
        return future

    async def ask(
        self,
        run: Run[Item, Result],
        item: Item,
        deadline: float,
        key: object,
        *,
        owner: Hashable = None,
        here: bool = False,
    ) -> Done[Result]:
        """What `run` makes of the item, perhaps with others of the same owner and key; None is a key of its own.

        With `here` it is done by the event loop itself, together with what else came in this turn of it: right for what
        takes less time than waking a thread and handing the interpreter to and fro. `deadline` is a point of
        `time.monotonic()`. Raises QueueFull, what `run` gives or raises for this item, and DeadlinePassed if it is not
        done in time: work whose turn did not come by then, or whose caller is cancelled, is dropped, and what runs for
        nobody else is stopped.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Done[Result]] = loop.create_future()
        piece = _Piece(run, item, key, owner, future, loop)
        if here:
            self._put_here(piece)
            return await future
        self._put(piece)
        late = loop.call_later(deadline - time.monotonic(), _expire, future)
        try:
            return await future
        except (DeadlinePassed, asyncio.CancelledError):
            self._forget()
            raise
        finally:
            late.cancel()
            piece.leave()

    def close(self) -> None:
        """Finish what is running, drop what is waiting, and end the threads."""
        with self._changed:
            self._closed = True
            dropped = self._waiting.clear()
            self._changed.notify_all()
        for piece in dropped:
            _cancel(piece)
        for thread in self._threads:
            thread.join()

    def _put_here(self, piece: _Piece) -> None:
        if not self._here:
            asyncio.get_running_loop().call_soon(self._work_here)
        self._here.append(piece)

    def _work_here(self) -> None:
        here, self._here = self._here, []
        while here:
            same = [piece for piece in here if piece.key == here[0].key][: self._most]
            here = [piece for piece in here if piece not in same]
            started = time.monotonic()
            found = _outcomes(same)
            took = time.monotonic() - started
            for piece, outcome in zip(same, found, strict=True):
                piece.settle(outcome, started - piece.came, took)

    def _put(self, piece: _Piece) -> None:
        with self._changed:
            inside = self._inside(piece.owner)
            if inside >= self._limit:
                self._waiting.keep(_wanted)
                inside = self._inside(piece.owner)
            if inside >= self._limit:
                retry_after = inside * self._typical / self._workers
                raise QueueFull(f"{inside} requests are running or waiting already; try again later", retry_after)
            self._waiting.put(piece.owner, piece)
            self._tell()
            self._changed.notify()

    def _inside(self, owner: Hashable) -> int:
        return self._running[owner] + self._waiting.length(owner)

    def _forget(self) -> None:
        with self._changed:
            self._waiting.keep(_wanted)
            self._tell()

    def _tell(self) -> None:
        self._length[0] = self._running.total() + len(self._waiting)
        self._crowd[0] = min(self._busy + len(self._waiting), self._workers)

    def _work(self) -> None:
        while pieces := self._taken():
            started = time.monotonic()
            owner = pieces[0].owner
            with doing(pieces[0].errand):
                found = _outcomes(pieces)
            took = time.monotonic() - started
            with self._changed:
                self._running[owner] -= len(pieces)
                if not self._running[owner]:
                    del self._running[owner]
                self._busy -= 1
                self._tell()
                # A moving average is enough for an honest Retry-After.
                self._typical += 0.1 * (took / len(pieces) - self._typical)
            _deliver(pieces, found, started, took)
            # While it waits for more, it must not keep what these were about.
            del pieces, found, owner

    def _taken(self) -> list[_Piece]:
        """The next pieces that can run together; none once the queue is closed."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return []
                pieces = self._next()
                if pieces:
                    self._running[pieces[0].owner] += len(pieces)
                    self._busy += 1
                self._tell()
                if pieces:
                    return pieces

    def _next(self) -> list[_Piece]:
        pieces = self._waiting.take(self._most, _together)
        futures = [piece.future for piece in pieces]
        errand = Errand(lambda: not all(future.done() for future in futures))
        for piece in pieces:
            # Before it is looked whether somebody waits: who leaves after that finds what to stop.
            piece.errand = errand
        return [piece for piece in pieces if _begun(piece)]


def _together(first: _Piece, other: _Piece) -> bool:
    return first.key is not None and other.key == first.key


def _wanted(piece: _Piece) -> bool:
    return not piece.future.done()


def _begun(piece: _Piece) -> bool:
    """Whether somebody still waits for it."""
    if isinstance(piece.future, Future):
        return piece.future.set_running_or_notify_cancel()
    return not piece.future.done()


def outcomes(run: Run[Item, Result], items: Sequence[Item]) -> Sequence[Result | BaseException]:
    """A result or an exception for each; where they fail together, each is tried alone: no one fails its neighbours."""
    try:
        return run(items)
    except Abandoned as error:
        return [error] * len(items)
    except BaseException as error:  # noqa: BLE001 - handed on to who asked
        return [error] if len(items) == 1 else [outcomes(run, [item])[0] for item in items]


def _outcomes(pieces: Sequence[_Piece]) -> Sequence[Any]:
    return outcomes(pieces[0].run, [piece.item for piece in pieces])


def _deliver(pieces: Sequence[_Piece], found: Sequence[Any], started: float, took: float) -> None:
    """Wake each event loop once, however many of its pieces are done."""
    settled = [(piece, outcome, started - piece.came, took) for piece, outcome in zip(pieces, found, strict=True)]
    for loop in {piece.loop for piece in pieces}:
        own = [each for each in settled if each[0].loop is loop]
        if loop is None:
            _settle(own)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_settle, own)


def _settle(settled: Sequence[tuple[_Piece, Any, float, float]]) -> None:
    for piece, outcome, waited, took in settled:
        piece.settle(outcome, waited, took)


def _expire(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(DeadlinePassed(LATE))


def _cancel(piece: _Piece) -> None:
    if piece.loop is None:
        piece.future.cancel()
    elif not piece.loop.is_closed():
        piece.loop.call_soon_threadsafe(piece.future.cancel)
