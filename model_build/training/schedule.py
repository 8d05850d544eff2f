"""Learning rates over a training."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cosine:
    """A linear warm-up to `peak`, then half a cosine down to `floor` (Loshchilov and Hutter 2017,
    without restarts).

    `warmup` is the share of all steps that the warm-up takes. Raises ValueError for numbers that
    make no schedule.
    """

    peak: float
    warmup: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.peak) and 0 <= self.floor <= self.peak and self.peak > 0):
            raise ValueError(
                f"expected 0 <= floor <= peak and peak > 0, got {self.floor} and {self.peak}"
            )
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"expected a warm-up of 0 to 1 of the steps, got {self.warmup}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of a training of `steps`."""
        rising = round(self.warmup * steps)
        if step < rising:
            return self.peak * (step + 1) / rising
        share = (step - rising) / max(steps - rising, 1)
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * share)) / 2
