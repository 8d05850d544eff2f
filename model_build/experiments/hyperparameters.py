"""Hyper-parameters of each experiment: the defaults of the command line, which can change them."""

import argparse
from collections.abc import Mapping
from dataclasses import replace

from model_build.training.hyperparameters import Hyperparameters, StepConfig
from model_build.training.optimiser import SGD, AdamW
from model_build.training.schedule import Cosine

MOMENTUM = StepConfig(SGD(nesterov=True, weight_decay=5e-4), label_smoothing=0.1)

HYPERPARAMETERS: Mapping[str, Hyperparameters] = {
    "digits": Hyperparameters(14, 128, Cosine(0.1), MOMENTUM),
    "digits1d": Hyperparameters(
        150,
        100,
        Cosine(3e-3),
        StepConfig(AdamW(weight_decay=0.05), label_smoothing=0.1, ema_decay=0.998),
    ),
    "voxels": Hyperparameters(6, 128, Cosine(0.1), MOMENTUM),
}


def changed(hyperparameters: Hyperparameters, options: argparse.Namespace) -> Hyperparameters:
    """Hyper-parameters with the values that the command line has for them."""
    step = hyperparameters.step
    return replace(
        hyperparameters,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        schedule=replace(hyperparameters.schedule, learning_rate=options.learning_rate),
        step=replace(
            step,
            optimiser=replace(step.optimiser, weight_decay=options.weight_decay),
            label_smoothing=options.label_smoothing,
            ema_decay=options.ema_decay,
        ),
    )
