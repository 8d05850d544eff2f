"""`python -m model_build NAME --int8`: write the 8-bit variant of a model of any name."""

import argparse
from functools import partial
from pathlib import Path

from model_build.commands.arguments import add_out
from model_build.commands.learn import LEARNED
from model_build.commands.model_files import CommandError, model_path

HELP = (
    "NAME --int8 --calibrate DIR writes NAME-int8, the quantised variant of a model that exists, "
    "in 8-bit integers."
)


def parser() -> argparse.ArgumentParser:
    """The command line with --int8."""
    command = argparse.ArgumentParser(prog="python -m model_build", description=HELP)
    command.set_defaults(run=run)
    add = command.add_argument
    add("name", metavar="NAME", help="a model in the folder of models; its highest version counts")
    add("--int8", action="store_true", help="write the quantised variant NAME-int8")
    add(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="folder of images; for a learned model its data set (the cache, else downloaded)",
    )
    add_out(command)
    add("--replace", action="store_true", help="overwrite an existing variant")
    return command


def run(options: argparse.Namespace) -> None:
    """Write the variant beside its model; raises CommandError and ModelFileError.

    A learned model is calibrated and measured with its data set, any other with images.
    """
    folder = model_path(options.out, options.name).parent.parent
    target = model_path(options.out, f"{options.name}-int8")
    path = newest(folder)
    if target.exists() and not options.replace:
        raise CommandError(f"{target} exists; add --replace to write it anew")
    # The optional extra, as for builds: the library's tools of quantisation need SymPy.
    try:
        from model_build.experiments import run as learning  # noqa: PLC0415
        from model_build.quantising import report  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(
            f'{error.name} is not installed; --int8 needs: pip install -e ".[cpu,build]"'
        ) from None
    if options.name in LEARNED:
        gather = partial(learning.calibration_data, options.name, options.calibrate, print)
    else:
        gather = partial(report.photographs, options.calibrate)
    try:
        report.run(path, target, gather, print)
    except (*learning.LEARNING_ERRORS, *report.ERRORS) as error:
        # Data sets speak of the option that names their folder elsewhere.
        reason = str(error).replace("--data", "--calibrate")
        raise CommandError(f"{options.name} in int8: {reason}") from None


def newest(folder: Path) -> Path:
    """The file of the highest version in a model's folder; raises CommandError."""
    versions = [path for path in folder.glob("*/model.onnx") if path.parent.name.isdecimal()]
    if not versions:
        raise CommandError(f"{folder} holds no model; build, learn or adopt it before --int8")
    return max(versions, key=lambda path: int(path.parent.name))
