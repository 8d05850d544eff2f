"""One step does what the papers say to weights, statistics and averages, in the runtime's own
memory.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnxscript import OpBuilder

from model_build.export import Signature, trainable
from model_build.nn import BatchNorm, Conv, Flatten, GlobalAveragePool, Linear, Module
from model_build.training.optimiser import SGD, AdamW
from model_build.training.runner import Runner
from model_build.training.step_graph import (
    AVERAGES,
    COUNT,
    LABELS,
    PREFIX,
    RATE,
    STATISTICS,
    WEIGHTS,
    Step,
    StepConfig,
    StepError,
    build,
)
from model_build.training.train import Network
from tests.model_build.training.small import CONVOLVED, DENSE, step_of

Array = NDArray[Any]
RANDOM = np.random.default_rng(3)
PLAIN = StepConfig(SGD(0.0), averaging=0.0)
BATCH = 8


def feeds(network: Network, classes: int, rate: float = 1.0, count: int = 1) -> dict[str, Array]:
    return {
        "examples": RANDOM.normal(size=(BATCH, *network.takes.shape)).astype(np.float32),
        LABELS: RANDOM.integers(0, classes, BATCH),
        RATE: np.array(rate, np.float32),
        COUNT: np.array(count, np.float64),
    }


def stepped(
    step: Step, state: dict[str, Array], *batches: dict[str, Array]
) -> tuple[Runner, list[float]]:
    stepper = Runner(step, state)
    losses = []
    for batch in batches:
        stepper.fill(stepper.turn, batch)
        losses.append(stepper.advance().loss)
    return stepper, losses


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


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(
    ("network", "by_numpy", "classes"), [(DENSE, dense, 2), (CONVOLVED, convolved, 3)]
)
def test_a_plain_step_goes_down_the_slope_of_the_loss(
    network: Network, by_numpy: Any, classes: int, spread: bool
) -> None:
    step, state = step_of(network, StepConfig(SGD(0.0), smoothing=0.1), BATCH, spread=spread)
    batch = feeds(network, classes)
    stepper, (loss,) = stepped(step, state, batch)
    x, labels = batch["examples"].astype(np.float64), batch[LABELS]
    before = {
        name: array.astype(np.float64)
        for name, array in step.weights.unpack(state[WEIGHTS]).items()
    }
    assert loss == pytest.approx(loss_of(by_numpy(before, x), labels, 0.1), rel=1e-5)
    gradients = step.weights.unpack(state[WEIGHTS] - stepper.state[WEIGHTS])
    for name, gradient in gradients.items():
        for place in np.ndindex(*gradient.shape):
            ends = []
            for sign in (1e-5, -1e-5):
                moved = {key: array.copy() for key, array in before.items()}
                moved[name][place] += sign
                ends.append(loss_of(by_numpy(moved, x), labels, 0.1))
            assert gradient[place] == pytest.approx(
                (ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=2e-5
            ), (name, place)


def test_the_outcome_has_the_right_answers_and_the_length_of_the_gradient() -> None:
    step, state = step_of(DENSE, PLAIN, BATCH)
    batch = feeds(DENSE, 2)
    stepper = Runner(step, state)
    stepper.fill(0, batch)
    outcome = stepper.advance()
    answers = dense(step.weights.unpack(state[WEIGHTS]), batch["examples"]).argmax(axis=1)
    assert outcome.correct == (answers == batch[LABELS]).sum()
    assert outcome.norm == pytest.approx(
        np.linalg.norm(state[WEIGHTS] - stepper.state[WEIGHTS]), rel=1e-4
    )


def test_averages_are_the_moving_average_of_weights_and_statistics() -> None:
    step, state = step_of(CONVOLVED, StepConfig(SGD(0.9), averaging=0.25), BATCH)
    expected = state[AVERAGES].astype(np.float64)
    stepper = Runner(step, state)
    for count in range(1, 7):
        stepper.fill(stepper.turn, feeds(CONVOLVED, 3, 0.1, count))
        stepper.advance()
        now = stepper.state
        decay = min(0.25, count / (count + 9))
        expected = decay * expected + (1 - decay) * np.concatenate([now[WEIGHTS], now[STATISTICS]])
        assert np.allclose(now[AVERAGES], expected, rtol=1e-5, atol=1e-6)
    end = stepper.state
    assert not np.allclose(end[AVERAGES][: step.weights.size], end[WEIGHTS], atol=1e-4)


def test_without_averaging_the_averages_are_the_weights() -> None:
    step, state = step_of(DENSE, PLAIN, BATCH)
    now = stepped(step, state, feeds(DENSE, 2))[0].state
    assert np.array_equal(now[AVERAGES], now[WEIGHTS])


@pytest.mark.parametrize("spread", [False, True])
def test_running_statistics_follow_those_of_the_batches(spread: bool) -> None:
    step, state = step_of(CONVOLVED, StepConfig(SGD(0.0), running=0.75), BATCH, spread=spread)
    stepper = Runner(step, state)
    mean, variance = np.zeros(4), np.ones(4)
    for count in range(1, 4):
        batch = feeds(CONVOLVED, 3, 0.1, count)
        weights = step.weights.unpack(stepper.state[WEIGHTS])
        _, of_batch, spread_of_batch = normed(weights, batch["examples"])
        mean, variance = 0.75 * mean + 0.25 * of_batch, 0.75 * variance + 0.25 * spread_of_batch
        stepper.fill(stepper.turn, batch)
        stepper.advance()
    found = step.state[STATISTICS].unpack(stepper.state[STATISTICS])
    assert np.allclose(found["norm.mean"], mean, atol=1e-5)
    assert np.allclose(found["norm.variance"], variance, atol=1e-5)


def test_decay_acts_on_kernels_and_matrices_only() -> None:
    batch = feeds(CONVOLVED, 3, 0.1)
    ends = []
    for decay in (0.0, 0.5):
        step, state = step_of(CONVOLVED, StepConfig(AdamW(decay=decay)), BATCH)
        ends.append(step.weights.unpack(stepped(step, state, batch)[0].state[WEIGHTS]))
    changed = {name for name, array in ends[0].items() if not np.array_equal(array, ends[1][name])}
    assert changed == {"conv.weight", "last.weight"}


def test_the_state_stays_in_the_runtimes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    step, state = step_of(CONVOLVED, StepConfig(AdamW()), BATCH)
    stepper = Runner(step, state)
    copied: list[list[int]] = []
    to_numpy = onnxruntime.OrtValue.numpy

    def watched(value: onnxruntime.OrtValue) -> Array:
        copied.append(value.shape())
        return np.asarray(to_numpy(value))

    monkeypatch.setattr(onnxruntime.OrtValue, "numpy", watched)
    places: dict[str, list[int]] = {name: [] for name in step.state}
    for count in range(1, 7):
        stepper.fill(stepper.turn, feeds(CONVOLVED, 3, 0.1, count))
        stepper.advance()
        for name, value in stepper.buffers.items():
            assert isinstance(value, onnxruntime.OrtValue)
            places[name].append(value.data_ptr())
    assert set(step.state) == {
        WEIGHTS,
        STATISTICS,
        AVERAGES,
        f"{PREFIX}first_moment",
        f"{PREFIX}second_moment",
    }
    for found in places.values():
        assert len(set(found)) == 2
        assert found == found[:2] * 3
    assert copied
    assert all(shape == [] for shape in copied), (
        "only loss, right answers and the gradient's length are read"
    )


def test_a_step_that_is_not_finite_leaves_the_state_before_it() -> None:
    step, state = step_of(DENSE, StepConfig(SGD(0.9)), BATCH)
    stepper = Runner(step, state)
    batch = feeds(DENSE, 2)
    stepper.fill(0, {**batch, "examples": np.full_like(batch["examples"], np.nan)})
    assert not stepper.advance().finite
    assert all(np.array_equal(stepper.state[name], state[name]) for name in state)
    stepper.fill(stepper.turn, batch)
    assert stepper.advance().finite


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (LABELS, np.zeros(BATCH, np.uint8), rf"{LABELS}: expected int64 \[8\], got uint8 \[8\]"),
        (
            LABELS,
            np.zeros(BATCH - 1, np.int64),
            rf"{LABELS}: expected int64 \[8\], got int64 \[7\]",
        ),
        (
            "examples",
            np.zeros((BATCH, 2)),
            r"examples: expected float32 \[8, 2\], got float64 \[8, 2\]",
        ),
    ],
)
def test_a_batch_of_another_type_or_shape_is_refused(name: str, array: Array, message: str) -> None:
    """The runtime takes the bytes for what it expects: labels of one byte became others, from
    beyond their end.
    """
    stepper = Runner(*step_of(DENSE, PLAIN, BATCH))
    with pytest.raises(StepError, match=message):
        stepper.fill(0, {**feeds(DENSE, 2), name: array})


class TwoNorms(Module):
    """Equally wide, so that the runtime could take memory of the one for the other."""

    def __init__(self, shared: bool = False) -> None:
        super().__init__()
        self.shared = shared
        self.conv = Conv(1, 4, (3, 3), bias=False)
        self.norm = BatchNorm(4)
        if not shared:
            self.other = BatchNorm(4)
        self.pool = GlobalAveragePool()
        self.flatten = Flatten()
        self.last = Linear(4, 3)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        second = self.norm if self.shared else self.other
        x = second(op, op.Relu(self.norm(op, self.conv(op, x))))
        return self.last(op, self.flatten(op, self.pool(op, x)))


@pytest.mark.parametrize("value", [1.0, float("nan")])
@pytest.mark.parametrize("spread", [False, True])
def test_a_step_leaves_all_that_it_reads_as_it_was(spread: bool, value: float) -> None:
    """ONNX Runtime writes the statistics of a batch over the mean and variance that a training
    batch norm is given.
    """
    network = Network("two", TwoNorms, CONVOLVED.takes)
    step, state = step_of(network, StepConfig(SGD(0.9)), BATCH, spread=spread)
    stepper = Runner(step, state)
    batch = feeds(network, 3, 0.1)
    stepper.fill(0, {**batch, "examples": value * batch["examples"]})
    before, read = stepper.state, stepper.buffers
    assert stepper.advance().finite == np.isfinite(value)
    for name, vector in before.items():
        assert vector.tobytes() == read[name].numpy().tobytes(), name


def test_batch_norms_that_share_statistics_are_refused() -> None:
    with pytest.raises(
        StepError,
        match=r"several batch norms keep their statistics in 'norm.mean'; give each its own",
    ):
        step_of(Network("shared", partial(TwoNorms, shared=True), CONVOLVED.takes), PLAIN, BATCH)


@pytest.mark.parametrize("name", ["smoothing", "averaging", "running"])
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_shares_outside_0_to_1_are_refused(name: str, value: float) -> None:
    changed: dict[str, Any] = {name: value}
    with pytest.raises(StepError, match=f"{name}: expected"):
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
