"""Batch norm folded into the convolution before it: the same function, one layer in place of two.

With s = scale / sqrt(variance + epsilon), one per output channel, norm(conv(x, w) + b) = conv(x, w
* s) + (b - mean) * s + bias. Computed in float64, stored in the kernel's type.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

Array = NDArray[Any]


def fold_batch_norms(model: ir.Model) -> int:
    """Fold, in place, every batch norm that alone reads a convolution with constant weights.

    Returns how many were folded.
    """
    folded = 0
    for norm in list(model.graph):
        if norm.op_type == "BatchNormalization" and (conv := _convolution(norm)) is not None:
            _fold(model.graph, conv, norm)
            folded += 1
    return folded


def _convolution(norm: ir.Node) -> ir.Node | None:
    """The convolution into which a batch norm can be folded."""
    source = norm.inputs[0]
    conv = source.producer() if source is not None else None
    if source is None or conv is None or conv.op_type != "Conv":
        return None
    read_by_others = len(source.uses()) != 1 or source.is_graph_output()
    training = norm.attributes.get_int("training_mode", 0)
    constant = _constant(conv.inputs[1:]) and _constant(norm.inputs[1:])
    return conv if constant and not (read_by_others or training) else None


def _constant(values: Sequence[ir.Value | None]) -> bool:
    return all(value is None or value.const_value is not None for value in values)


def _fold(graph: ir.Graph, conv: ir.Node, norm: ir.Node) -> None:
    weight, bias = _kernel(conv)
    scale, shift, mean, variance = (_array(value).astype(np.float64) for value in norm.inputs[1:])
    factor = scale / np.sqrt(variance + norm.attributes.get_float("epsilon", 1e-5))
    old = [value for value in (*conv.inputs[1:], *norm.inputs[1:]) if value is not None]
    owner = str(old[0].name).removesuffix(".weight")
    _take_over(conv.outputs[0], norm.outputs[0])
    graph.remove(norm, safe=True)
    conv.resize_inputs(1)
    for value in old:
        if not value.uses():
            graph.initializers.pop(str(value.name), None)
    conv.resize_inputs(3)
    by_output_channel = (-1, *[1] * (weight.ndim - 1))
    conv.replace_input_with(
        1,
        _store(graph, f"{owner}.weight", weight * factor.reshape(by_output_channel), weight.dtype),
    )
    conv.replace_input_with(
        2, _store(graph, f"{owner}.bias", (bias - mean) * factor + shift, weight.dtype)
    )


def _take_over(new: ir.Value, old: ir.Value) -> None:
    """All nodes that read `old` read `new`.

    `new` gets its name where callers know it: as the graph's output.
    """
    new.shape, new.type = old.shape, old.type
    name = old.name if old.is_graph_output() else new.name
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name, new.name = None, name


def _kernel(conv: ir.Node) -> tuple[Array, Array]:
    weight = _array(conv.inputs[1])
    has_bias = len(conv.inputs) > 2 and conv.inputs[2] is not None
    return weight, _array(conv.inputs[2]) if has_bias else np.zeros(len(weight))


def _array(value: ir.Value | None) -> Array:
    if value is None or value.const_value is None:
        raise ValueError("batch norm can be folded into constant weights only")
    return value.const_value.numpy()


def _store(graph: ir.Graph, name: str, array: Array, dtype: np.dtype[Any]) -> ir.Value:
    # A kernel that another convolution reads too keeps its name.
    if name in graph.initializers:
        name = f"{name}.folded.{len(graph.initializers)}"
    value = ir.Value(name=name, const_value=ir.tensor(array.astype(dtype), name=name))
    value.shape, value.type = ir.Shape(array.shape), ir.TensorType(ir.DataType.from_numpy(dtype))
    graph.register_initializer(value)
    return value
