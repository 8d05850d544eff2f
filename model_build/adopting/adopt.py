"""Foreign ONNX classifiers made self-describing: preprocessing in front, softmax behind if asked,
the card inside.

What comes out takes uint8 [N, H, W, C] pictures, as every model of ours does. The foreign graph
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
    planned,
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


def adopt(model: ModelFile, recipe: Preprocessing, card: Card) -> tuple[onnx.ModelProto, Card]:
    """The wrapped model and its card, whose `input` is made from the recipe; raises AdoptError.

    The result has run in ONNX Runtime and passed ONNX's checker. A network that says it takes any
    number of pictures, but fails on two, is adopted for one picture at a time.
    """
    plan = planned(model, recipe)
    try:
        proto, scores = _adopted(model, recipe, plan)
    except AdoptError:
        if plan.batch == 1:
            raise
        plan = replace(plan, batch=1)
        proto, scores = _adopted(model, recipe, plan)
    if card.labels:
        _check_labels(scores, card.labels)
    colour: Colour = "L" if plan.colour == "L" else "RGB"
    return proto, replace(card, input=ImageInput(plan.size, colour, recipe.resize))


def _adopted(
    model: ModelFile, recipe: Preprocessing, plan: AdoptedInput
) -> tuple[onnx.ModelProto, Array]:
    """The wrapped model, and what it answers to black pictures."""
    proto = prepend(model, recipe, plan)
    scores = _answer(proto, plan)
    if recipe.softmax:
        _check_logits(model, scores)
    append(proto, scores.shape, recipe.softmax)
    scores = _answer(proto, plan)
    output = proto.graph.output[0]
    dtype = onnx.helper.np_dtype_to_tensor_dtype(scores.dtype)
    output.CopyFrom(
        onnx.helper.make_tensor_value_info(output.name, dtype, [plan.batch, *scores.shape[1:]])
    )
    proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    onnx.checker.check_model(proto)
    return proto, scores


def _answer(proto: onnx.ModelProto, plan: AdoptedInput) -> Array:
    """The first output for black pictures, two of them where the batch is open; raises AdoptError."""
    count = plan.batch if isinstance(plan.batch, int) else 2
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            proto.SerializeToString(), options, ["CPUExecutionProvider"]
        )
        black = np.zeros((count, *plan.pictures[1:]), np.uint8)
        scores = np.asarray(session.run(None, {session.get_inputs()[0].name: black})[0])
    except _ERRORS as error:
        reason = str(error).strip().splitlines()[0]
        hint = "; export it anew in float32" if plan.dtype == np.float64 else ""
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
