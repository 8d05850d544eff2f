"""One step does what the papers say to weights, statistics and averages, in the runtime's own
memory.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnxscript import OpBuilder

from model_build.export import Signature, trainable
from model_build.nn import Module
from model_build.training.hyperparameters import StepConfig
from model_build.training.network import Network
from model_build.training.optimiser import SGD, AdamW
from model_build.training.runner import Runner
from model_build.training.step_graph import Step, StepError, build
from model_build.training.step_tensors import (
    AVERAGES,
    LABELS,
    STATISTICS,
    WEIGHTS,
)
from tests.model_build.training.small import (
    BATCH,
    CONVOLVED,
    DENSE,
    PLAIN,
    TwoNorms,
    feeds,
    step_of,
)

Array = NDArray[Any]


def stepped(
    step: Step, state: dict[str, Array], *batches: dict[str, Array]
) -> tuple[Runner, list[float]]:
    runner = Runner(step, state)
    losses = []
    for batch in batches:
        runner.fill(runner.buffer, batch)
        losses.append(runner.advance().loss)
    return runner, losses


def dense(w: dict[str, Array], x: Array) -> Array:
    hidden = np.maximum(x @ w["first.weight"].T + w["first.bias"], 0)
    return np.asarray(hidden @ w["second.weight"].T + w["second.bias"])


def normed(w: dict[str, Array], x: Array) -> tuple[Array, Array, Array]:
    windows = sliding_window_view(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), (3, 3), (2, 3))
    maps = np.einsum("ncyxij,ocij->noyx", windows, w["conv.weight"])
    mean, variance = maps.mean(axis=(0, 2, 3)), maps.var(axis=(0, 2, 3))
    scaled = (maps - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)
    return scaled * w["norm.scale"][:, None, None] + w["norm.bias"][:, None, None], mean, variance


def convolved(w: dict[str, Array], x: Array) -> Array:
    pooled = np.maximum(normed(w, x)[0], 0).mean(axis=(2, 3))
    return np.asarray(pooled @ w["last.weight"].T + w["last.bias"])


def loss_of(logits: Array, labels: Array, smoothing: float) -> float:
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = (1 - smoothing) * np.eye(logits.shape[1])[labels] + smoothing / logits.shape[1]
    return float(-(target * np.log(p)).sum(axis=1).mean())


@pytest.mark.parametrize("decompose", [False, True])
@pytest.mark.parametrize(
    ("network", "by_numpy", "classes"), [(DENSE, dense, 2), (CONVOLVED, convolved, 3)]
)
def test_a_plain_step_goes_down_the_slope_of_the_loss(
    network: Network, by_numpy: Any, classes: int, decompose: bool
) -> None:
    step, state = step_of(
        network, StepConfig(SGD(0.0), label_smoothing=0.1), BATCH, decompose=decompose
    )
    batch = feeds(network, classes)
    runner, (loss,) = stepped(step, state, batch)
    x, labels = batch["examples"].astype(np.float64), batch[LABELS]
    before = {
        name: array.astype(np.float64)
        for name, array in step.weights.unpack(state[WEIGHTS]).items()
    }
    assert loss == pytest.approx(loss_of(by_numpy(before, x), labels, 0.1), rel=1e-5)
    gradients = step.weights.unpack(state[WEIGHTS] - runner.state[WEIGHTS])
    for name, gradient in gradients.items():
        for index in np.ndindex(*gradient.shape):
            ends = []
            for sign in (1e-5, -1e-5):
                moved = {key: array.copy() for key, array in before.items()}
                moved[name][index] += sign
                ends.append(loss_of(by_numpy(moved, x), labels, 0.1))
            assert gradient[index] == pytest.approx(
                (ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=2e-5
            ), (name, index)


def test_the_result_has_the_right_answers_and_the_length_of_the_gradient() -> None:
    step, state = step_of(DENSE, PLAIN, BATCH)
    batch = feeds(DENSE, 2)
    runner = Runner(step, state)
    runner.fill(0, batch)
    result = runner.advance()
    answers = dense(step.weights.unpack(state[WEIGHTS]), batch["examples"]).argmax(axis=1)
    assert result.correct == (answers == batch[LABELS]).sum()
    assert result.norm == pytest.approx(
        np.linalg.norm(state[WEIGHTS] - runner.state[WEIGHTS]), rel=1e-4
    )


def test_averages_are_the_moving_average_of_weights_and_statistics() -> None:
    step, state = step_of(CONVOLVED, StepConfig(SGD(0.9), ema_decay=0.25), BATCH)
    expected = state[AVERAGES].astype(np.float64)
    runner = Runner(step, state)
    for count in range(1, 7):
        runner.fill(runner.buffer, feeds(CONVOLVED, 3, 0.1, count))
        runner.advance()
        now = runner.state
        decay = min(0.25, count / (count + 9))
        expected = decay * expected + (1 - decay) * np.concatenate([now[WEIGHTS], now[STATISTICS]])
        assert np.allclose(now[AVERAGES], expected, rtol=1e-5, atol=1e-6)
    end = runner.state
    assert not np.allclose(end[AVERAGES][: step.weights.size], end[WEIGHTS], atol=1e-4)


def test_without_averaging_the_averages_are_the_weights() -> None:
    step, state = step_of(DENSE, PLAIN, BATCH)
    now = stepped(step, state, feeds(DENSE, 2))[0].state
    assert np.array_equal(now[AVERAGES], now[WEIGHTS])


@pytest.mark.parametrize("decompose", [False, True])
def test_running_statistics_follow_those_of_the_batches(decompose: bool) -> None:
    step, state = step_of(
        CONVOLVED, StepConfig(SGD(0.0), batch_norm_momentum=0.75), BATCH, decompose=decompose
    )
    runner = Runner(step, state)
    mean, variance = np.zeros(4), np.ones(4)
    for count in range(1, 4):
        batch = feeds(CONVOLVED, 3, 0.1, count)
        weights = step.weights.unpack(runner.state[WEIGHTS])
        _, mean_of_batch, variance_of_batch = normed(weights, batch["examples"])
        mean, variance = (
            0.75 * mean + 0.25 * mean_of_batch,
            0.75 * variance + 0.25 * variance_of_batch,
        )
        runner.fill(runner.buffer, batch)
        runner.advance()
    statistics = step.state[STATISTICS].unpack(runner.state[STATISTICS])
    assert np.allclose(statistics["norm.mean"], mean, atol=1e-5)
    assert np.allclose(statistics["norm.variance"], variance, atol=1e-5)


def test_decay_acts_on_kernels_and_matrices_only() -> None:
    batch = feeds(CONVOLVED, 3, 0.1)
    ends = []
    for decay in (0.0, 0.5):
        step, state = step_of(CONVOLVED, StepConfig(AdamW(weight_decay=decay)), BATCH)
        ends.append(step.weights.unpack(stepped(step, state, batch)[0].state[WEIGHTS]))
    changed = {name for name, array in ends[0].items() if not np.array_equal(array, ends[1][name])}
    assert changed == {"conv.weight", "last.weight"}


def test_batch_norms_that_share_statistics_are_refused() -> None:
    with pytest.raises(
        StepError,
        match=r"several batch norms keep their statistics in 'norm.mean'; give each its own",
    ):
        step_of(Network("shared", partial(TwoNorms, shared=True), CONVOLVED.input), PLAIN, BATCH)


@pytest.mark.parametrize("name", ["label_smoothing", "ema_decay", "batch_norm_momentum"])
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_shares_outside_0_to_1_are_refused(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name}: expected"):
        replace(StepConfig(), **changed)


class Same(Module):
    def forward(self, op: OpBuilder, x: Any) -> Any:
        return op.Relu(x)


@pytest.mark.parametrize(
    ("shape", "parameters", "message"),
    [
        (("N", 2, 2), [], r"expected a network that ends in float32 \[N, classes\]"),
        (("N", 2), [], "nothing to learn"),
        (("N", 2), ["kernel"], "no parameter 'kernel'"),
    ],
)
def test_what_cannot_be_trained_is_refused(shape: Any, parameters: list[str], message: str) -> None:
    forward = trainable(Same(), Signature("x", ir.DataType.FLOAT, shape, "y"), "same")
    with pytest.raises(StepError, match=message):
        build(forward, parameters, PLAIN, BATCH)
