"""Batches in an order that the seed decides.

What a step reads follows from its number, so that resuming needs no more. A remainder that
fills no batch is left out; the next epoch's order leaves out others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_build.datasets.split import Split
from model_build.export import Augmentation

# Streams of random numbers of one seed.
_ORDER, _AUGMENTATION = 1, 2


@dataclass(frozen=True, eq=False)
class Batches:
    """The examples of a training, `size` at a time."""

    examples: Split
    size: int
    seed: int
    augmentation: Augmentation | None = None

    @property
    def per_epoch(self) -> int:
        """Whole batches in one pass."""
        return len(self.examples) // self.size

    def at(self, step: int) -> tuple[NDArray[Any], NDArray[np.int64], Mapping[str, NDArray[Any]]]:
        """Examples, labels and the augmentation's random numbers of a step, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        chosen = self._order(epoch)[position * self.size : (position + 1) * self.size]
        random = np.random.default_rng([self.seed, _AUGMENTATION, step])
        numbers = self.augmentation.draw(random, self.size) if self.augmentation else {}
        return self.examples.inputs[chosen], self.examples.labels[chosen], numbers

    @cached_property
    def _order(self) -> Any:
        def order(epoch: int) -> NDArray[np.int64]:
            return np.random.default_rng([self.seed, _ORDER, epoch]).permutation(len(self.examples))

        return lru_cache(maxsize=2)(order)
