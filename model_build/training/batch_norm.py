"""Batch norms in training: normalised by their batch, whose statistics are outputs of their own.

Ioffe and Szegedy 2015. The variance is the biased one, as ONNX has it.
"""

from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper

from anatomy.graphs.builder import Builder, Value
from model_build.training.flat_parameters import write_as


class RunningStatistics(NamedTuple):
    """Tensors of a batch norm: its running mean and variance (inputs), and those of the batch."""

    mean: str
    variance: str
    batch_mean: str
    batch_variance: str


def batch_norms(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Every batch norm of a graph."""
    return [node for node in graph.node if node.op_type == "BatchNormalization"]


def set_training_mode(graph: onnx.GraphProto) -> list[RunningStatistics]:
    """Put every batch norm into training mode, in place.

    With momentum 0 its statistics are those of the batch alone.
    """
    statistics = []
    for node in batch_norms(graph):
        epsilon = [attribute for attribute in node.attribute if attribute.name == "epsilon"]
        del node.attribute[:]
        node.attribute.extend(
            [
                *epsilon,
                helper.make_attribute("training_mode", 1),
                helper.make_attribute("momentum", 0.0),
            ]
        )
        node.output.extend([f"{node.output[0]}.batch_mean", f"{node.output[0]}.batch_variance"])
        statistics.append(
            RunningStatistics(node.input[3], node.input[4], node.output[1], node.output[2])
        )
    return statistics


def decompose_batch_norms(graph: onnx.GraphProto, ranks: dict[str, int]) -> None:
    """Write every training batch norm as simpler operators, in place.

    CUDA refuses the one operator in training mode.
    `ranks` has the number of axes of each batch norm's input.
    """
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        builder = Builder(f"{node.output[0]}:")
        _decompose(node, ranks[node.input[0]], builder)
        graph.initializer.extend(builder.initializers)
        nodes.extend(builder.nodes)
    del graph.node[:]
    graph.node.extend(nodes)


def _decompose(node: onnx.NodeProto, rank: int, builder: Builder) -> None:
    x, scale, bias = (Value(name, np.dtype(np.float32), builder) for name in node.input[:3])
    epsilon = next(
        (attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-5
    )
    axes = builder.integers([0, *range(2, rank)])
    per_channel = builder.integers([1, -1, *[1] * (rank - 2)])
    flat = builder.integers([-1])
    mean = builder.op("ReduceMean", x, axes, keepdims=1)
    centred = x - mean
    variance = builder.op("ReduceMean", centred * centred, axes, keepdims=1)
    factor = builder.op("Reshape", scale, per_channel) / builder.op("Sqrt", variance + epsilon)
    results = (
        centred * factor + builder.op("Reshape", bias, per_channel),
        builder.op("Reshape", mean, flat),
        builder.op("Reshape", variance, flat),
    )
    for value, name in zip(results, node.output, strict=True):
        write_as(builder, value, name)
