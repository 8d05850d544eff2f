"""The loss is cross-entropy as written down in numpy, and its gradient is the slope of that."""

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.graphs.builder import Builder
from model_build.training.loss import cross_entropy

Array = NDArray[np.float64]
LABELS = np.array([0, 2, 1, 1, 3], np.int64)
LOGITS = np.random.default_rng(0).normal(size=(5, 4)) * 3


def computed(
    logits: Array, labels: NDArray[np.int64], smoothing: float
) -> tuple[float, float, Array]:
    builder = Builder("t:")
    loss = cross_entropy(builder, "z", "y", logits.shape, smoothing)
    shapes = [[], [], list(logits.shape)]
    graph = helper.make_graph(
        builder.nodes,
        "loss",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, logits.shape),
            helper.make_tensor_value_info("y", TensorProto.INT64, labels.shape),
        ],
        [
            helper.make_tensor_value_info(v.name, TensorProto.FLOAT, shape)
            for v, shape in zip(loss, shapes, strict=True)
        ],
        builder.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    value, correct, gradient = session.run(None, {"z": logits.astype(np.float32), "y": labels})
    return float(value), float(correct), gradient.astype(np.float64)


def by_numpy(logits: Array, smoothing: float) -> float:
    """The cross-entropy of the smoothed distribution over the classes, as Szegedy et al. 2016
    define it.
    """
    classes = logits.shape[1]
    q = (1 - smoothing) * np.eye(classes)[LABELS] + smoothing / classes
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(-(q * np.log(p)).sum(axis=1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_mean_cross_entropy(smoothing: float) -> None:
    assert computed(LOGITS, LABELS, smoothing)[0] == pytest.approx(
        by_numpy(LOGITS, smoothing), rel=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_is_the_slope_of_the_loss(smoothing: float) -> None:
    gradient = computed(LOGITS, LABELS, smoothing)[2]
    for index in np.ndindex(*LOGITS.shape):
        shift = np.zeros_like(LOGITS)
        shift[index] = 1e-5
        slope = (by_numpy(LOGITS + shift, smoothing) - by_numpy(LOGITS - shift, smoothing)) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-6)


def test_right_answers_are_counted() -> None:
    logits = np.eye(4)[[0, 2, 1, 3, 0]]
    assert computed(logits, LABELS, 0.0)[1] == 3


def test_logits_that_overflow_an_exponential_have_a_finite_loss() -> None:
    value, _, gradient = computed(np.eye(4)[LABELS] * -1000, LABELS, 0.1)
    assert value == pytest.approx(np.log(3) + 1000 * (0.9 + 0.1 / 4), rel=1e-5)
    assert np.isfinite(gradient).all()
