"""Nodes put around a foreign graph: from pixels to its input, from its first output to scores."""

import itertools
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from numpy.typing import NDArray

from anatomy.graphs.graph import Graph
from anatomy.model_file import ModelFile
from model_build.adopting.preprocessing import AdoptedInput, AdoptError, Preprocessing, text

Array = NDArray[Any]

PROBABILITIES = frozenset({"Softmax", "Sigmoid"})
"""What a second softmax would spoil. Of log-probabilities, softmax makes the probabilities that
they are of.
"""
_MOVING = frozenset("Cast Dropout Flatten Identity Reshape Squeeze Unsqueeze".split())


def prepend(model: ModelFile, recipe: Preprocessing, plan: AdoptedInput) -> onnx.ModelProto:
    """A copy of the foreign model that takes uint8 [N, H, W, C] and has one output, its first."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    _detach_initializers(proto)
    _open_negative_sizes(proto)
    _prepend(proto, model.input, plan, recipe)
    del proto.graph.output[1:]
    return proto


def append(proto: onnx.ModelProto, shape: tuple[int, ...], softmax: bool) -> None:
    """Finish, in place, a model whose output has this shape: [N, classes, 1, 1] becomes [N,
    classes]; softmax if asked.

    Raises AdoptError if a softmax is asked for where it cannot be.
    """
    chain, output = _Chain(proto), proto.graph.output[0]
    x: str = output.name
    if len(shape) > 2 and set(shape[2:]) == {1}:
        shape, x = shape[:2], chain.add("Flatten", x, axis=1)
    if softmax and len(shape) != 2:
        raise AdoptError(f"--softmax needs an output [N, classes], got {text(shape)}")
    if softmax:
        x = chain.add("Softmax", x, axis=1)
    if chain.nodes:
        # What the file says of its own output may be more than can be inferred.
        proto.graph.value_info.append(output)
        chain.nodes[-1].output[0] = output.name = chain.unused(
            "probabilities" if softmax else "scores"
        )
        output.type.tensor_type.ClearField("shape")
    proto.graph.node.extend(chain.nodes)


def ending(graph: Graph) -> str:
    """The operator that computes the first output, behind those that only move its numbers; "" for
    none.
    """
    node = graph.producer(graph.outputs[0])
    while node is not None and node.operator in _MOVING:
        node = graph.producer(node.inputs[0])
    return node.operator if node is not None else ""


def _detach_initializers(proto: onnx.ModelProto) -> None:
    """Initializers that are inputs too (the rule before IR 4) could be overridden, so no runtime
    may fold them.
    """
    initialised = {tensor.name for tensor in proto.graph.initializer}
    kept = [value for value in proto.graph.input if value.name not in initialised]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    proto.ir_version = max(proto.ir_version, 4)


def _open_negative_sizes(proto: onnx.ModelProto) -> None:
    for value in (*proto.graph.value_info, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value < 0:
                dim.Clear()


def _prepend(proto: onnx.ModelProto, data: str, plan: AdoptedInput, recipe: Preprocessing) -> None:
    chain = _Chain(proto)
    image = x = chain.unused("image")
    x = chain.add("Cast", x, to=onnx.TensorProto.FLOAT)
    if plan.colour == "BGR":
        x = chain.add("Gather", x, np.array([2, 1, 0]), axis=3)
    mean = np.array(recipe.mean) * recipe.scale
    deviation = np.array(recipe.std) * recipe.scale
    if mean.any():
        x = chain.add("Sub", x, mean.astype(np.float32))
    if (deviation != 1).any():
        x = chain.add("Div", x, deviation.astype(np.float32))
    if plan.dtype != np.float32:
        x = chain.add("Cast", x, to=onnx.helper.np_dtype_to_tensor_dtype(plan.dtype))
    if plan.layout == "NCHW":
        x = chain.add("Transpose", x, perm=[0, 3, 1, 2])
    # The foreign nodes go on reading their input by its own name.
    chain.nodes[-1].output[0] = data
    foreign = list(proto.graph.node)
    del proto.graph.node[:], proto.graph.input[:]
    proto.graph.node.extend([*chain.nodes, *foreign])
    proto.graph.input.append(
        onnx.helper.make_tensor_value_info(image, onnx.TensorProto.UINT8, plan.pictures)
    )


class _Chain:
    """Nodes that follow one another, with names that the graph does not use yet."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._graph = proto.graph
        self._used = {tensor.name for tensor in proto.graph.initializer} | {
            value.name for value in proto.graph.input
        }
        self._used |= {
            name for node in proto.graph.node for name in (node.name, *node.input, *node.output)
        }

    def unused(self, name: str) -> str:
        """The name, numbered where it is taken."""
        numbered = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        free = next(candidate for candidate in numbered if candidate not in self._used)
        self._used.add(free)
        return free

    def add(self, operator: str, x: str, *constants: Array, **attributes: Any) -> str:
        """One node that reads `x` and constants; the name of its output."""
        name = self.unused(f"adopted.{operator.lower()}")
        inputs = [x]
        for constant in constants:
            inputs.append(self.unused(f"{name}.constant"))
            self._graph.initializer.append(onnx.numpy_helper.from_array(constant, inputs[-1]))
        self.nodes.append(onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name
