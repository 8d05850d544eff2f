"""Training learns, gives the same bytes for the same seed whatever interrupts it, and stops with a
reason.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnxscript import OpBuilder

from model_build.datasets.split import Split
from model_build.export import Signature, export
from model_build.nn import load
from model_build.training.checkpoint import CheckpointError
from model_build.training.hyperparameters import Hyperparameters, StepConfig
from model_build.training.loop import Trained, TrainError
from model_build.training.network import InputSpec, Network
from model_build.training.optimiser import SGD, AdamW
from model_build.training.schedule import Cosine
from model_build.training.sessions import DeviceError
from model_build.training.train import train
from tests.model_build.training.small import CONVOLVED, DENSE, Dense, blobs

Array = NDArray[Any]
HYPERPARAMETERS = Hyperparameters(
    epochs=4,
    batch_size=32,
    schedule=Cosine(0.05),
    step=StepConfig(SGD(0.9), ema_decay=0.9),
    checkpoint_every=7,
)
ROOT = Path(__file__).parents[3]


def maps(count: int = 96) -> Split:
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, count)
    pictures = random.normal(size=(count, 1, 6, 6)) + labels[:, None, None, None]
    return Split(pictures.astype(np.float32), labels)


def same(one: Trained, other: Trained) -> bool:
    pairs = [(one.weights, other.weights), (one.last, other.last)]
    return one.history == other.history and all(
        first.keys() == second.keys()
        and all(first[name].tobytes() == second[name].tobytes() for name in first)
        for first, second in pairs
    )


class Interrupted(Exception):
    pass


@dataclass
class Interrupting:
    """Breaks a training off before a step."""

    left: int

    def begin(self, steps: int, done: int, batch_size: int) -> None:
        self.left -= done

    def step(self, loss: float, accuracy: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted

    def epoch(self, record: Mapping[str, float]) -> None:
        pass


@pytest.mark.parametrize("optimiser", [SGD(0.9), SGD(0.9, nesterov=True), AdamW()])
def test_two_blobs_are_parted_without_an_error(optimiser: Any) -> None:
    hyperparameters = replace(HYPERPARAMETERS, epochs=12, step=StepConfig(optimiser, ema_decay=0.9))
    trained = train(DENSE, blobs(), hyperparameters, held_out=blobs(seed=9))
    assert [record["epoch"] for record in trained.history] == list(range(1, 13))
    assert trained.history[-1]["score"] == 1
    assert trained.history[-1]["accuracy"] == 1
    assert trained.history[-1]["loss"] < trained.history[0]["loss"] / 2


@pytest.mark.parametrize(
    ("network", "examples"), [(DENSE, blobs()), (CONVOLVED, maps())], ids=["dense", "convolved"]
)
def test_the_same_seed_gives_the_same_bytes_and_another_others(
    network: Network, examples: Split
) -> None:
    first, again = (train(network, examples, HYPERPARAMETERS, held_out=examples) for _ in range(2))
    other = train(network, examples, replace(HYPERPARAMETERS, seed=1), held_out=examples)
    assert same(first, again)
    assert not any(
        np.array_equal(first.weights[name], other.weights[name]) for name in first.weights
    )


@pytest.mark.parametrize("stop", [1, 8, 10, 11, 39])
def test_a_training_that_was_interrupted_ends_as_if_it_had_not_been(
    tmp_path: Path, stop: int
) -> None:
    uninterrupted = train(DENSE, blobs(), HYPERPARAMETERS, held_out=blobs(seed=9))
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(Interrupted):
        train(
            DENSE,
            blobs(),
            HYPERPARAMETERS,
            held_out=blobs(seed=9),
            path=path,
            report=Interrupting(stop),
        )
    assert path.exists() == (stop > 7)
    resumed = train(DENSE, blobs(), HYPERPARAMETERS, held_out=blobs(seed=9), path=path)
    assert same(resumed, uninterrupted)
    assert same(
        train(DENSE, blobs(), HYPERPARAMETERS, held_out=blobs(seed=9), path=path), uninterrupted
    )


SCRIPT = """
import sys, time
from pathlib import Path
from tests.model_build.training import test_train as t

class Slow:
    def begin(self, steps, done, batch_size): pass
    def step(self, loss, accuracy): time.sleep(0.02)
    def epoch(self, record): pass

t.train(t.CONVOLVED, t.maps(), t.LONG, path=Path(sys.argv[1]), report=Slow())
"""
LONG = replace(HYPERPARAMETERS, epochs=100, checkpoint_every=5)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_training_goes_on_from_its_last_checkpoint_to_the_same_end(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        deadline = time.monotonic() + 60
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.13)
        process.kill()
    assert process.returncode == -9
    steps = 100 * (len(maps()) // HYPERPARAMETERS.batch_size)
    with np.load(path) as file:
        assert f'"step": {steps},' not in str(file["about"])
    assert same(train(CONVOLVED, maps(), LONG, path=path), train(CONVOLVED, maps(), LONG))


@pytest.mark.parametrize(
    ("changed", "examples", "named"),
    [
        ({"seed": 1}, blobs(), "seed"),
        ({"epochs": 5}, blobs(), "epochs"),
        ({"schedule": Cosine(0.01)}, blobs(), "learning_rate"),
        (
            {"step": StepConfig(SGD(0.9, weight_decay=0.1), ema_decay=0.9)},
            blobs(),
            "network, weight_decay",
        ),
        ({}, blobs(seed=4), "examples"),
    ],
)
def test_changed_hyperparameters_or_other_examples_do_not_go_on(
    tmp_path: Path, changed: dict[str, Any], examples: Split, named: str
) -> None:
    path = tmp_path / "checkpoint.npz"
    train(DENSE, blobs(), HYPERPARAMETERS, path=path)
    with pytest.raises(CheckpointError, match=f": {named} differ"):
        train(DENSE, examples, replace(HYPERPARAMETERS, **changed), path=path)


def test_how_often_checkpoints_are_written_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    with pytest.raises(Interrupted):
        train(DENSE, blobs(), HYPERPARAMETERS, path=path, report=Interrupting(9))
    assert same(
        train(DENSE, blobs(), replace(HYPERPARAMETERS, checkpoint_every=3), path=path),
        train(DENSE, blobs(), HYPERPARAMETERS),
    )


def test_the_exported_network_answers_with_the_averaged_weights() -> None:
    examples = maps()
    trained = train(CONVOLVED, examples, replace(HYPERPARAMETERS, epochs=20), held_out=examples)
    module = CONVOLVED.make()
    load(module, trained.weights)
    model = export(module, Signature("x", ir.DataType.FLOAT, ("N", 1, 6, 6), "logits"), "convolved")
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    answers = session.run(None, {"x": examples.inputs})[0].argmax(axis=1)
    assert (answers == examples.labels).mean() == trained.history[-1]["score"] > 0.9


def test_numbers_that_run_away_stop_with_the_step_and_the_layer() -> None:
    hyperparameters = replace(HYPERPARAMETERS, schedule=Cosine(1e30, warmup=0.0))
    with pytest.raises(
        TrainError, match=r"step 2 of 40 gave loss (nan|inf).*: layer 'second' went bad first"
    ):
        train(DENSE, blobs(), hyperparameters)


def test_a_gradient_that_runs_away_stops_with_the_weight() -> None:
    examples = blobs()
    large = Split(examples.inputs * np.float32(1e37), examples.labels)
    with pytest.raises(
        TrainError, match=r"step 1 of 40 gave .*gradient norm (nan|inf): .* went bad first"
    ):
        train(DENSE, large, HYPERPARAMETERS)


def test_an_example_that_is_no_number_is_named() -> None:
    examples = blobs()
    examples.inputs[5, 0] = np.nan
    with pytest.raises(
        TrainError, match=r"step \d+ of 40 gave .*: the input 'examples' went bad first"
    ):
        train(DENSE, examples, HYPERPARAMETERS)


@pytest.mark.parametrize(
    ("examples", "held_out", "message"),
    [
        (blobs(0), None, "0 examples to learn from do not fill a batch of 32"),
        (blobs(31), None, "31 examples to learn from do not fill a batch of 32"),
        (blobs(), blobs(0), "no examples to score"),
        (maps(), None, r"dense takes examples of float32 \[2\], got float32 \[1, 6, 6\]"),
        (
            Split(np.zeros((64, 2)), np.zeros(64, np.int64)),
            None,
            r"takes examples of float32 \[2\], got float64 \[2\]",
        ),
        (
            Split(np.zeros((64, 2), np.float32), np.full(64, 2)),
            None,
            r"labels from 0 to 1, got 2 to 2",
        ),
        (
            blobs(),
            Split(np.zeros((4, 2), np.float32), np.full(4, -1)),
            r"labels from 0 to 1, got -1 to -1",
        ),
    ],
)
def test_examples_that_do_not_fit_are_refused_before_the_first_step(
    examples: Split, held_out: Split | None, message: str
) -> None:
    with pytest.raises(TrainError, match=message):
        train(DENSE, examples, HYPERPARAMETERS, held_out=held_out)


@pytest.mark.parametrize("changed", [{"epochs": 0}, {"batch_size": 0}, {"checkpoint_every": 0}])
def test_hyperparameters_without_steps_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(TrainError):
        train(DENSE, blobs(), replace(HYPERPARAMETERS, **changed))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is one"
)
def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DeviceError, match="no CUDAExecutionProvider"):
        train(DENSE, blobs(), HYPERPARAMETERS, device="cuda")


@dataclass(frozen=True)
class Shifted:
    """Makes points out of numbers, and moves each by a random step."""

    by: float

    def draw(self, random: np.random.Generator, batch: int) -> Mapping[str, Array]:
        return {"shift": random.normal(0, self.by, (batch, 2)).astype(np.float32)}

    def __call__(
        self, op: OpBuilder, images: ir.Value, random_inputs: Mapping[str, ir.Value]
    ) -> Any:
        return op.Add(op.Cast(images, to=ir.DataType.FLOAT), random_inputs["shift"])


def test_an_augmentation_alters_what_is_learned_from_and_not_what_is_scored(tmp_path: Path) -> None:
    points = Split(np.round(blobs().inputs).astype(np.int8), blobs().labels)
    held_out = blobs(seed=9)
    network = Network(
        "shifted", Dense, InputSpec((2,)), Shifted(0.3), InputSpec((2,), ir.DataType.INT8)
    )
    trained = train(network, points, HYPERPARAMETERS, held_out=held_out)
    assert trained.history[-1]["score"] > 0.95
    unmoved = train(
        replace(network, augmentation=Shifted(0)), points, HYPERPARAMETERS, held_out=held_out
    )
    assert not same(trained, unmoved)
    with pytest.raises(Interrupted):
        train(
            network,
            points,
            HYPERPARAMETERS,
            held_out=held_out,
            path=tmp_path / "c.npz",
            report=Interrupting(20),
        )
    assert same(
        train(network, points, HYPERPARAMETERS, held_out=held_out, path=tmp_path / "c.npz"), trained
    )
    with pytest.raises(CheckpointError, match=": augmentation differ"):
        train(
            replace(network, augmentation=Shifted(0.2)),
            points,
            HYPERPARAMETERS,
            path=tmp_path / "c.npz",
        )
