"""From a module to a finished ONNX model.

Traced, batch norms folded, named by module path, shapes inferred, checked. The same module
with the same weights gives the same bytes, on every machine.
"""

import ast
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnx
import onnx.checker
import onnx.shape_inference
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript import GraphBuilder, OpBuilder

from model_build.fold import fold_batch_norms
from model_build.nn import Module, ShapeError

OPSET = 20
IR_VERSION = 10
_SCOPES = "pkg.onnxscript.name_scopes"


class Signature(NamedTuple):
    """The model's one input and one output.

    Names, and the input's element type and shape (a string is symbolic).
    """

    input: str
    dtype: ir.DataType
    shape: tuple[int | str, ...]
    output: str


class Augmentation(Protocol):
    """Alters a batch inside the graph, by random numbers that are drawn outside of it."""

    def draw(self, random: np.random.Generator, batch: int) -> Mapping[str, NDArray[Any]]:
        """The random numbers of a batch, by graph input; the first axis is the batch."""

    def __call__(
        self, op: OpBuilder, images: ir.Value, random_inputs: Mapping[str, ir.Value]
    ) -> ir.Value:
        """The altered batch, as the network takes it."""


IMAGE_OUTPUT = "probabilities"
IMAGE_INPUT = "image"


def image_signature(height: int, width: int, channels: int = 3) -> Signature:
    """The signature of our image classifiers: uint8 [N, H, W, C] in, probabilities out."""
    return Signature(IMAGE_INPUT, ir.DataType.UINT8, ("N", height, width, channels), IMAGE_OUTPUT)


def export(module: Module, signature: Signature, name: str) -> onnx.ModelProto:
    """The module as a checked ONNX model.

    Raises nn.ShapeError where its sizes do not fit or weights are missing.
    """
    parameters = module.named_parameters()
    empty = [path for path, parameter in parameters if parameter.const_value is None]
    if empty:
        raise ShapeError(f"parameters without weights: {', '.join(sorted(empty))}")
    model = _trace(module, signature, name)
    fold_batch_norms(model)
    return _finished(model)


def trainable(
    module: Module, signature: Signature, name: str, augmentation: Augmentation | None = None
) -> onnx.ModelProto:
    """The module as training takes it.

    Batch norms are not folded, and every parameter without a value is an input of its name.
    The inputs are the signature's, those of the augmentation, the parameters. A module can be
    traced once only.
    """
    model = _trace(module, signature, name, augmentation)
    for path, parameter in module.named_parameters():
        if parameter.const_value is None:
            del model.graph.initializers[str(parameter.name)]
            parameter.name = path
            model.graph.inputs.append(parameter)
    return _finished(model)


def _finished(model: ir.Model) -> onnx.ModelProto:
    _name_by_path(model.graph)
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    proto = onnx.shape_inference.infer_shapes(
        proto, check_type=True, strict_mode=True, data_prop=True
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _trace(
    module: Module, signature: Signature, name: str, augmentation: Augmentation | None = None
) -> ir.Model:
    graph = ir.Graph([], [], nodes=[], name=name, opset_imports={"": OPSET})
    builder = GraphBuilder(graph)
    x = builder.input(signature.input, signature.dtype, signature.shape)
    if augmentation is not None:
        random_inputs = {}
        for key, array in augmentation.draw(np.random.default_rng(0), 1).items():
            dtype = ir.DataType.from_numpy(array.dtype)
            random_inputs[key] = builder.input(key, dtype, ("N", *array.shape[1:]))
        x = augmentation(builder.op, x, random_inputs)
    builder.add_output(module(builder.op, x), signature.output)
    return ir.Model(graph, ir_version=IR_VERSION, producer_name="fovea")


def _name_by_path(graph: ir.Graph) -> None:
    """Name nodes and their first outputs.

    A module's only node has the module's path; of several nodes each adds its operator.
    """
    paths = {node: _path(node) for node in graph}
    nodes_at = Counter(paths.values())
    seen: Counter[str] = Counter()
    for node, path in paths.items():
        alone = path and nodes_at[path] == 1
        name = path if alone else f"{path}.{node.op_type.lower()}".lstrip(".")
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}.{seen[name] - 1}"
        node.metadata_props.clear()
        for index, output in enumerate(node.outputs):
            output.metadata_props.clear()
            if not output.is_graph_output():
                output.name = node.name if index == 0 else f"{node.name}.{index}"


def _path(node: ir.Node) -> str:
    scopes: list[str] = ast.literal_eval(node.metadata_props[_SCOPES])
    return ".".join(scope for scope in scopes if scope)
