"""The stages of `/predict`: inputs in, the strongest classes of each out, computed by the model's
main session.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from service.errors import FoveaError, Impossible
from service.inference.pipeline import Array, Pipeline, PreparedInput, run_batches
from service.inference.top_k import top_k
from service.inputs.preprocess import SMALL_BYTES, InputSource, RawInput, preprocess
from service.inputs.store import InputStore
from service.repository.model import Model
from service.scheduling.work_item import Completed
from service.telemetry.statistics import Statistics

TOP_K = 5


@dataclass(frozen=True, slots=True)
class ScoredClass:
    """A class, its label (None where the card has none) and what the network gives it."""

    index: int
    label: str | None
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The strongest classes first; `input_id` is None for arrays that were not posted; times in
    seconds.
    """

    classes: Sequence[ScoredClass]
    input_id: str | None
    decode: float
    run: float


@dataclass(frozen=True, slots=True)
class PredictItem:
    """An input, how many classes of it (5, or all where there are fewer), when it is to be done,
    and when it came.

    Both are points of `time.monotonic()`; without the latter it did not wait.
    """

    source: InputSource
    top_k: int | None
    deadline: float
    came: float = math.inf


@dataclass(frozen=True, eq=False, slots=True)
class PreparedItem(PreparedInput):
    """The same, ready for the network; `input_id` is None until what was `posted` is kept."""

    top_k: int | None
    posted: RawInput | None
    input_id: str | None


class Predictor:
    """What was posted is kept in `store` once it is known to fit; `max_pixels` bounds them before
    decoding.
    """

    def __init__(
        self, store: InputStore, max_pixels: int, statistics: Statistics | None = None
    ) -> None:
        self._store = store
        self._statistics = statistics or Statistics()
        self._max_pixels = max_pixels

    def predict_all(
        self, model: Model, items: Sequence[PredictItem]
    ) -> list[Prediction | FoveaError]:
        """Each input's classes, or what is wrong with it, all in this thread; those of one shape go
        through the network together.
        """
        return self.run(model, [self._prepared(model, item) for item in items])

    async def predict(
        self, pipeline: Pipeline, model: Model, items: Sequence[PredictItem]
    ) -> Completed[list[Prediction | FoveaError]]:
        """The same, each stage on its own threads. One input may share its run with those of other
        requests, several make runs of their own. A small one is kept as soon as it is decoded, for
        that takes less time than to hand it over; a large one is written beside the run.

        Raises QueueFull, DeadlinePassed, and what fails a run.
        """
        deadline = items[0].deadline
        decoded = await pipeline.on_cpu(
            model, deadline, lambda: [self._prepared(model, item, SMALL_BYTES) for item in items]
        )
        prepared = decoded.result
        errors = [entry for entry in prepared if isinstance(entry, FoveaError)]
        if len(errors) == len(items):
            return Completed([*errors], decoded.waited, 0.0)
        writing = [self._begin_to_keep(pipeline, entry) for entry in prepared]
        ran = await self._queued(pipeline, model, deadline, prepared)
        results = ran.result
        for index, write in enumerate(writing):
            result = results[index]
            if write is not None and isinstance(result, Prediction):
                input_id = await pipeline.finished(model, deadline, write)
                results[index] = replace(result, input_id=input_id)
        return Completed(results, decoded.waited + ran.waited, ran.took)

    async def _queued(
        self,
        pipeline: Pipeline,
        model: Model,
        deadline: float,
        prepared: Sequence[PreparedItem | FoveaError],
    ) -> Completed[list[Prediction | FoveaError]]:
        run = pipeline.batcher.run
        if len(prepared) > 1:
            return await run(
                lambda _: [self.run(model, prepared)], None, deadline, None, owner=model
            )
        key = model if model.shares else None
        done = await run(partial(self.run, model), prepared[0], deadline, key, owner=model)
        return Completed([done.result], done.waited, done.took)

    def run(
        self, model: Model, inputs: Sequence[PreparedItem | FoveaError]
    ) -> list[Prediction | FoveaError]:
        """The classes of inputs that are ready; an error in place of one stays where it is."""
        return run_batches(
            model, inputs, partial(_scores, model), partial(_predictions, model), self._statistics
        )

    def _begin_to_keep(
        self, pipeline: Pipeline, entry: PreparedItem | FoveaError
    ) -> "asyncio.Future[str] | None":
        """Begin to write what is not kept yet; None where nothing is to be written."""
        if isinstance(entry, FoveaError) or entry.posted is None or entry.input_id is not None:
            return None
        posted = entry.posted
        return pipeline.beside(lambda: self._store.put(posted.stored_bytes))

    def _prepared(
        self, model: Model, item: PredictItem, largest_kept: float = math.inf
    ) -> PreparedItem | FoveaError:
        """An input that is ready, and kept unless it has more bytes than that."""
        started = time.monotonic()
        try:
            decoded = preprocess(model, item.source, self._max_pixels)
        except FoveaError as error:
            return error
        posted, input_id = decoded.posted, None
        if posted is not None and len(posted.data) <= largest_kept:
            input_id = self._store.put(posted.stored_bytes)
        ready = time.monotonic()
        return PreparedItem(
            decoded.array,
            item.deadline,
            ready,
            max(0.0, started - item.came),
            ready - started,
            item.top_k,
            posted,
            input_id,
        )


def _scores(model: Model, arrays: Sequence[Array], deadline: float) -> Array:
    """A row of scores for each input; raises Impossible if the output is no list of classes."""
    output = model.run(arrays, deadline)[0]
    count = len(arrays)
    if output.ndim < 2 or output.shape[0] != count or output.shape[1] != output[0].size:
        raise Impossible(
            f"the network's output has shape {list(output.shape)}, which is no list of classes; "
            "ask for the activations of its last layer"
        )
    return output.reshape(count, -1)


def _predictions(
    model: Model, scores: Array, batch: Sequence[PreparedItem], seconds: float
) -> list[Prediction | FoveaError]:
    """As many classes of each row of scores as its input asks for."""
    count = scores.shape[1]
    most = min(max([item.top_k or TOP_K for item in batch]), count)
    order = top_k(scores, most)
    values = np.take_along_axis(scores, order, axis=1).astype(np.float64)
    predictions: list[Prediction | FoveaError] = []
    for item, indices, row in zip(batch, order.tolist(), values.tolist(), strict=True):
        if item.top_k is not None and item.top_k > count:
            text = f"top_k is {item.top_k}, but the network has {count} classes"
            predictions.append(Impossible(text))
            continue
        asked = item.top_k or TOP_K
        classes = _classes(indices[:asked], row[:asked], model.labels)
        predictions.append(Prediction(classes, item.input_id, item.decode, seconds))
    return predictions


def _classes(
    indices: Sequence[int], values: Sequence[float], labels: Sequence[str]
) -> list[ScoredClass]:
    count = len(labels)
    return [
        ScoredClass(index, labels[index] if index < count else None, value)
        for index, value in zip(indices, values, strict=True)
    ]
