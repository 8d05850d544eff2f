"""`python -m model_build`: build the networks of the zoo, or adopt a foreign ONNX file."""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.external_data_helper

from anatomy.cards.card import Card, CardError, Resize
from anatomy.graphs.graph import Graph
from anatomy.model_file import ModelFileError, read, write
from model_build.adopting.adopt import adopt
from model_build.adopting.preprocessing import AdoptError, Preprocessing
from model_build.adopting.preprocessing_nodes import PROBABILITIES, ending
from model_build.commands import quantise as quantise_command
from model_build.commands.quantise import Int8CommandError
from model_build.photographs import FOLDER, copy_photographs
from model_build.published.packages import MissingPackageError
from model_build.published.torch_checkpoint import WeightsError

UNWRITTEN = "what it was writing is not there"


class CommandError(Exception):
    """The command cannot be carried out; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 if it succeeded, 2 with one line on standard error if it could not, 130 if
    interrupted.
    """
    options = parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print(f"model_build: interrupted; {options.interrupted}", file=sys.stderr)
        return 130
    except (
        AdoptError,
        CardError,
        CommandError,
        Int8CommandError,
        ModelFileError,
        OSError,
    ) as error:
        print(f"model_build: {error}", file=sys.stderr)
        return 2
    return 0


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
LEARNED = ("digits", "digits1d", "voxels")
"""Learned from nothing in minutes; the repository holds what came of it."""


def _build(options: argparse.Namespace) -> None:
    source = options.samples or SAMPLES
    if options.samples and not source.is_dir():
        raise CommandError(f"{source} is no folder of samples")
    for name in options.names:
        path = _path(options.out, name)
        if options.missing and path.is_file():
            print(f"{path} is there, not built again")
        else:
            _write(path, BUILDERS[name])
        if copied := copy_photographs(source, path.parent / FOLDER):
            print(f"  {copied} samples from {source}")


def _learn(options: argparse.Namespace) -> None:
    path = _path(options.out, options.course)
    if path.exists() and not options.replace:
        raise CommandError(
            f"{path} exists; add --replace to learn it anew, or choose another folder with --out"
        )
    # The optional extra, as for builds.
    try:
        from model_build.experiments import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(
            f'{error.name} is not installed; learning needs: pip install -e ".[cpu,build]"'
        ) from None
    try:
        run.run(options, path, print)
    except run.LEARNING_ERRORS as error:
        raise CommandError(str(error)) from None


def _int8(options: argparse.Namespace) -> None:
    folder = _path(options.out, options.name).parent.parent
    target = _path(options.out, f"{options.name}-int8")
    quantise_command.run(options, folder, target, options.name in LEARNED, print)


def _adopt(options: argparse.Namespace) -> None:
    path = _path(options.out, options.name)
    if path.exists() and not options.replace:
        raise CommandError(f"{path} exists; choose another --name or add --replace")
    recipe = Preprocessing(
        mean=options.mean,
        deviation=options.std,
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
    _write(path, lambda: adopt(model, recipe, card))
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
    parts = [file.name, *sorted({info.location for info in external if info.location})]
    digests = [hashlib.sha256((file.parent / part).read_bytes()).hexdigest() for part in parts]
    described = [f"{part}, SHA-256 {digest}" for part, digest in zip(parts, digests, strict=True)]
    return f"Adopted from {' with '.join(described)}"


def _write(path: Path, build: Callable[[], tuple[onnx.ModelProto, Card]]) -> None:
    start = time.perf_counter()
    proto, card = build()
    write(proto, path, card)
    graph = Graph(proto)
    parameters = sum(array.size for array in graph.constants.values() if array.dtype.kind == "f")
    took = time.perf_counter() - start
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, {parameters / 1e6:.2f} million parameters, "
        f"{took:.1f} s"
    )
    print(f"  {_signature(graph, graph.inputs[0])} -> {_signature(graph, graph.outputs[0])}")


def _signature(graph: Graph, tensor: str) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in graph.shape(tensor) or ())
    return f"{tensor} {graph.dtype(tensor)} [{sizes}]"


def _path(out: Path, name: str) -> Path:
    if name in ("", ".", "..") or not all(sign.isalnum() or sign in "-_." for sign in name):
        raise CommandError(f"the name {name!r} may hold letters, digits, '-', '_' and '.' only")
    return out / name / "1" / "model.onnx"


def _labels(path: Path) -> tuple[str, ...]:
    """One label a line, or a JSON list."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{path.name} is not text in UTF-8") from None
    if not text.lstrip().startswith("["):
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{path.name} is no JSON list of labels: {error}") from None
    return tuple(found)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What the arguments ask for; ends the process with a line for those that make no sense."""
    if "--int8" in arguments:
        return quantise_command.parser().parse_args(
            arguments, argparse.Namespace(run=_int8, interrupted=UNWRITTEN)
        )
    return parser().parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """The command line, but for `--int8`, which is for models of any name."""
    root = argparse.ArgumentParser(
        prog="python -m model_build", description=__doc__, epilog=quantise_command.HELP
    )
    root.set_defaults(interrupted=UNWRITTEN)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for name in BUILDERS:
        command = commands.add_parser(name, help=f"build the model {name}")
        command.set_defaults(run=_build, names=[name], missing=False)
        _add_build(command)
    for name in LEARNED:
        _add_learn(commands.add_parser(name, help=f"learn the model {name} from nothing"), name)
    command = commands.add_parser("all", help="build every model that is built, not learned")
    command.add_argument("--missing", action="store_true", help="only those that are not there yet")
    command.set_defaults(run=_build, names=list(BUILDERS))
    _add_build(command)
    _add_adopt(
        commands.add_parser(
            "adopt", help="wrap a foreign ONNX file: preprocessing, softmax, labels"
        )
    )
    return root


def _add_out(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, default=Path("models"), help="folder of models (models)"
    )


def _add_build(command: argparse.ArgumentParser) -> None:
    _add_out(command)
    command.add_argument(
        "--samples", type=Path, metavar="DIR", help="photographs to try it with (samples, if there)"
    )


def _add_learn(command: argparse.ArgumentParser, name: str) -> None:
    command.set_defaults(
        run=_learn, course=name, interrupted="the same command goes on from its last checkpoint"
    )
    _add_out(command)
    add = command.add_argument
    add("--data", type=Path, metavar="DIR", help="folder of the data set (the cache, else fetched)")
    add("--replace", action="store_true", help="write over the model that is there")
    add("--seed", type=_natural, default=0, help="equal seeds learn equal weights (0)")
    add("--epochs", type=_positive, help="passes over the data, in place of the usual number")
    add(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cuda fails where there is none (cpu)",
    )
    add("--threads", type=_positive, help="threads of a step (as many as there are processors)")


def _natural(text: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    return _natural(text, least=1)


def _add_adopt(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_adopt)
    _add_out(command)
    add = command.add_argument
    add("file", type=Path, metavar="FILE", help="the ONNX file")
    add("--name", required=True, help="the name it is served under")
    add("--replace", action="store_true", help="write over a model of that name")
    add("--labels", type=Path, metavar="FILE", help="class names: one a line, or a JSON list")
    add("--mean", type=_numbers, default=(0.0,), help="one number or one per channel (0)")
    add("--std", type=_numbers, default=(1.0,), help="one number or one per channel (1)")
    add(
        "--scale",
        type=float,
        default=255.0,
        help="what pixels are divided by before mean and std (255)",
    )
    add(
        "--colour",
        choices=["RGB", "BGR", "L"],
        help="the network's channels (RGB, or L where it has one)",
    )
    add(
        "--layout",
        choices=["NCHW", "NHWC"],
        help="the order of the network's axes (found from the graph)",
    )
    add(
        "--size", type=_size, metavar="H,W", help="the input's size, where the graph leaves it open"
    )
    add(
        "--resize",
        type=_resize,
        default=Resize(),
        metavar="RULE",
        help=(
            "centre_crop[:FRACTION][:INTERPOLATION], stretch[:INTERPOLATION] or "
            "pad[:INTERPOLATION] (centre_crop)"
        ),
    )
    add("--softmax", action="store_true", help="the network ends in logits: append a softmax")
    add("--title", default="")
    add("--description", default="")
    add("--provenance", default="")
    add("--licence", default="")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers with commas between, got {text!r}"
        ) from None


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected H,W, got {text!r}") from None
    return height, width


def _resize(text: str) -> Resize:
    rule, *rest = text.split(":")
    given: dict[str, Any] = {"rule": rule}
    for part in rest:
        given["fraction" if part[:1].isdigit() else "interpolation"] = (
            float(part) if part[:1].isdigit() else part
        )
    try:
        return Resize(**given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
