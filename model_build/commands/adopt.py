"""`python -m model_build adopt FILE`: wrap a foreign ONNX file, so that it takes images."""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
import onnx.external_data_helper

from anatomy.cards.card import Card, Resize
from anatomy.model_file import read
from model_build.adopting.adopt import adopt
from model_build.adopting.preprocessing import Preprocessing
from model_build.adopting.preprocessing_nodes import PROBABILITIES, ending
from model_build.commands import arguments
from model_build.commands.model_files import CommandError, model_path, write_model

RESIZE_HELP = (
    "centre_crop[:FRACTION][:INTERPOLATION], stretch[:INTERPOLATION] or pad[:INTERPOLATION] "
    "(centre_crop)"
)


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "adopt", help="wrap a foreign ONNX file: preprocessing, softmax, labels"
    )
    parser.set_defaults(run=run)
    arguments.add_out(parser)
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the ONNX file")
    add("--name", required=True, help="the name under which it is served")
    add("--replace", action="store_true", help="overwrite an existing model of that name")
    add("--labels", type=Path, metavar="FILE", help="class names: one a line, or a JSON list")
    _add_preprocessing(parser)
    add("--softmax", action="store_true", help="the network ends in logits: append a softmax")
    for text in ("title", "description", "provenance", "licence"):
        add(f"--{text}", default="", help=f"the card's {text}")


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--mean", type=arguments.numbers, default=(0.0,), help="one number or one per channel (0)")
    add("--std", type=arguments.numbers, default=(1.0,), help="one number or one per channel (1)")
    add(
        "--scale",
        type=float,
        default=255.0,
        help="what pixels are divided by before mean and std (255)",
    )
    add(
        "--colour",
        choices=["RGB", "BGR", "L"],
        help="the order of the network's channels (RGB, or L where it has one)",
    )
    add(
        "--layout",
        choices=["NCHW", "NHWC"],
        help="the order of the network's axes (taken from the graph)",
    )
    add(
        "--size",
        type=arguments.size,
        metavar="H,W",
        help="the input's size, where the graph leaves it open",
    )
    add("--resize", type=arguments.resize, default=Resize(), metavar="RULE", help=RESIZE_HELP)


def run(options: argparse.Namespace) -> None:
    """Write the adopted model; raises CommandError, AdoptError, CardError and ModelFileError."""
    path = model_path(options.out, options.name)
    if path.exists() and not options.replace:
        raise CommandError(f"{path} exists; choose another --name or add --replace")
    preprocessing = Preprocessing(
        mean=options.mean,
        std=options.std,
        scale=options.scale,
        colour=options.colour,
        layout=options.layout,
        size=options.size,
        resize=options.resize,
        softmax=options.softmax,
    )
    labels = _labels(options.labels) if options.labels else ()
    model = read(options.file)
    card = Card(
        title=options.title or options.name,
        description=options.description,
        labels=labels,
        provenance=options.provenance or _provenance(options.file),
        licence=options.licence,
    )
    write_model(path, lambda: adopt(model, preprocessing, card))
    if (last := ending(model.graph)) not in PROBABILITIES and not options.softmax:
        print(
            f"note: it ends in {last or 'no operator'}; if its scores are no probabilities yet, "
            "add --softmax"
        )


def _provenance(file: Path) -> str:
    """The file and those that hold its weights, each with its digest."""
    proto = onnx.load(file, load_external_data=False)
    external = [
        onnx.external_data_helper.ExternalDataInfo(tensor) for tensor in proto.graph.initializer
    ]
    weight_files = sorted({info.location for info in external if info.location})
    descriptions = []
    for name in [file.name, *weight_files]:
        digest = hashlib.sha256((file.parent / name).read_bytes()).hexdigest()
        descriptions.append(f"{name}, SHA-256 {digest}")
    return f"Adopted from {' with '.join(descriptions)}"


def _labels(path: Path) -> tuple[str, ...]:
    """Class names from a file: one a line, or a JSON list."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{path.name} is not text in UTF-8") from None
    if not text.lstrip().startswith("["):
        lines = (line.strip() for line in text.splitlines())
        return tuple(line for line in lines if line)
    try:
        return tuple(json.loads(text))
    except ValueError as error:
        raise CommandError(f"{path.name} is no JSON list of labels: {error}") from None
