"""Examples with their classes, as every data set gives them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class DataError(Exception):
    """Data are missing or wrong; the message says which, and what to do."""


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their classes.

    `inputs` are as the network takes them, [N, ...], `labels` int64 [N].
    Raises DataError where the two are not equally many, and for labels of another type.
    """

    inputs: Array
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.labels.shape != self.inputs.shape[:1]:
            raise DataError(
                f"{len(self.inputs)} examples, but labels of shape {list(self.labels.shape)}"
            )
        if self.labels.dtype != np.int64:
            raise DataError(f"expected labels of int64, got {self.labels.dtype}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Array) -> "Split":
        """The examples of these indices."""
        return Split(self.inputs[indices], self.labels[indices])

    def parted(self, held_out: int, seed: int) -> tuple["Split", "Split"]:
        """All but `held_out` examples, and those.

        They are drawn by `seed` so that every class keeps its share in both. What is
        chosen during training (when to stop, which of two networks) is chosen on these, never on
        the test.
        """
        if not 0 <= held_out <= len(self):
            raise DataError(f"expected to hold out 0 to {len(self)} examples, got {held_out}")
        shuffled = np.random.default_rng(seed).permutation(len(self))
        by_class = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        # Evenly spaced in the order of the classes: each gives in proportion.
        spaced = np.arange(held_out) * len(self) // max(held_out, 1)
        chosen = np.zeros(len(self), bool)
        chosen[by_class[spaced]] = True
        return self.take(np.flatnonzero(~chosen)), self.take(np.flatnonzero(chosen))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to learn from, others to be scored on, and where they come from.

    `classes` are the names by label.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    provenance: str
    licence: str


DIGITS = tuple("0123456789")
