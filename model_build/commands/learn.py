"""`python -m model_build digits`: learn a network from nothing."""

import argparse
from pathlib import Path
from typing import Any

from model_build.commands.arguments import add_out, natural, positive
from model_build.commands.model_files import CommandError, model_path

LEARNED = ("digits", "digits1d", "voxels")
"""Learned from nothing in minutes; the repository holds what came of it."""


def add_parsers(commands: Any) -> None:
    """Add a command for each network that is learned from nothing."""
    for name in LEARNED:
        parser = commands.add_parser(name, help=f"learn the model {name} from nothing")
        parser.set_defaults(
            run=run,
            experiment=name,
            interrupted="the same command goes on from its last checkpoint",
        )
        add_out(parser)
        _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the data set (the cache, else downloaded)",
    )
    add("--replace", action="store_true", help="overwrite an existing model")
    add("--seed", type=natural, default=0, help="equal seeds learn equal weights (%(default)s)")
    add("--epochs", type=positive, help="passes over the data, in place of the usual number")
    add(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cuda fails where there is none (%(default)s)",
    )
    add("--threads", type=positive, help="threads of a step (as many as there are processors)")


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
