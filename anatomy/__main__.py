"""`python -m anatomy FILE`: the layers of a model file and what their units see."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anatomy.fields.receptive_field import LayerField, ReceptiveFields, UnitError
from anatomy.graphs.graph import Graph, GraphError
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import ModelFileError, read
from anatomy.report import (
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
NUMERIC = frozenset(("", "parameters", "MACs"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 1 with a line on standard error if not."""
    options = _parser().parse_args(arguments)
    try:
        print(_answer(options))
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
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--unit",
        metavar="Y,X",
        type=_position,
        help="one unit of that layer, an index per spatial axis",
    )
    place.add_argument(
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


def _answer(options: argparse.Namespace) -> str:
    model = read(options.file)
    graph = model.graph if options.shape is None else Graph(model.proto, options.shape)
    found, fields = layers(graph), ReceptiveFields(graph)
    if options.layer is None:
        if options.unit or options.pixel or options.of:
            raise LayerNameError(
                "--unit, --pixel and --of say something of one layer; name it with --layer"
            )
        if not options.json:
            return table(found, fields)
        name, version = _repository_names(options.file)
        return _json(layers_body(graph, found, fields, name, version))
    layer = find_layer(found, options.layer)
    of = None if options.of is None else find_layer(found, options.of)
    if options.unit is not None:
        return _json(unit_body(layer, options.unit, fields, of))
    if options.pixel is not None:
        return _json(projective_body(layer, options.pixel, fields, of))
    return _json(receptive_field_body(layer, fields, of))


def _repository_names(path: Path) -> tuple[str, str]:
    """Model and version as the service would name them: `<name>/<version>/model.onnx`, or the
    file's own name.
    """
    folder = path.resolve().parent
    return (folder.parent.name, folder.name) if folder.name.isdecimal() else (path.stem, "1")


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False)


def table(found: Sequence[Layer], fields: ReceptiveFields) -> str:
    """The layers, one a line, with totals below."""
    rows = [COLUMNS, *(_row(layer, fields.layer(layer)) for layer in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "  ".join(
            text.rjust(width) if name in NUMERIC else text.ljust(width)
            for name, text, width in zip(COLUMNS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    parameters, macs = (
        sum(layer.parameters for layer in found),
        sum(layer.macs or 0 for layer in found),
    )
    return "\n".join([*lines, "", f"{len(found)} layers, {parameters:,} parameters, {macs:,} MACs"])


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
        f"{field.status.replace('_', ' ')}{f' ({field.operator})' if field.operator else ''}",
    )


def _sizes(values: Sequence[float] | None) -> str:
    if values is None:
        return "-"
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))


if __name__ == "__main__":
    sys.exit(main())
