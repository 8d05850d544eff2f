"""`python -m model_build digits`: learn a network from nothing."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model_build.commands.arguments import (
    add_out,
    natural,
    non_negative_number,
    positive,
    positive_number,
    share,
)
from model_build.commands.model_files import CommandError, model_path
from model_build.experiments.hyperparameters import HYPERPARAMETERS
from model_build.training.hyperparameters import Hyperparameters

LEARNED = tuple(HYPERPARAMETERS)
"""Networks that are learned from nothing in minutes; the repository holds them learned."""


def add_parsers(commands: Any) -> None:
    """Add a command for each network that is learned from nothing."""
    for name, hyperparameters in HYPERPARAMETERS.items():
        parser = commands.add_parser(name, help=f"learn the model {name} from nothing")
        parser.set_defaults(
            run=run,
            experiment=name,
            interrupted="the same command goes on from its last checkpoint",
        )
        add_out(parser)
        _add_options(parser)
        _add_hyperparameters(parser, hyperparameters)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the data set (the cache, else downloaded)",
    )
    add("--replace", action="store_true", help="overwrite an existing model")
    add(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cuda fails where there is none (%(default)s)",
    )
    add(
        "--threads",
        type=positive,
        metavar="N",
        help="threads of a step (as many as there are processors)",
    )


def _add_hyperparameters(parser: argparse.ArgumentParser, defaults: Hyperparameters) -> None:
    optimiser = defaults.step.optimiser
    group = parser.add_argument_group(
        "hyper-parameters",
        f"The defaults are those of this network, which learns with {type(optimiser).__name__}.",
    )

    def add(flag: str, kind: Callable[[str], float], default: float, text: str) -> None:
        metavar = "N" if isinstance(default, int) else "X"
        help_text = f"{text} (%(default)s)"
        group.add_argument(flag, type=kind, default=default, metavar=metavar, help=help_text)

    add("--epochs", positive, defaults.epochs, "passes over the data")
    add("--batch-size", positive, defaults.batch_size, "examples of a step")
    add(
        "--learning-rate",
        positive_number,
        defaults.schedule.learning_rate,
        "learning rate after the warm-up, from which it falls to 0",
    )
    add(
        "--weight-decay",
        non_negative_number,
        optimiser.weight_decay,
        "decay of kernels and matrices, 0 for none",
    )
    add(
        "--label-smoothing",
        share,
        defaults.step.label_smoothing,
        "share of the target that all classes have in common, 0 for none",
    )
    add(
        "--ema-decay",
        share,
        defaults.step.ema_decay,
        "decay of the moving average of the weights, 0 to keep the last weights",
    )
    add("--seed", natural, defaults.seed, "equal seeds learn equal weights")


def run(options: argparse.Namespace) -> None:
    """Learn the network of `options.experiment` and write it; raises CommandError."""
    path = model_path(options.out, options.experiment)
    if path.exists() and not options.replace:
        raise CommandError(
            f"{path} exists; add --replace to learn it anew, or choose another folder with --out"
        )
    # The optional extra, as for builds.
    try:
        from model_build.experiments import run as learning  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(
            f'{error.name} is not installed; learning needs: pip install -e ".[cpu,build]"'
        ) from None
    try:
        learning.run(options, path, print)
    except learning.LEARNING_ERRORS as error:
        raise CommandError(str(error)) from None
