"""The command line of `python -m model_build NAME --int8`, which is for models of any name."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

HELP = "NAME --int8 --calibrate DIR writes NAME-int8, the sibling of a model that is there, in 8-bit integers."


class Int8CommandError(Exception):
    """The sibling cannot be written; the message says why and what to do."""


def parser() -> argparse.ArgumentParser:
    """The command line with --int8."""
    command = argparse.ArgumentParser(prog="python -m model_build", description=HELP)
    add = command.add_argument
    add(
        "name", metavar="NAME", help="a model in the folder of models; its highest version is taken"
    )
    add("--int8", action="store_true", help="write the sibling NAME-int8")
    add(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="pictures; of what is learned the data set (the cache, else fetched)",
    )
    add("--out", type=Path, default=Path("models"), help="folder of models (models)")
    add("--replace", action="store_true", help="write over the sibling that is there")
    return command


def run(
    options: argparse.Namespace,
    folder: Path,
    target: Path,
    learned: bool,
    say: Callable[[str], None],
) -> None:
    """Write the sibling of the model in `folder` to `target`; raises Int8CommandError and
    ModelFileError.

    A model that was `learned` here is calibrated and measured with its data set, any other with
    pictures.
    """
    path = newest(folder)
    if target.exists() and not options.replace:
        raise Int8CommandError(f"{target} exists; add --replace to write it anew")
    # The optional extra, as for builds: the library's tools of quantisation need SymPy.
    try:
        from model_build.experiments import run as learning  # noqa: PLC0415
        from model_build.quantising import report  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Int8CommandError(
            f'{error.name} is not installed; --int8 needs: pip install -e ".[cpu,build]"'
        ) from None
    lesson = partial(learning.material, options.name, options.calibrate, say) if learned else None
    try:
        report.run(path, target, lesson or partial(report.photographs, options.calibrate), say)
    except (*learning.LEARNING_ERRORS, *report.ERRORS) as error:
        # Data sets speak of the option that names their folder elsewhere.
        reason = str(error).replace("--data", "--calibrate")
        raise Int8CommandError(f"{options.name} in int8: {reason}") from None


def newest(folder: Path) -> Path:
    """The file of the highest version in a model's folder; raises Int8CommandError."""
    found = [path for path in folder.glob("*/model.onnx") if path.parent.name.isdecimal()]
    if not found:
        raise Int8CommandError(f"{folder} holds no model; build, learn or adopt it before --int8")
    return max(found, key=lambda path: int(path.parent.name))
