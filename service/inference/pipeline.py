"""The pipeline of an inference: preprocess, run, postprocess.

`/predict`, the activations of a layer and the Open Inference Protocol differ in how an input is
made ready and in what becomes of the outputs. What they share is here once: which stage has which
threads, how inputs share runs of the network, and what is counted of them.
"""

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from service.errors import DeadlinePassed, FoveaError
from service.repository.model import Model
from service.scheduling.batcher import Batcher
from service.scheduling.work_item import LATE, Completed
from service.telemetry.statistics import Statistics

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")


class Pipeline:
    """The threads of the stages. Only a run holds one of the batcher's slots, so that the device
    never waits for a picture to be decoded.

    A request has its place in the batcher's queue from its first stage on: what waits to be decoded
    is bounded by the same limit as what waits for a run. All deadlines are points of
    `time.monotonic()`.
    """

    def __init__(self, batcher: Batcher, queue_size: int, threads: int) -> None:
        self.batcher = batcher
        # Never full by itself: whoever comes here has a place in the batcher's queue.
        self._pool = Batcher(threads, batcher.workers + queue_size, max_batch_size=1, name="cpu")
        self._writers = ThreadPoolExecutor(threads, "fovea-write")

    async def on_cpu(
        self,
        owner: Hashable,
        deadline: float,
        work: Callable[[], Result],
        *,
        admitted: bool = False,
    ) -> Completed[Result]:
        """Do what needs no device, such as decoding, on a pool of threads of its own.

        Raises what the work raises, and DeadlinePassed; QueueFull if too many requests of this
        owner are here, unless this one was `admitted` before.
        """
        with self.batcher.admitted(owner, limited=not admitted):
            return await self._pool.run(lambda _: [work()], None, deadline, None, owner=owner)

    def beside(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        """Begin to write what was decoded to the input store, while the network runs.

        This has threads of its own: an answer waits for it, and must not wait for other requests
        to be decoded.
        """
        return asyncio.get_running_loop().run_in_executor(self._writers, work)

    async def finished(
        self, owner: Hashable, deadline: float, writing: "asyncio.Future[Result]"
    ) -> Result:
        """The result of what was begun `beside` the run; raises DeadlinePassed."""
        if writing.done():
            return writing.result()
        with self.batcher.admitted(owner, limited=False):
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    return await writing
            except TimeoutError:
                raise DeadlinePassed(LATE) from None

    def close(self) -> None:
        """Finish what is running in every stage, drop what is waiting, and end the threads."""
        self._pool.close()
        self.batcher.close()
        self._writers.shutdown()


@dataclass(frozen=True, eq=False, slots=True)
class PreparedInput:
    """One request's input as the network takes it, with its batch axis.

    `deadline` and `ready`, when it became so, are points of `time.monotonic()`; `waited` and
    `decode` are seconds: before it was made ready, and while it was.
    """

    array: Array
    deadline: float
    ready: float
    waited: float
    decode: float

    @property
    def rows(self) -> int:
        """How many items of a batch it is."""
        return len(self.array) if self.array.ndim else 1


Input = TypeVar("Input", bound=PreparedInput)
Outputs = TypeVar("Outputs")
RunStage = Callable[[Sequence[Array], float], Outputs]
"""The network's outputs for arrays of one shape, which are one batch, by a deadline."""
PostprocessStage = Callable[[Outputs, Sequence[Input], float], Sequence[Result | FoveaError]]
"""A result for each input of a batch; the number is the seconds that the run took."""


@dataclass(frozen=True, eq=False, slots=True)
class _Execution:
    """One run of the network, as it is counted."""

    rows: int
    waits: Sequence[float]
    decode: float
    run: float
    encode: float


def run_batches(
    model: Model,
    inputs: Sequence[Input | FoveaError],
    run: RunStage[Outputs],
    postprocess: PostprocessStage[Outputs, Input, Result],
    statistics: Statistics | None,
) -> list[Result | FoveaError]:
    """A result for each input, in their order; those of one shape go through the network together.

    An error in place of an input stays where it is. Runs are counted in `statistics`, unless they
    are no predictions.
    """
    results: dict[int, Result | FoveaError] = {
        index: entry for index, entry in enumerate(inputs) if isinstance(entry, FoveaError)
    }
    executions = []
    for indices, batch in _batches(model, inputs):
        started = time.monotonic()
        outputs = run([entry.array for entry in batch], max([entry.deadline for entry in batch]))
        ran = time.monotonic()
        outcomes = postprocess(outputs, batch, ran - started)
        results.update(zip(indices, outcomes, strict=True))
        executions.append(_execution(batch, outcomes, started, ran))
    # Not before all have succeeded: what fails together is tried again one by one.
    if statistics is not None:
        for execution in executions:
            _record(statistics, model, execution)
    return [results[index] for index in range(len(inputs))]


def _batches(
    model: Model, inputs: Sequence[Input | FoveaError]
) -> Iterator[tuple[list[int], list[Input]]]:
    """Inputs that go through the network together, with their indices: neighbours of one shape, as
    many as the largest batch has room for.
    """
    limit = model.batch_sizes[-1] if model.batch_sizes else math.inf
    indices: list[int] = []
    batch: list[Input] = []
    rows = 0
    for index, entry in enumerate(inputs):
        if isinstance(entry, FoveaError):
            continue
        same_shape = bool(batch) and batch[0].array.shape[1:] == entry.array.shape[1:]
        if batch and not (model.supports_batching and same_shape and rows + entry.rows <= limit):
            yield indices, batch
            indices, batch, rows = [], [], 0
        indices.append(index)
        batch.append(entry)
        rows += entry.rows
    if batch:
        yield indices, batch


def _execution(
    batch: Sequence[PreparedInput], outcomes: Sequence[object], started: float, ran: float
) -> _Execution:
    waits = [
        entry.waited + started - entry.ready
        for entry, outcome in zip(batch, outcomes, strict=True)
        if not isinstance(outcome, FoveaError)
    ]
    decode = sum([entry.decode for entry in batch]) / len(batch)
    rows = sum([entry.rows for entry in batch])
    return _Execution(rows, waits, decode, ran - started, time.monotonic() - ran)


def _record(statistics: Statistics, model: Model, execution: _Execution) -> None:
    statistics.record(
        model.name,
        model.version,
        execution.rows,
        execution.waits,
        execution.decode,
        execution.run,
        execution.encode,
    )
