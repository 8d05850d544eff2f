"""Hyper-parameters of a training, under the names that Keras and PyTorch give them."""

from dataclasses import dataclass, field

from model_build.training.optimiser import SGD, Optimiser
from model_build.training.schedule import Cosine


@dataclass(frozen=True)
class StepConfig:
    """How a step learns; all of it becomes constants of the step's graph.

    `ema_decay` is the decay of the moving average of weights and statistics, shorter in the first
    steps, 0 for none; `batch_norm_momentum` is, as in Keras, what a batch norm's running statistics
    keep from step to step. Raises ValueError for numbers out of range.
    """

    optimiser: Optimiser = field(default_factory=SGD)
    label_smoothing: float = 0.0
    ema_decay: float = 0.999
    batch_norm_momentum: float = 0.9

    def __post_init__(self) -> None:
        for name in ("label_smoothing", "ema_decay", "batch_norm_momentum"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"{name}: expected 0 or more and less than 1, got {value}")


@dataclass(frozen=True)
class Hyperparameters:
    """How long and how a network is trained. `checkpoint_every` counts steps."""

    epochs: int
    batch_size: int
    schedule: Cosine
    step: StepConfig = field(default_factory=StepConfig)
    seed: int = 0
    checkpoint_every: int = 500
