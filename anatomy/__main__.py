"""`python -m anatomy FILE`: the layers of a model file and what their units see."""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.results import LayerField, UnitError
from anatomy.graphs.graph import Graph, GraphError
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import ModelFileError, read
from anatomy.report import (
    Json,
    LayerNameError,
    find_layer,
    layers_body,
    projective_body,
    receptive_field_body,
    unit_body,
)

COLUMNS = (
    "",
    "layer",
    "kind",
    "kernel",
    "stride",
    "shape",
    "parameters",
    "MACs",
    "r",
    "S",
    "P",
    "status",
)
BROKEN_PIPE_STATUS = 128 + 13
"""What a shell reports of a program that SIGPIPE, signal 13, ended."""
NUMERIC = frozenset(("", "parameters", "MACs"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 on success, 1 after a line on standard error.

    If whoever reads the output has gone, as `head` does, the command ends quietly with the exit
    code that a shell reports of `cat`.
    """
    _replace_unencodable(sys.stdout)
    try:
        try:
            return _run(_parser().parse_args(arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE_STATUS


def _replace_unencodable(stream: TextIO) -> None:
    """Write a question mark for what the terminal's encoding lacks, instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def _discard_output() -> None:
    """Make the interpreter's own flush at exit succeed, although the pipe is broken."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _run(options: argparse.Namespace) -> int:
    try:
        print(_output(options))
    except (ModelFileError, GraphError, LayerNameError, UnitError) as error:
        print(f"anatomy: {options.file}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fovea inspect", description="Show the layers of an ONNX CNN and what they see."
    )
    parser.add_argument("file", type=Path, help="an ONNX model file")
    parser.add_argument(
        "--json", action="store_true", help="print the body of GET /layers, or of …/receptive-field"
    )
    parser.add_argument(
        "--layer", metavar="N", help="index or name of one layer: print its receptive field"
    )
    position = parser.add_mutually_exclusive_group()
    position.add_argument(
        "--unit",
        metavar="Y,X",
        type=_position,
        help="one unit of that layer, an index per spatial axis",
    )
    position.add_argument(
        "--pixel",
        metavar="Y,X",
        type=_position,
        help="one pixel of the input: the units that see it",
    )
    parser.add_argument(
        "--of", metavar="M", help="measure the field on this earlier layer instead of the input"
    )
    parser.add_argument(
        "--shape",
        metavar="N,C,H,W",
        type=_position,
        help="the input's shape, where the file leaves it open",
    )
    return parser


def _position(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected whole numbers with commas between them, got {text!r}"
        ) from None


def _output(options: argparse.Namespace) -> str:
    model = read(options.file)
    graph = model.graph if options.shape is None else Graph(model.proto, options.shape)
    network_layers, fields = layers(graph), ReceptiveFields(graph)
    if options.layer is not None:
        return _json(_layer_body(options, network_layers, fields))
    if options.unit or options.pixel or options.of:
        raise LayerNameError(
            "--unit, --pixel and --of say something of one layer; name it with --layer"
        )
    if not options.json:
        return table(network_layers, fields)
    name, version = _repository_names(options.file)
    return _json(layers_body(graph, network_layers, fields, name, version))


def _layer_body(
    options: argparse.Namespace, network_layers: Sequence[Layer], fields: ReceptiveFields
) -> Json:
    layer = find_layer(network_layers, options.layer)
    of = None if options.of is None else find_layer(network_layers, options.of)
    if options.unit is not None:
        return unit_body(layer, options.unit, fields, of)
    if options.pixel is not None:
        return projective_body(layer, options.pixel, fields, of)
    return receptive_field_body(layer, fields, of)


def _repository_names(path: Path) -> tuple[str, str]:
    """Model and version as the service would name them: `<name>/<version>/model.onnx`, or the
    file's own name.
    """
    folder = path.resolve().parent
    return (folder.parent.name, folder.name) if folder.name.isdecimal() else (path.stem, "1")


def _json(body: Json) -> str:
    # A question mark in place of a letter would change the name of a layer; an escape does not.
    is_utf8 = sys.stdout.encoding.lower() in ("utf-8", "utf8")
    return json.dumps(body, indent=2, ensure_ascii=not is_utf8, allow_nan=False)


def table(network_layers: Sequence[Layer], fields: ReceptiveFields) -> str:
    """The layers, one a line, with totals below."""
    rows = [COLUMNS, *(_row(layer, fields.layer(layer)) for layer in network_layers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_aligned(row, widths) for row in rows]
    parameters = sum(layer.parameters for layer in network_layers)
    macs = sum(layer.macs or 0 for layer in network_layers)
    totals = f"{len(network_layers)} layers, {parameters:,} parameters, {macs:,} MACs"
    return "\n".join([*lines, "", totals])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Numbers to the right, everything else to the left."""
    cells = [
        text.rjust(width) if name in NUMERIC else text.ljust(width)
        for name, text, width in zip(COLUMNS, row, widths, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _row(layer: Layer, field: LayerField) -> tuple[str, ...]:
    return (
        str(layer.index),
        layer.name,
        layer.kind.replace("_", " "),
        _sizes(layer.kernel_shape),
        _sizes(layer.strides),
        "x".join("?" if size is None else str(size) for size in layer.output_shape),
        f"{layer.parameters:,}",
        "?" if layer.macs is None else f"{layer.macs:,}",
        _sizes(field.size),
        _sizes(field.stride),
        _sizes(field.padding),
        _status(field),
    )


def _status(field: LayerField) -> str:
    status = field.status.replace("_", " ")
    return f"{status} ({field.operator})" if field.operator else status


def _sizes(values: Sequence[float] | None) -> str:
    if values is None:
        return "-"
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))


if __name__ == "__main__":
    sys.exit(main())
