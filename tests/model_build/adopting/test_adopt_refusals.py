"""What cannot be adopted is refused with what was expected and what was found."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from anatomy.cards.card import Card
from anatomy.model_file import ModelFile
from model_build.adopting.adopt import adopt
from model_build.adopting.preprocessing import AdoptError, Preprocessing

KERNEL = f"k = Constant<value = float[3, 3, 1, 2] {{{','.join('1' * 18)}}}>() "
CLASSIFIER = "p = GlobalAveragePool({x}) logits = Flatten(p)"
Foreign = Callable[..., ModelFile]


@pytest.mark.parametrize(
    ("graph", "preprocessing", "labels", "message"),
    [
        (
            {"x": "float[batch, 3, 4] pixels", "y": "float[batch, 3] logits"},
            {},
            (),
            "has 3 axes, expected 4",
        ),
        (
            {"x": "float[batch, 5, 4, 6] pixels", "y": "float[batch, 5] logits"},
            {},
            (),
            "say --layout",
        ),
        (
            {"x": "float[batch, 5, 4, 6] pixels", "y": "float[batch, 5] logits"},
            {"layout": "NCHW"},
            (),
            "5 channels",
        ),
        (
            {"x": "float[8, 3, 4, 6] pixels", "y": "float[8, 3] logits"},
            {},
            (),
            "fixed to batches of 8",
        ),
        ({"x": "float[batch, 3, h, w] pixels"}, {}, (), "say --size"),
        ({}, {"size": (4, 5)}, (), "--size asks for width 5, the input is fixed to 6"),
        ({}, {"colour": "L"}, (), "--colour L has 1 channels, the input has 3"),
        ({}, {"mean": (1.0, 2.0)}, (), "--mean: expected 1 or 3 numbers, got 2"),
        ({}, {"std": (1.0, 0.0, 1.0)}, (), "expected numbers above 0"),
        ({}, {"scale": math.inf}, (), "expected finite numbers"),
        ({}, {}, ("a", "b"), "has 3 classes, the labels name 2"),
        (
            {"y": "float[batch, 3, 4, 6] m", "body": "m = MaxPool<kernel_shape = [1, 1]>(pixels)"},
            {},
            ("a",),
            "labels need",
        ),
        (
            {"y": "float[batch, 3, 4, 6] m", "body": "m = MaxPool<kernel_shape = [1, 1]>(pixels)"},
            {"softmax": True},
            (),
            "--softmax needs",
        ),
        (
            {
                "y": "float[batch, 3] s",
                "body": CLASSIFIER.format(x="pixels") + " s = Softmax(logits)",
            },
            {"softmax": True},
            (),
            "probabilities already, from Softmax",
        ),
        (
            {
                "y": "float[batch, 3] s",
                "body": CLASSIFIER.format(x="pixels") + " a = Sigmoid(logits) s = Identity(a)",
            },
            {"softmax": True},
            (),
            "probabilities already, from Sigmoid",
        ),
        (
            {
                "y": "float[batch, 3] s",
                "body": CLASSIFIER.format(x="pixels")
                + " a = Constant<value_ints = [1]>() e = Exp(logits)"
                + " t = ReduceSum<keepdims = 1>(e, a) s = Div(e, t)",
            },
            {"softmax": True},
            (),
            "probabilities already, from Div",
        ),
        (
            {"x": "double[1, 3, 4, 6] pixels", "y": "double[1, 3] logits"},
            {},
            (),
            "could not find an implementation for GlobalAveragePool.*export it anew in float32",
        ),
        (
            {
                "y": "float[3, batch] t",
                "body": CLASSIFIER.format(x="pixels") + " t = Transpose(logits)",
            },
            {},
            (),
            r"answers a batch of 1 with \[3, 1\], expected \[1, ...\]",
        ),
        ({}, {"size": (0, 6)}, (), "--size: expected two numbers of at least 1, got 0,6"),
        ({"opset": 6}, {}, (), "uses opset 6, expected at least 7"),
        (
            {
                "x": "uint8[batch, 3, 4, 6] pixels",
                "body": "f = Cast<to = 1>(pixels) " + CLASSIFIER.format(x="f"),
            },
            {},
            (),
            "'pixels' is uint8, expected a floating-point type",
        ),
        (
            {
                "x": "float[batch, 3, h, w] pixels",
                "y": "float[batch, 3, a, b] m",
                "body": KERNEL + "m = Conv(pixels, k)",
            },
            {"size": (1, 1)},
            (),
            "does not run",
        ),
    ],
)
def test_what_cannot_be_adopted_is_refused(
    graph: dict[str, Any],
    preprocessing: dict[str, Any],
    labels: tuple[str, ...],
    message: str,
    foreign: Foreign,
) -> None:
    with pytest.raises(AdoptError, match=f"(?i){message}"):
        adopt(foreign(**graph), Preprocessing(**preprocessing), Card(labels=labels))
