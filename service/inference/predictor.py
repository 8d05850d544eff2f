"""The stages of `/predict`: inputs in, the strongest classes of each out, computed by the model's
lean session.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from service.errors import FoveaError, Impossible
from service.inference.pipeline import Array, PreparedInput, run_batches
from service.inference.top_k import top_k
from service.inputs.preprocess import InputSource, preprocess
from service.inputs.store import InputStore
from service.repository.model import Model
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

    given: InputSource
    top_k: int | None
    deadline: float
    came: float = math.inf


@dataclass(frozen=True, eq=False, slots=True)
class PreparedItem(PreparedInput):
    """The same, ready for the network."""

    top_k: int | None
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
        """Each input's classes, or what is wrong with it; those of one shape go through the network
        together.
        """
        return self.run(model, [self._prepared(model, item) for item in items])

    def run(
        self, model: Model, inputs: Sequence[PreparedItem | FoveaError]
    ) -> list[Prediction | FoveaError]:
        """The same for inputs that are ready, or else could not be made so."""
        return run_batches(
            model, inputs, partial(_scores, model), partial(_predictions, model), self._statistics
        )

    def _prepared(self, model: Model, item: PredictItem) -> PreparedItem | FoveaError:
        started = time.monotonic()
        try:
            feed = preprocess(model, item.given, self._max_pixels)
            input_id = None if feed.posted is None else self._store.put(feed.posted.kept)
        except FoveaError as error:
            return error
        ready = time.monotonic()
        waited = max(0.0, started - item.came)
        return PreparedItem(
            feed.array, item.deadline, ready, waited, ready - started, item.top_k, input_id
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
