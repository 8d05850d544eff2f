"""The use case of `/predict`: inputs in, the strongest classes of each out, computed by the model's
lean session.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from service.errors import FoveaError, Impossible
from service.inputs.preprocess import InputSource, ModelInput, preprocess
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


@dataclass(frozen=True, slots=True)
class _Ready:
    place: int
    wanted: PredictItem
    feed: ModelInput
    input_id: str | None
    decode: float


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

    def predict(
        self, model: Model, given: InputSource, top_k: int | None, deadline: float
    ) -> Prediction:
        """The `top_k` strongest classes of one input; raises the errors of the tree."""
        (found,) = self.predict_all(model, [PredictItem(given, top_k, deadline)])
        if isinstance(found, FoveaError):
            raise found
        return found

    def predict_all(
        self, model: Model, wanted: Sequence[PredictItem]
    ) -> list[Prediction | FoveaError]:
        """Each input's classes, or what is wrong with it; those of one shape go through the network
        together.
        """
        began = time.monotonic()
        found: dict[int, Prediction | FoveaError] = {}
        ready: list[_Ready] = []
        runs = []
        for place, each in enumerate(wanted):
            try:
                ready.append(self._ready(model, place, each))
            except FoveaError as error:
                found[place] = error
        for together in _together(model, ready):
            deadline = max(each.wanted.deadline for each in together)
            started = time.monotonic()
            scores = _scores(model, [each.feed for each in together], deadline)
            ran = time.monotonic()
            took, waits = ran - started, []
            for one, classes in zip(
                together, _strongest(scores, together, model.labels), strict=True
            ):
                if isinstance(classes, FoveaError):
                    found[one.place] = classes
                    continue
                found[one.place] = Prediction(classes, one.input_id, one.decode, took)
                waits.append(max(0.0, began - one.wanted.came))
            decode, encode = sum([one.decode for one in together]), time.monotonic() - ran
            runs.append((len(together), waits, decode, took, encode))
        # Not before all have succeeded: what fails together is tried again one by one.
        for run in runs:
            self._statistics.record(model.name, model.version, *run)
        return [found[place] for place in range(len(wanted))]

    def _ready(self, model: Model, place: int, wanted: PredictItem) -> _Ready:
        started = time.monotonic()
        feed = preprocess(model, wanted.given, self._max_pixels)
        input_id = None if feed.posted is None else self._store.put(feed.posted.kept)
        return _Ready(place, wanted, feed, input_id, time.monotonic() - started)


def _together(model: Model, ready: Sequence[_Ready]) -> Iterator[list[_Ready]]:
    """Inputs that fit into one run: of one shape, for a model whose batch axis is open."""
    if not model.batches:
        yield from ([each] for each in ready)
        return
    for _, same in groupby(ready, key=lambda each: each.feed.array.shape):
        together = list(same)
        most = model.sizes[-1] if model.sizes else len(together)
        yield from (together[start : start + most] for start in range(0, len(together), most))


def _scores(model: Model, feeds: Sequence[ModelInput], deadline: float) -> np.ndarray:
    """A row of numbers for each input; raises Impossible for an output that is no list of classes."""
    output = model.run([feed.array for feed in feeds], deadline)[0]
    if output.ndim < 2 or output.shape[0] != len(feeds) or output.shape[1] != output[0].size:
        raise Impossible(
            f"the network's output has shape {list(output.shape)}, which is no list of classes; "
            "ask for the activations of its last layer"
        )
    rows: np.ndarray = output.reshape(len(feeds), -1)
    return rows


def _strongest(
    scores: np.ndarray, ready: Sequence[_Ready], labels: Sequence[str]
) -> Iterator[list[ScoredClass] | Impossible]:
    """The classes that each input asks for, the strongest first, the first of equals first."""
    count = scores.shape[1]
    most = min(max(each.wanted.top_k or TOP_K for each in ready), count)
    # As floats, for unsigned integers have no negative; what is not a number sorts last.
    order = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")[:, :most]
    values = np.take_along_axis(scores, order, axis=1).astype(np.float64).tolist()
    for each, places, found in zip(ready, order.tolist(), values, strict=True):
        top_k = each.wanted.top_k
        if top_k is not None and top_k > count:
            yield Impossible(f"top_k is {top_k}, but the network has {count} classes")
            continue
        best = slice(top_k or TOP_K)
        yield [
            ScoredClass(i, labels[i] if i < len(labels) else None, value)
            for i, value in zip(places[best], found[best], strict=True)
        ]
