"""Learning rates over the steps of a training."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cosine:
    """A linear warm-up to `learning_rate`, then half a cosine down to `floor`.

    Loshchilov and Hutter 2017, without restarts. `warmup` is the share of all steps that the
    warm-up takes. Raises ValueError for numbers that make no schedule.
    """

    learning_rate: float
    warmup: float = 0.05
    floor: float = 0.0

    def __post_init__(self) -> None:
        peak, floor = self.learning_rate, self.floor
        if not (math.isfinite(peak) and 0 <= floor <= peak and peak > 0):
            raise ValueError(
                f"expected 0 <= floor <= learning_rate and learning_rate > 0, got {floor} and "
                f"{peak}"
            )
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"expected a warm-up of 0 to 1 of the steps, got {self.warmup}")

    def at(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0, of a training of `steps`."""
        warmup_steps = round(self.warmup * steps)
        if step < warmup_steps:
            return self.learning_rate * (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(steps - warmup_steps, 1)
        height = (1 + math.cos(math.pi * progress)) / 2
        return self.floor + (self.learning_rate - self.floor) * height
