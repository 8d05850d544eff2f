"""Foreign ONNX classifiers made self-describing.

Preprocessing goes in front, a softmax behind if asked for, the card inside. What comes out takes
uint8 [N, H, W, C] images, as every model of ours does. The foreign graph
itself, its names included, is left as it is.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx.checker
import onnx.helper
import onnx.shape_inference
import onnxruntime
from google.protobuf.message import EncodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from anatomy.cards.card import Card, Colour, ImageInput
from anatomy.model_file import ModelFile
from model_build.adopting.preprocessing import (
    AdoptedInput,
    AdoptError,
    Preprocessing,
    resolved,
    text,
)
from model_build.adopting.preprocessing_nodes import PROBABILITIES, append, ending, prepend

Array = NDArray[Any]

_ERRORS = (
    # A model above protobuf's 2 GiB.
    EncodeError,
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.NotImplemented,
    runtime.RuntimeException,
)


def adopt(
    model: ModelFile, preprocessing: Preprocessing, card: Card
) -> tuple[onnx.ModelProto, Card]:
    """The wrapped model and its card with the input that it takes now; raises AdoptError.

    The result has run in ONNX Runtime and passed ONNX's checker. A network that says it takes any
    number of images, but fails on two, is adopted for one image at a time.
    """
    adopted = resolved(model, preprocessing)
    try:
        proto, scores = _adopted(model, preprocessing, adopted)
    except AdoptError:
        if adopted.batch == 1:
            raise
        adopted = replace(adopted, batch=1)
        proto, scores = _adopted(model, preprocessing, adopted)
    if card.labels:
        _check_labels(scores, card.labels)
    colour: Colour = "L" if adopted.colour == "L" else "RGB"
    return proto, replace(card, input=ImageInput(adopted.size, colour, preprocessing.resize))


def _adopted(
    model: ModelFile, preprocessing: Preprocessing, adopted: AdoptedInput
) -> tuple[onnx.ModelProto, Array]:
    """The wrapped model, and what it answers to black images."""
    proto = prepend(model, preprocessing, adopted)
    scores = _answer(proto, adopted)
    if preprocessing.softmax:
        _check_logits(model, scores)
    append(proto, scores.shape, preprocessing.softmax)
    scores = _answer(proto, adopted)
    output = proto.graph.output[0]
    dtype = onnx.helper.np_dtype_to_tensor_dtype(scores.dtype)
    output.CopyFrom(
        onnx.helper.make_tensor_value_info(output.name, dtype, [adopted.batch, *scores.shape[1:]])
    )
    proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    onnx.checker.check_model(proto)
    return proto, scores


def _answer(proto: onnx.ModelProto, adopted: AdoptedInput) -> Array:
    """The first output for black images, two where the batch is open; raises AdoptError."""
    count = adopted.batch if isinstance(adopted.batch, int) else 2
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, ["CPUExecutionProvider"]
        )
        black = np.zeros((count, *adopted.shape[1:]), np.uint8)
        scores = np.asarray(session.run(None, {session.get_inputs()[0].name: black})[0])
    except _ERRORS as error:
        reason = str(error).strip().splitlines()[0]
        hint = "; export it anew in float32" if adopted.dtype == np.float64 else ""
        raise AdoptError(f"the adopted network does not run: {reason}{hint}") from None
    if scores.ndim == 0 or len(scores) != count:
        raise AdoptError(
            f"the network answers a batch of {count} with {text(scores.shape)}, expected "
            f"[{count}, ...]"
        )
    return scores


def _check_logits(model: ModelFile, scores: Array) -> None:
    last = ending(model.graph)
    rows = scores.reshape(len(scores), -1)
    distributed = (
        rows.shape[1] > 1 and rows.min() >= 0 and np.allclose(rows.sum(axis=1), 1, atol=1e-3)
    )
    if last in PROBABILITIES or distributed:
        raise AdoptError(
            f"the network's scores are probabilities already, from {last or 'its input'}; leave "
            "out --softmax"
        )


def _check_labels(scores: Array, labels: tuple[str, ...]) -> None:
    if scores.ndim != 2:
        raise AdoptError(f"labels need an output [N, classes], got {text(scores.shape)}")
    if scores.shape[1] != len(labels):
        raise AdoptError(
            f"the network has {scores.shape[1]} classes, the labels name {len(labels)}"
        )
