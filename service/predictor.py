"""The use case of `/predict`: an input in, the strongest classes out, computed by the model's lean session."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.engine import Session
from service.errors import Impossible
from service.feed import Feed, Given, make_ready
from service.inputs import InputStore
from service.repository import Model

TOP_K = 5


@dataclass(frozen=True)
class Scored:
    """A class, its label (None where the card has none) and what the network gives it."""

    index: int
    label: str | None
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The strongest classes first; `input_id` is None for arrays that were not posted; times in seconds."""

    classes: Sequence[Scored]
    input_id: str | None
    decode: float
    run: float


class Predictor:
    """What was posted is kept in `store` once it is known to fit; `max_pixels` bounds them before decoding."""

    def __init__(self, store: InputStore, max_pixels: int) -> None:
        self._store = store
        self._max_pixels = max_pixels

    def predict(self, model: Model, given: Given, top_k: int | None, deadline: float) -> Prediction:
        """The `top_k` strongest classes (5, or all where there are fewer); raises the errors of the tree."""
        started = time.monotonic()
        feed = make_ready(model, given, self._max_pixels)
        input_id = None if feed.posted is None else self._store.put(feed.posted.kept)
        decoded = time.monotonic()
        scores = _scores(model.lean, feed, deadline)
        ended = time.monotonic()
        return Prediction(_strongest(scores, top_k, model.card.labels), input_id, decoded - started, ended - decoded)


def _scores(session: Session, feed: Feed, deadline: float) -> np.ndarray:
    output = session.run(feed.feeds, deadline)[0]
    if output.ndim < 2 or output.shape[1] != output.size:
        raise Impossible(
            f"the network's output has shape {list(output.shape)}, which is no list of classes; "
            "ask for the activations of its last layer"
        )
    return output.reshape(-1)


def _strongest(scores: np.ndarray, top_k: int | None, labels: Sequence[str]) -> list[Scored]:
    if top_k is not None and top_k > len(scores):
        raise Impossible(f"top_k is {top_k}, but the network has {len(scores)} classes")
    # As floats, for unsigned integers have no negative; what is not a number sorts last.
    order = np.argsort(-scores.astype(np.float64), kind="stable")[: min(top_k or TOP_K, len(scores))]
    return [Scored(i, labels[i] if i < len(labels) else None, float(scores[i])) for i in order.tolist()]
