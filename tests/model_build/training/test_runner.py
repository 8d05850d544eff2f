"""The runner keeps the state in the runtime's memory and refuses what does not fit."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from model_build.training.hyperparameters import StepConfig
from model_build.training.network import Network
from model_build.training.optimiser import SGD, AdamW
from model_build.training.runner import Runner
from model_build.training.step_graph import StepError
from model_build.training.step_tensors import (
    AVERAGES,
    LABELS,
    PREFIX,
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


def test_the_state_stays_in_the_runtimes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    step, state = step_of(CONVOLVED, StepConfig(AdamW()), BATCH)
    runner = Runner(step, state)
    copied: list[list[int]] = []
    to_numpy = onnxruntime.OrtValue.numpy

    def watched(value: onnxruntime.OrtValue) -> Array:
        copied.append(value.shape())
        return np.asarray(to_numpy(value))

    monkeypatch.setattr(onnxruntime.OrtValue, "numpy", watched)
    addresses: dict[str, list[int]] = {name: [] for name in step.state}
    for count in range(1, 7):
        runner.fill(runner.buffer, feeds(CONVOLVED, 3, 0.1, count))
        runner.advance()
        for name, value in runner.state_buffers.items():
            assert isinstance(value, onnxruntime.OrtValue)
            addresses[name].append(value.data_ptr())
    assert set(step.state) == {
        WEIGHTS,
        STATISTICS,
        AVERAGES,
        f"{PREFIX}first_moment",
        f"{PREFIX}second_moment",
    }
    for both in addresses.values():
        assert len(set(both)) == 2
        assert both == both[:2] * 3
    assert copied
    assert all(shape == [] for shape in copied), (
        "only loss, right answers and the gradient's length are read"
    )


def test_a_step_that_is_not_finite_leaves_the_state_before_it() -> None:
    step, state = step_of(DENSE, StepConfig(SGD(0.9)), BATCH)
    runner = Runner(step, state)
    batch = feeds(DENSE, 2)
    runner.fill(0, {**batch, "examples": np.full_like(batch["examples"], np.nan)})
    assert not runner.advance().finite
    assert all(np.array_equal(runner.state[name], state[name]) for name in state)
    runner.fill(runner.buffer, batch)
    assert runner.advance().finite


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
    runner = Runner(*step_of(DENSE, PLAIN, BATCH))
    with pytest.raises(StepError, match=message):
        runner.fill(0, {**feeds(DENSE, 2), name: array})


@pytest.mark.parametrize("value", [1.0, float("nan")])
@pytest.mark.parametrize("decompose", [False, True])
def test_a_step_leaves_all_that_it_reads_as_it_was(decompose: bool, value: float) -> None:
    """ONNX Runtime writes the statistics of a batch over the mean and variance that a training
    batch norm is given.
    """
    network = Network("two", TwoNorms, CONVOLVED.input)
    step, state = step_of(network, StepConfig(SGD(0.9)), BATCH, decompose=decompose)
    runner = Runner(step, state)
    batch = feeds(network, 3, 0.1)
    runner.fill(0, {**batch, "examples": value * batch["examples"]})
    before, read = runner.state, runner.state_buffers
    assert runner.advance().finite == np.isfinite(value)
    for name, vector in before.items():
        assert vector.tobytes() == read[name].numpy().tobytes(), name
