"""Inputs to try a learned model with: test examples, in the folder `samples` beside its file.

Pictures are PNG, signals CSV, volumes .npy, so that each can be posted as it is.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anatomy.cards.card import Card
from model_build.datasets.split import Array, Split
from model_build.evaluate import probabilities
from model_build.photographs import README, write_readable

HARD = 2
ABOUT = """Test examples to try the network with; it has not learned from them. Of each class the first that it names
rightly; `hard-…` are, of those that it names wrongly, the two whose class came closest. Written with the model by
`python -m model_build`."""


def write_examples(folder: Path, model: bytes | Path, card: Card, test: Split, credit: str) -> int:
    """Write the samples of a learned model anew, and their credits; how many.

    Of each class the first test example that the network names rightly, `LABEL`; and of those that
    it names wrongly the two that it was closest to naming rightly, `hard-LABEL`.
    """
    given = probabilities(model, test.inputs)
    chosen = {
        f"hard-{card.labels[test.labels[place]]}": place for place in _hard(given, test.labels)
    }
    chosen |= {card.labels[test.labels[place]]: place for place in _right(given, test.labels)}
    ending, encode = FORMS["image" if card.input is None else card.input.kind]
    for old in [path for path in folder.glob("*") if path.suffix == ending]:
        old.unlink()
    for name, place in chosen.items():
        write_readable(folder / f"{name}{ending}", encode(test.inputs[place]))
    write_readable(folder / README, f"# Samples\n\n{ABOUT}\n\n{credit}\n".encode())
    return len(chosen)


def _right(given: Array, labels: NDArray[np.int64]) -> Array:
    """The first example of each class that was named rightly."""
    places = np.flatnonzero(given.argmax(axis=1) == labels)
    return places[np.unique(labels[places], return_index=True)[1]]


def _hard(given: Array, labels: NDArray[np.int64]) -> Array:
    """Of the examples that were named wrongly those whose class came closest, one of a class."""
    wrong = np.flatnonzero(given.argmax(axis=1) != labels)
    short = given[wrong].max(axis=1) - given[wrong, labels[wrong]]
    closest = wrong[np.argsort(short, kind="stable")]
    first = np.sort(np.unique(labels[closest], return_index=True)[1])
    return closest[first[:HARD]]


def _png(pixels: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        stream, "PNG", optimize=True
    )
    return stream.getvalue()


def _csv(signal: Array) -> bytes:
    """A column for each channel; nine digits are what a float32 needs."""
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in signal.T).encode()


def _npy(volume: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, volume.astype(np.float32), allow_pickle=False)
    return stream.getvalue()


FORMS: Mapping[str, tuple[str, Callable[[Array], bytes]]] = {
    "image": (".png", _png),
    "signal": (".csv", _csv),
    "volume": (".npy", _npy),
}
