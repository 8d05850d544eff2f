"""Where a command writes a model, and what it prints about it."""

import time
from collections.abc import Callable
from pathlib import Path

import onnx

from anatomy.cards.card import Card
from anatomy.graphs.graph import Graph
from anatomy.model_file import write


class CommandError(Exception):
    """The command cannot be carried out; the message says why and what to do."""


def model_path(out: Path, name: str) -> Path:
    """The file of a model's first version; raises CommandError for a name that cannot be served."""
    allowed = all(character.isalnum() or character in "-_." for character in name)
    if name in ("", ".", "..") or not allowed:
        raise CommandError(f"the name {name!r} may hold letters, digits, '-', '_' and '.' only")
    return out / name / "1" / "model.onnx"


def write_model(path: Path, build: Callable[[], tuple[onnx.ModelProto, Card]]) -> None:
    """Build a model, write it with its card, and print its size, its input and its output."""
    start = time.perf_counter()
    proto, card = build()
    write(proto, path, card)
    graph = Graph(proto)
    weights = [array for array in graph.constants.values() if array.dtype.kind == "f"]
    parameters = sum(array.size for array in weights)
    seconds = time.perf_counter() - start
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB, {parameters / 1e6:.2f} million parameters, "
        f"{seconds:.1f} s"
    )
    print(f"  {_described(graph, graph.inputs[0])} -> {_described(graph, graph.outputs[0])}")


def _described(graph: Graph, tensor: str) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in graph.shape(tensor) or ())
    return f"{tensor} {graph.dtype(tensor)} [{sizes}]"
