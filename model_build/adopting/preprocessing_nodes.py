"""Nodes put around a foreign graph: from pixels to its input, from its first output to scores."""

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
MOVING = frozenset("Cast Dropout Flatten Identity Reshape Squeeze Unsqueeze".split())


def prepend(
    model: ModelFile, preprocessing: Preprocessing, adopted: AdoptedInput
) -> onnx.ModelProto:
    """A copy of the foreign model that takes uint8 [N, H, W, C] and has one output, its first."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    _detach_initializers(proto)
    _open_negative_sizes(proto)
    _prepend(proto, model.input, adopted, preprocessing)
    del proto.graph.output[1:]
    return proto


def append(proto: onnx.ModelProto, shape: tuple[int, ...], softmax: bool) -> None:
    """Finish, in place, a model whose output has this shape.

    [N, classes, 1, 1] becomes [N, classes]; a softmax follows if asked for.
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
    """The operator that computes the first output, before those that only move its numbers.

    Empty where there is none.
    """
    node = graph.producer(graph.outputs[0])
    while node is not None and node.operator in MOVING:
        node = graph.producer(node.inputs[0])
    return node.operator if node is not None else ""


def _detach_initializers(proto: onnx.ModelProto) -> None:
    """Make initializers constant, in place.

    Those that are inputs too (the rule before IR 4) could be overridden, so that no runtime may
    fold them.
    """
    initialised = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in initialised]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    proto.ir_version = max(proto.ir_version, 4)


def _open_negative_sizes(proto: onnx.ModelProto) -> None:
    for value in (*proto.graph.value_info, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value < 0:
                dim.Clear()


def _prepend(
    proto: onnx.ModelProto, data: str, adopted: AdoptedInput, preprocessing: Preprocessing
) -> None:
    chain = _Chain(proto)
    image = x = chain.unused("image")
    x = chain.add("Cast", x, to=onnx.TensorProto.FLOAT)
    if adopted.colour == "BGR":
        x = chain.add("Gather", x, np.array([2, 1, 0]), axis=3)
    mean = np.array(preprocessing.mean) * preprocessing.scale
    std = np.array(preprocessing.std) * preprocessing.scale
    if mean.any():
        x = chain.add("Sub", x, mean.astype(np.float32))
    if (std != 1).any():
        x = chain.add("Div", x, std.astype(np.float32))
    if adopted.dtype != np.float32:
        x = chain.add("Cast", x, to=onnx.helper.np_dtype_to_tensor_dtype(adopted.dtype))
    if adopted.layout == "NCHW":
        x = chain.add("Transpose", x, perm=[0, 3, 1, 2])
    # The foreign nodes go on reading their input by its own name.
    chain.nodes[-1].output[0] = data
    foreign = list(proto.graph.node)
    del proto.graph.node[:], proto.graph.input[:]
    proto.graph.node.extend([*chain.nodes, *foreign])
    proto.graph.input.append(
        onnx.helper.make_tensor_value_info(image, onnx.TensorProto.UINT8, adopted.shape)
    )


class _Chain:
    """Nodes that follow one another, with names that the graph does not use yet."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._graph = proto.graph
        self._used = {value.name for value in (*self._graph.initializer, *self._graph.input)}
        for node in self._graph.node:
            self._used.update((node.name, *node.input, *node.output))

    def unused(self, name: str) -> str:
        """The name, numbered where it is taken."""
        unused, number = name, 2
        while unused in self._used:
            unused, number = f"{name}_{number}", number + 1
        self._used.add(unused)
        return unused

    def add(self, operator: str, x: str, *constants: Array, **attributes: Any) -> str:
        """One node that reads `x` and constants; the name of its output."""
        name = self.unused(f"adopted.{operator.lower()}")
        inputs = [x]
        for constant in constants:
            inputs.append(self.unused(f"{name}.constant"))
            self._graph.initializer.append(onnx.numpy_helper.from_array(constant, inputs[-1]))
        self.nodes.append(onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name
