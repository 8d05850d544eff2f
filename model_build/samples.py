"""Sample inputs to try a model with, in the folder `samples` beside its file.

A learned model gets test examples: images as PNG, signals as CSV, volumes as .npy, so that each can
be posted as it is. A built model gets copies of photographs.
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

FOLDER = "samples"
README = "README.md"
HARD_COUNT = 2
ABOUT = (
    "Test examples to try the network with; it has not learned from them. Of each class the first "
    "that it names\nrightly; `hard-…` are, of those that it names wrongly, the two whose class "
    "came closest. Written with the model by\n`python -m model_build`."
)


def copy_photographs(source: Path, folder: Path) -> int:
    """Copy the JPEGs of a folder and its README with the credits, where missing or different.

    Returns how many photographs were copied.
    """
    copied = 0
    for file in [*sorted(source.glob("*.jpg")), source / README]:
        data = file.read_bytes() if file.is_file() else b""
        target = folder / file.name
        up_to_date = target.is_file() and target.read_bytes() == data
        if data and not up_to_date:
            write_readable(target, data)
            copied += file.name != README
    return copied


def write_readable(path: Path, data: bytes) -> None:
    """Write a file that everyone may read; it gets its name only when it is complete.

    Makes missing folders. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_examples(folder: Path, model: bytes | Path, card: Card, test: Split, credit: str) -> int:
    """Write the samples of a learned model anew, with their credits; returns how many there are.

    Of each class the first test example that the network names rightly, `LABEL`; and of those that
    it names wrongly the two that it was closest to naming rightly, `hard-LABEL`.
    """
    scores = probabilities(model, test.inputs)
    hard = _closest_errors(scores, test.labels)
    right = _first_right(scores, test.labels)
    chosen = {f"hard-{card.labels[test.labels[index]]}": index for index in hard}
    chosen |= {card.labels[test.labels[index]]: index for index in right}
    suffix, encode = ENCODERS["image" if card.input is None else card.input.kind]
    for old in list(folder.glob(f"*{suffix}")):
        old.unlink()
    for name, index in chosen.items():
        write_readable(folder / f"{name}{suffix}", encode(test.inputs[index]))
    write_readable(folder / README, f"# Samples\n\n{ABOUT}\n\n{credit}\n".encode())
    return len(chosen)


def _first_right(scores: Array, labels: NDArray[np.int64]) -> Array:
    """Indices of the first example of each class that was named rightly."""
    right = np.flatnonzero(scores.argmax(axis=1) == labels)
    _, first = np.unique(labels[right], return_index=True)
    return right[first]


def _closest_errors(scores: Array, labels: NDArray[np.int64]) -> Array:
    """Indices of the wrongly named examples whose class came closest, at most one of a class."""
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    margins = scores[wrong].max(axis=1) - scores[wrong, labels[wrong]]
    closest = wrong[np.argsort(margins, kind="stable")]
    _, first = np.unique(labels[closest], return_index=True)
    return closest[np.sort(first)[:HARD_COUNT]]


def _png(pixels: Array) -> bytes:
    grey = pixels.shape[-1] == 1
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if grey else pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _csv(signal: Array) -> bytes:
    """A column for each channel; nine digits are what a float32 needs."""
    lines = [",".join(f"{value:.9g}" for value in row) for row in signal.T]
    return "".join(f"{line}\n" for line in lines).encode()


def _npy(volume: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, volume.astype(np.float32), allow_pickle=False)
    return stream.getvalue()


ENCODERS: Mapping[str, tuple[str, Callable[[Array], bytes]]] = {
    "image": (".png", _png),
    "signal": (".csv", _csv),
    "volume": (".npy", _npy),
}
