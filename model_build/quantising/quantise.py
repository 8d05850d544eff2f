"""A model with 8-bit weights and activations, by ONNX Runtime's static quantisation.

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
    if quantised := sorted(name for name in operators if _is_quantised(name)):
        raise Int8Error(f"it is quantised already: its graph has {', '.join(quantised)}")
    if "Conv" not in operators:
        raise Int8Error("it has no Conv, and convolutions are what 8 bits make faster")
    if model.graph.opset < LEAST_OPSET:
        raise Int8Error(
            f"it is of opset {model.graph.opset}, which has no scales per channel; export it in "
            f"{LEAST_OPSET}"
        )
    types = _weight_types(model)
    if types != ["float32"]:
        raise Int8Error(f"its convolutions have weights in {', '.join(types)}, expected float32")


def _weight_types(model: ModelFile) -> list[str]:
    """The types of the convolutions' weights."""
    convolutions = [node for node in model.graph.nodes if node.operator == "Conv"]
    return sorted({str(model.graph.dtype(node.inputs[1])) for node in convolutions})


def _is_quantised(operator: str) -> bool:
    return "quantize" in operator.lower() or operator in QUANTISED


def quantised(model: ModelFile, inputs: Array, batch_size: int) -> onnx.ModelProto:
    """The model in 8 bits, its ranges calibrated by `inputs` [N, ...] in batches.

    Equal inputs give equal bytes. Inputs, outputs and the names of nodes stay. Raises Int8Error.
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
        _quantise_file(source, target, _Reader(model.input, inputs, batch_size), proto)
        result = onnx.load(target)
    metadata = [entry for entry in result.metadata_props if entry.key not in _LEFTOVERS]
    del result.metadata_props[:]
    result.metadata_props.extend(metadata)
    onnx.checker.check_model(result)
    return result


def _quantise_file(
    source: Path, target: Path, reader: CalibrationDataReader, proto: onnx.ModelProto
) -> None:
    try:
        quantize_static(
            source,
            target,
            reader,
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


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the library one batch after another."""

    def __init__(self, name: str, inputs: Array, batch_size: int) -> None:
        starts = range(0, len(inputs), batch_size)
        self._batches: Iterator[Array] = (inputs[start : start + batch_size] for start in starts)
        self._name = name

    def get_next(self) -> Mapping[str, Array] | None:
        """The next feeds; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: np.ascontiguousarray(batch)}


def _named(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every node has a name, as the library needs it: that of its first output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in copy.graph.node:
        outputs = [output for output in node.output if output]
        node.name = node.name or (outputs[0] if outputs else node.op_type)
    return copy


def _between_weights(proto: onnx.ModelProto) -> list[str]:
    """Names of the nodes that lie between operators with weights, those included."""
    behind, before = _behind_weights(proto.graph), _before_weights(proto.graph)
    names = []
    for node in proto.graph.node:
        between = not (behind.isdisjoint(node.input) or before.isdisjoint(node.output))
        # An operator with weights is between them itself, whatever lies beside it.
        if between or node.op_type in WEIGHTED:
            names.append(node.name)
    return names


def _behind_weights(graph: onnx.GraphProto) -> set[str]:
    """Tensors that are computed from the output of an operator with weights."""
    tensors = set[str]()
    for node in graph.node:
        if node.op_type in WEIGHTED or not tensors.isdisjoint(node.input):
            tensors.update(filter(None, node.output))
    return tensors


def _before_weights(graph: onnx.GraphProto) -> set[str]:
    """Tensors from which an operator with weights computes its output."""
    tensors = set[str]()
    for node in reversed(graph.node):
        if node.op_type in WEIGHTED or not tensors.isdisjoint(node.output):
            tensors.update(filter(None, node.input))
    return tensors
