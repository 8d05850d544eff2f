"""A model file: an ONNX graph with its card, read with every check that lets the rest of Fovea
trust it.

What is refused: a file that is missing, corrupt, fails ONNX's own checker, keeps its weights
outside its folder, takes no or several inputs, holds no convolution and no pool, or carries a card
that breaks the schema.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.checker
import onnx.external_data_helper
import onnx.inliner
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

from anatomy.cards.card import KEY, Card, CardError
from anatomy.graphs.graph import Graph, GraphError

# One of these makes a network convolutional; a file with none of them has no unit that sees a
# patch.
CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "ConvTranspose", "DeformConv", "QLinearConv"})
POOLS = frozenset(
    {
        "AveragePool",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GlobalMaxPool",
        "LpPool",
        "MaxPool",
        "MaxRoiPool",
    }
    | {"QLinearAveragePool", "QLinearGlobalAveragePool"}
)


class ModelFileError(Exception):
    """The file cannot be used; the message says what is wrong with it and never holds its full
    path.
    """


@dataclass(frozen=True)
class ModelFile:
    """A checked model; `card` is None where the file has none, `path` where it was never a file."""

    path: Path | None
    proto: onnx.ModelProto
    graph: Graph
    card: Card | None

    @property
    def input(self) -> str:
        """The name of the one data input."""
        name: str = self.graph.inputs[0]
        return name

    @property
    def output(self) -> str:
        """The name of the first output."""
        name: str = self.graph.outputs[0]
        return name


def read(path: Path) -> ModelFile:
    """Read and check the model at `path`; raises ModelFileError."""
    proto = _parse(path)
    _load_external_data(proto, path.parent)
    _check(proto)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    return ModelFile(path, proto, _network(proto), _card(proto))


def write(proto: onnx.ModelProto, path: Path, card: Card | None) -> None:
    """Write `proto` with `card` to `path`, whole or not at all; makes folders. A card already in
    `proto` gives way.

    Raises ModelFileError for a model above protobuf's 2 GiB, OSError where the folder cannot be
    written.
    """
    data = _with_card(proto, card)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes the file private; a model is to be read by whoever serves it.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def _parse(path: Path) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except FileNotFoundError:
        raise ModelFileError(f"there is no file {path.name}") from None
    except OSError as error:
        raise ModelFileError(f"{path.name} cannot be read: {error.strerror}") from None
    except DecodeError:
        raise ModelFileError(
            f"{path.name} is corrupt or no ONNX file: its bytes are not an ONNX model"
        ) from None
    if not proto.HasField("graph") or not proto.graph.node:
        raise ModelFileError(f"{path.name} is corrupt or no ONNX file: it holds no graph")
    return proto


def _load_external_data(proto: onnx.ModelProto, folder: Path) -> None:
    external = [
        tensor for tensor in _tensors(proto) if onnx.external_data_helper.uses_external_data(tensor)
    ]
    for tensor in external:
        try:
            _check_location(tensor, folder)
        except (OSError, ValueError):
            raise ModelFileError(
                f"it is not said where the external data of tensor {tensor.name!r} is"
            ) from None
    for tensor in external:
        try:
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, onnx.checker.ValidationError):
            raise ModelFileError(
                f"the external data of tensor {tensor.name!r} cannot be read"
            ) from None
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _check_location(tensor: onnx.TensorProto, folder: Path) -> None:
    location = onnx.external_data_helper.ExternalDataInfo(tensor).location
    target = (folder / location).resolve()
    if not location or not target.is_relative_to(folder.resolve()):
        raise ModelFileError(
            f"tensor {tensor.name!r} keeps its data in {location!r}, outside the model's folder"
        )
    if not target.is_file():
        raise ModelFileError(
            f"tensor {tensor.name!r} keeps its data in {location!r}, which is not there"
        )


def _tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    graphs = [proto.graph]
    nodes = [node for function in proto.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            yield from (
                part
                for sparse in graph.sparse_initializer
                for part in (sparse.values, sparse.indices)
            )
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            graphs.extend((*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])))


def _check(proto: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelFileError(f"it is not valid ONNX: {reason}") from None


def _network(proto: onnx.ModelProto) -> Graph:
    if not any(node.op_type in CONVOLUTIONS | POOLS for node in proto.graph.node):
        raise ModelFileError("it is not a CNN: no convolution and no pool in its graph")
    try:
        graph = Graph(proto)
    except GraphError as error:
        raise ModelFileError(str(error)) from None
    if not graph.inputs:
        raise ModelFileError("its graph has no input")
    if len(graph.inputs) > 1:
        raise ModelFileError(
            f"its graph has several inputs ({', '.join(graph.inputs)}); expected one"
        )
    return graph


def _card(proto: onnx.ModelProto) -> Card | None:
    text = next((entry.value for entry in proto.metadata_props if entry.key == KEY), None)
    try:
        return None if text is None else Card.from_json(text)
    except CardError as error:
        raise ModelFileError(f"its card is invalid: {error}") from None


def _with_card(proto: onnx.ModelProto, card: Card | None) -> bytes:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    kept = [entry for entry in proto.metadata_props if entry.key != KEY]
    del copy.metadata_props[:]
    copy.metadata_props.extend(kept)
    if card is not None:
        copy.metadata_props.add(key=KEY, value=card.to_json())
    try:
        data: bytes = copy.SerializeToString(deterministic=True)
    except (EncodeError, ValueError):
        raise ModelFileError(
            "the model is larger than the 2 GiB that one ONNX file can hold"
        ) from None
    return data
