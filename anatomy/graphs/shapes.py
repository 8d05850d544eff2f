"""Shape inference as the runtime computes: ONNX's own, with one of its faults mended.

A pool with `ceil_mode` ignores windows that would start in the padding after its input (ONNX
operator specification of MaxPool); ONNX Runtime does so, `onnx.shape_inference` counts them.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

LARGEST = 4096
"""Values of a constant that may stand for a shape, a padding or the like."""

POOLS = frozenset(("AveragePool", "LpPool", "MaxPool"))


def infer_shapes(
    proto: onnx.ModelProto,
    input_shape: Sequence[int] | None = None,
    known: Mapping[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    """A copy of the model with the shape of every tensor that can be known; the model as it is if
    inference fails.

    `input_shape` stands in for the shape of the first input; what the file says of later tensors is
    then left out. `known` are computed tensors whose values are known to be constant.
    """
    light = _light_copy(proto)
    if input_shape is not None:
        _set_input_shape(light.graph, first_input(proto.graph).name, input_shape)
    if known:
        _substitute(light.graph, known)
    result = _infer(light)
    for node in light.graph.node:
        if node.op_type in POOLS and _flag(node, "ceil_mode") and _fix_ceil_mode(node, result):
            result = _infer(light)
    return result


def _light_copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large weights declared only: copying them through inference takes seconds and
    tells nothing.
    """
    copy = onnx.ModelProto(ir_version=proto.ir_version)
    copy.opset_import.extend(proto.opset_import)
    copy.functions.extend(proto.functions)
    graph = copy.graph
    large = [tensor for tensor in proto.graph.initializer if prod(tensor.dims) > LARGEST]
    for name in ("node", "input", "output", "value_info", "sparse_initializer"):
        getattr(graph, name).extend(getattr(proto.graph, name))
    graph.name = proto.graph.name
    graph.initializer.extend(
        tensor for tensor in proto.graph.initializer if prod(tensor.dims) <= LARGEST
    )
    declared = {value.name for value in graph.input}
    graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in large
        if tensor.name not in declared
    )
    return copy


def first_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    """The first input that is no weight."""
    initialised = {tensor.name for tensor in graph.initializer}
    value: onnx.ValueInfoProto = next(
        value for value in graph.input if value.name not in initialised
    )
    return value


def _set_input_shape(graph: onnx.GraphProto, name: str, input_shape: Sequence[int]) -> None:
    value = next(value for value in graph.input if value.name == name)
    del value.type.tensor_type.shape.dim[:]
    value.type.tensor_type.shape.dim.extend(
        onnx.TensorShapeProto.Dimension(dim_value=size) for size in input_shape
    )
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")


def _substitute(graph: onnx.GraphProto, known: Mapping[str, np.ndarray]) -> None:
    kept = [node for node in graph.node if not known.keys() >= set(node.output)]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in known.items())


def _infer(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(proto, data_prop=True)
    except shape_inference.InferenceError:
        return proto


def _fix_ceil_mode(node: onnx.NodeProto, known: onnx.ModelProto) -> bool:
    """Give a pool the padding with which rounding down yields the size that it has.

    True if inference had the size wrong.
    """
    sizes = _sizes(known.graph, node.input[0])
    kernel = _ints(node, "kernel_shape", [])
    if sizes is None or not kernel or _attribute(node, "auto_pad") is not None:
        return False
    rank = len(kernel)
    strides, dilations = _ints(node, "strides", [1] * rank), _ints(node, "dilations", [1] * rank)
    pads = _ints(node, "pads", [0] * 2 * rank)
    is_wrong = False
    for axis, size in enumerate(sizes[2:]):
        reach, stride = dilations[axis] * (kernel[axis] - 1) + 1, strides[axis]
        before, after = pads[axis], pads[rank + axis]
        count = -(-(size + before + after - reach) // stride) + 1
        if (count - 1) * stride >= size + before:
            # Rounding down leaves this last window out.
            is_wrong = True
        else:
            pads[rank + axis] = (count - 1) * stride + reach - size - before
    if is_wrong:
        _replace_pads(node, pads)
    return is_wrong


def _replace_pads(node: onnx.NodeProto, pads: list[int]) -> None:
    """Explicit pads, rounded down."""
    kept = [item for item in node.attribute if item.name not in ("pads", "ceil_mode")]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("pads", pads)])


def _sizes(graph: onnx.GraphProto, tensor: str) -> list[int] | None:
    """The sizes of a tensor of which all spatial ones are known."""
    values = (*graph.value_info, *graph.input)
    value = next((value for value in values if value.name == tensor), None)
    if value is None:
        return None
    dims = value.type.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims[2:]):
        return None
    return [dim.dim_value for dim in dims]


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto | None:
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def _flag(node: onnx.NodeProto, name: str) -> bool:
    attribute = _attribute(node, name)
    return attribute is not None and bool(attribute.i)


def _ints(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    attribute = _attribute(node, name)
    return default if attribute is None else list(attribute.ints)
