"""The pipeline of an inference: preprocess, run, postprocess.

`/predict` and the Open Inference Protocol differ in how an input is made ready and in what becomes
of the outputs. How inputs share runs of the network, and what is counted of them, is here once.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from service.errors import FoveaError
from service.repository.model import Model
from service.telemetry.statistics import Statistics

Array = np.ndarray[Any, Any]


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
Result = TypeVar("Result")
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
    limit = model.sizes[-1] if model.sizes else math.inf
    indices: list[int] = []
    batch: list[Input] = []
    rows = 0
    for index, entry in enumerate(inputs):
        if isinstance(entry, FoveaError):
            continue
        same_shape = bool(batch) and batch[0].array.shape[1:] == entry.array.shape[1:]
        if batch and not (model.batches and same_shape and rows + entry.rows <= limit):
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
