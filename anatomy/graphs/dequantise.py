"""The real numbers behind quantised weights: what the operators that read them compute with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.graphs.graph import Graph, GraphError, Node

Array = NDArray[Any]
TRANSPARENT = frozenset(("DequantizeLinear", "Cast", "Identity"))
"""Operators behind which weights may stand in a file: they leave every weight where it is."""


def real_values(graph: Graph, name: str) -> Array:
    """The numbers of a tensor that is a constant, or made of constants by the operators of
    `TRANSPARENT` alone.

    Raises GraphError for any other tensor.
    """
    if name in graph.constants:
        return graph.constants[name]
    node = graph.producer(name)
    if node is None or node.operator not in TRANSPARENT or node.domain != "":
        raise GraphError(f"tensor '{name}' is not made of constants alone")
    values = real_values(graph, node.inputs[0])
    if node.operator == "DequantizeLinear":
        return _dequantised(values, node, graph)
    dtype = graph.dtype(name)
    return values if node.operator == "Identity" or dtype is None else values.astype(dtype)


def _dequantised(codes: Array, node: Node, graph: Graph) -> Array:
    """(codes - zero point) * scale, where scale and zero point are one number, or one for each
    index or block of an axis.
    """
    scale = real_values(graph, node.inputs[1])
    zero = real_values(graph, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    # Eight bits do not hold the difference of two codes.
    wide: type[Any] = np.int64 if codes.dtype.kind in "iu" else np.float32
    shifted = codes.astype(wide)
    if zero is not None:
        shifted = shifted - _spread(zero.astype(wide), codes, node)
    return (shifted.astype(np.float32) * _spread(scale, codes, node)).astype(scale.dtype)


def _spread(values: Array, codes: Array, node: Node) -> Array:
    """Scales or zero points in a shape that broadcasts against the codes."""
    if values.size == 1:
        return values.reshape(())
    axis = node.attributes.get("axis", 1)
    if values.ndim == 1:
        shape = [1] * codes.ndim
        shape[axis] = len(values)
        return values.reshape(shape)
    repeated = np.repeat(values, node.attributes.get("block_size", 1), axis)
    return np.take(repeated, np.arange(codes.shape[axis]), axis)
