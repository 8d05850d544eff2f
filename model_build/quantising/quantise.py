"""A model with 8-bit weights and activations, made of a float one by ONNX Runtime's static
quantisation.

QuantizeLinear and DequantizeLinear around every operator say what is rounded; a runtime joins them
with the operator into one of integers. Weights have a scale for each output channel and no zero
point; activations one range each, from the least to the greatest value that the calibration showed.
What lies before the first operator with weights, and behind the last, stays in float: the
normalisation of pixels and the softmax.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.checker
from onnxruntime.capi import onnxruntime_pybind11_state as runtime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from anatomy.model_file import ModelFile
from model_build.datasets.split import Array

WEIGHTED = frozenset(("Conv", "Gemm", "MatMul"))
OPERATORS = WEIGHTED.union(
    "Add Mul Concat Relu Clip LeakyRelu Sigmoid MaxPool AveragePool GlobalAveragePool".split(),
    "Flatten Reshape Squeeze Unsqueeze Transpose Pad Resize".split(),
)
"""Operators that ONNX Runtime computes on 8-bit integers, or that only move them."""
QUANTISED = frozenset(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"))
LEAST_OPSET = 13
"""The first whose DequantizeLinear has a scale for each channel."""
_FAILURES = (runtime.Fail, runtime.InvalidArgument, runtime.InvalidGraph, runtime.NotImplemented)
_PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
_LEFTOVERS = frozenset(("onnx.infer", _PREPARED[0]))


class Int8Error(ValueError):
    """The model cannot be quantised; the message says why."""


def check(model: ModelFile) -> None:
    """Raises Int8Error for a model that cannot be quantised, or is already."""
    operators = {node.operator for node in model.graph.nodes}
    if found := sorted(
        name for name in operators if "quantize" in name.lower() or name in QUANTISED
    ):
        raise Int8Error(f"it is quantised already: its graph has {', '.join(found)}")
    if "Conv" not in operators:
        raise Int8Error("it has no Conv, and convolutions are what 8 bits make faster")
    if model.graph.opset < LEAST_OPSET:
        raise Int8Error(
            f"it is of opset {model.graph.opset}, which has no scales per channel; export it in "
            f"{LEAST_OPSET}"
        )
    weights = {
        str(model.graph.dtype(node.inputs[1]))
        for node in model.graph.nodes
        if node.operator == "Conv"
    }
    if weights != {"float32"}:
        raise Int8Error(
            f"its convolutions have weights in {', '.join(sorted(weights))}, expected float32"
        )


def quantised(model: ModelFile, inputs: Array, batch: int) -> onnx.ModelProto:
    """The model in 8 bits, its ranges calibrated by `inputs` [N, ...] in batches; equal inputs give
    equal bytes.

    Inputs, outputs and the names of nodes stay. Raises Int8Error.
    """
    check(model)
    proto = _named(model.proto)
    # It says that nothing has to be inferred or folded before; without it the library warns of
    # that.
    proto.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])
    with tempfile.TemporaryDirectory(prefix="fovea-int8-") as folder:
        # The library leaves files beside its source, and takes models by path without changing
        # them.
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(proto, source)
        try:
            quantize_static(
                source,
                target,
                _Reader(model.input, inputs, batch),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                nodes_to_quantize=_between_weights(proto),
                op_types_to_quantize=sorted(OPERATORS),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                # The scores that a softmax reads keep their precision.
                extra_options={
                    "WeightSymmetric": True,
                    "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
                },
            )
        except _FAILURES as error:
            reason = str(error).strip().splitlines()[0].rpartition("failed:")[2]
            raise Int8Error(f"it does not run in ONNX Runtime: {reason}") from None
        made = onnx.load(target)
    kept = [entry for entry in made.metadata_props if entry.key not in _LEFTOVERS]
    del made.metadata_props[:]
    made.metadata_props.extend(kept)
    onnx.checker.check_model(made)
    return made


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the library one batch after another."""

    def __init__(self, name: str, inputs: Array, batch: int) -> None:
        self._batches: Iterator[Array] = (
            inputs[at : at + batch] for at in range(0, len(inputs), batch)
        )
        self._name = name

    def get_next(self) -> Mapping[str, Array] | None:
        """The next feeds; None at the end."""
        found = next(self._batches, None)
        return None if found is None else {self._name: np.ascontiguousarray(found)}


def _named(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name, which is how the library is told of it: that of its
    first output.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in copy.graph.node:
        node.name = node.name or next((output for output in node.output if output), node.op_type)
    return copy


def _between_weights(proto: onnx.ModelProto) -> list[str]:
    """Names of the nodes that lie between operators with weights, those included."""
    behind, before = set[str](), set[str]()
    for node in proto.graph.node:
        if node.op_type in WEIGHTED or not behind.isdisjoint(node.input):
            behind.update(filter(None, node.output))
    for node in reversed(proto.graph.node):
        if node.op_type in WEIGHTED or not before.isdisjoint(node.output):
            before.update(filter(None, node.input))
    # An operator with weights is between them itself, whatever lies beside it.
    return [
        node.name
        for node in proto.graph.node
        if node.op_type in WEIGHTED
        or (not behind.isdisjoint(node.input) and not before.isdisjoint(node.output))
    ]
