"""`python -m model_build imagenet`, and `all`: build models out of published weights."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from anatomy.cards.card import Card
from model_build.commands.arguments import add_out
from model_build.commands.model_files import CommandError, model_path, write_model
from model_build.published.packages import MissingPackageError
from model_build.published.torch_checkpoint import WeightsError
from model_build.samples import FOLDER, copy_photographs


def _imagenet() -> tuple[onnx.ModelProto, Card]:
    # The optional extra: adopting a file and finding nothing missing need no onnxscript.
    try:
        from model_build.published import imagenet  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(
            f'{error.name} is not installed; builds need: pip install -e ".[cpu,build]"'
        ) from None
    try:
        return imagenet.build()
    except (MissingPackageError, WeightsError) as error:
        raise CommandError(str(error)) from None


BUILDERS: dict[str, Callable[[], tuple[onnx.ModelProto, Card]]] = {"imagenet": _imagenet}
SAMPLES = Path("samples")
"""The project's photographs, which lie beside `models`."""


def add_parsers(commands: Any) -> None:
    """Add a command for each model that is built, and `all`."""
    for name in BUILDERS:
        parser = commands.add_parser(name, help=f"build the model {name} from published weights")
        parser.set_defaults(run=run, names=[name], missing=False)
        _add_options(parser)
    parser = commands.add_parser("all", help="build every model that has published weights")
    parser.add_argument("--missing", action="store_true", help="build only models without a file")
    parser.set_defaults(run=run, names=list(BUILDERS))
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_out(parser)
    parser.add_argument(
        "--samples",
        type=Path,
        metavar="DIR",
        help="folder of photographs that become the model's samples (samples, if it exists)",
    )


def run(options: argparse.Namespace) -> None:
    """Build the models of `options.names` and copy the samples beside them; raises CommandError."""
    source = options.samples or SAMPLES
    if options.samples and not source.is_dir():
        raise CommandError(f"{source} is no folder of samples")
    for name in options.names:
        path = model_path(options.out, name)
        if options.missing and path.is_file():
            print(f"{path} is there, not built again")
        else:
            write_model(path, BUILDERS[name])
        if copied := copy_photographs(source, path.parent / FOLDER):
            print(f"  {copied} samples from {source}")
