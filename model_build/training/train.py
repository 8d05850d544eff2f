"""Learning: a network's weights out of examples, step after step, interrupted at will and resumed
to the same end.

What a step reads follows from the seed and its number; a checkpoint therefore holds the state and
the number. While the runtime computes one step, a thread puts the next one's batch in place.
"""

import hashlib
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from model_build.datasets.split import Split
from model_build.export import Augmentation, Signature, trainable
from model_build.nn import Module, initial
from model_build.training import checkpoint, nonfinite
from model_build.training.batches import Batches
from model_build.training.checkpoint import Checkpoint
from model_build.training.prefetch import Prefetch
from model_build.training.progress import Report, Silence
from model_build.training.runner import Outcome, Runner
from model_build.training.schedule import Cosine
from model_build.training.scorer import Scorer
from model_build.training.sessions import Device
from model_build.training.step_graph import (
    AVERAGES,
    COUNT,
    LABELS,
    RATE,
    STATISTICS,
    WEIGHTS,
    Step,
    StepConfig,
    build,
)

Arrays = Mapping[str, NDArray[np.float32]]


class TrainError(ValueError):
    """Training cannot begin or go on; the message says why."""


class Example(NamedTuple):
    """What one example is: its shape and the type of its numbers."""

    shape: tuple[int, ...]
    dtype: ir.DataType = ir.DataType.FLOAT

    def __str__(self) -> str:
        return f"{self.dtype.numpy()} {list(self.shape)}"


@dataclass(frozen=True)
class Network:
    """What is trained: `make` gives the module up to its logits, anew at each call.

    `takes` is one example as the module takes it; `learns_from` one as the augmentation takes it,
    where that is something else.
    """

    name: str
    make: Callable[[], Module]
    takes: Example
    augmentation: Augmentation | None = None
    learns_from: Example | None = None


@dataclass(frozen=True)
class Hyperparameters:
    """How long and how it is trained. `checkpoint_every` counts steps."""

    epochs: int
    batch: int
    schedule: Cosine
    seed: int = 0
    recipe: StepConfig = field(default_factory=StepConfig)
    checkpoint_every: int = 500


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of it: `weights` averaged, as `nn.load` takes them, `last` those of the last step.

    `history` has a record for each epoch; `seconds` is the time of all steps, over interruptions
    too, of which `outside` is the share that this run spent outside ONNX Runtime.
    """

    weights: Arrays
    last: Arrays
    history: tuple[Mapping[str, float], ...]
    seconds: float
    outside: float


def train(
    network: Network,
    examples: Split,
    plan: Hyperparameters,
    *,
    held_out: Split | None = None,
    path: Path | None = None,
    device: Device = "cpu",
    threads: int | None = None,
    report: Report | None = None,
) -> Trained:
    """Train a network; the averaged weights are scored on `held_out` after each epoch.

    With `path`, checkpoints are written there, and training goes on from the one that is there.
    Raises TrainError for examples that do not fit and for numbers that become NaN or infinite, with
    the step and what went bad first; CheckpointError for the checkpoint of another training;
    DeviceError, StepError and GradientError before it begins.
    """
    _check(network, examples, plan, held_out)
    step, forward, state = _step(network, plan, device)
    batches = Batches(examples, plan.batch, plan.seed, network.augmentation)
    identity = _identity(step, plan, network.augmentation, examples)
    _check_labels(step.classes, examples, held_out)
    begun = checkpoint.read(path, identity, step.state) if path else None
    begun = begun or Checkpoint(0, state, identity)
    stepper = Runner(step, begun.state, device, threads)
    scorer = Scorer(forward, step.parameters, device, threads)
    loop = _Loop(step, stepper, batches, plan, begun, report or Silence())
    with Prefetch(loop.prepare) as ahead:
        loop.run(
            ahead,
            path,
            lambda: scorer.accuracy(stepper.buffers[AVERAGES], held_out) if held_out else None,
        )
    return loop.result()


def _check(
    network: Network, examples: Split, plan: Hyperparameters, held_out: Split | None
) -> None:
    if min(plan.epochs, plan.batch, plan.checkpoint_every) < 1:
        raise TrainError(f"expected epochs, batch and checkpoint_every of 1 or more, got {plan}")
    if len(examples) < plan.batch:
        raise TrainError(
            f"{len(examples)} examples to learn from do not fill a batch of {plan.batch}"
        )
    if held_out is not None and not len(held_out):
        raise TrainError("there are no examples to score the network on")
    for split, wanted in (
        (examples, network.learns_from or network.takes),
        (held_out, network.takes),
    ):
        if split is not None and (split.inputs.shape[1:], split.inputs.dtype) != (
            wanted.shape,
            wanted.dtype.numpy(),
        ):
            found = f"{split.inputs.dtype} {list(split.inputs.shape[1:])}"
            raise TrainError(f"{network.name} takes examples of {wanted}, got {found}")


def _check_labels(classes: int, *splits: Split | None) -> None:
    for split in splits:
        if split is not None and not 0 <= split.labels.min() <= split.labels.max() < classes:
            found = f"{split.labels.min()} to {split.labels.max()}"
            raise TrainError(f"expected labels from 0 to {classes - 1}, got {found}")


def _step(
    network: Network, plan: Hyperparameters, device: Device
) -> tuple[Step, onnx.ModelProto, dict[str, Any]]:
    """The step, the network without augmentation as scoring needs it, and the state to begin with."""
    module = network.make()
    arrays = initial(module, plan.seed)
    altered = trainable(
        module, _signature(network.learns_from or network.takes), network.name, network.augmentation
    )
    step = build(altered, arrays, plan.recipe, plan.batch, spread=device == "cuda")
    plain = trainable(network.make(), _signature(network.takes), network.name)
    return step, plain, step.start(arrays)


def _signature(example: Example) -> Signature:
    return Signature("examples", example.dtype, ("N", *example.shape), "logits")


def _identity(
    step: Step, plan: Hyperparameters, augmentation: Augmentation | None, examples: Split
) -> dict[str, Any]:
    """What must be equal for a training to go on: by name, so that a message can say what is not."""
    labels = examples.labels
    # From which ranges it draws is not in the graph. Rounded: another processor's sine may end in
    # another bit.
    drawn = augmentation.draw(np.random.default_rng(0), 4) if augmentation else {}
    settings = {**asdict(plan), "optimiser": type(plan.recipe.optimiser).__name__}
    del settings["checkpoint_every"]
    return {
        **settings,
        "network": hashlib.sha256(step.model.SerializeToString(deterministic=True)).hexdigest(),
        "augmentation": {
            name: zlib.crc32(np.round(array, 3).tobytes()) for name, array in drawn.items()
        },
        "examples": [
            len(labels),
            zlib.crc32(examples.inputs.tobytes()),
            zlib.crc32(labels.tobytes()),
        ],
    }


class _Loop:
    """The steps from where the training stands to its end."""

    def __init__(
        self,
        step: Step,
        stepper: Runner,
        batches: Batches,
        plan: Hyperparameters,
        begun: Checkpoint,
        report: Report,
    ) -> None:
        self._step, self._stepper, self._batches, self._plan, self._report = (
            step,
            stepper,
            batches,
            plan,
            report,
        )
        self._identity = begun.identity
        self._at, self._loss, self._correct = begun.step, begun.loss, begun.correct
        self._history = list(begun.history)
        self._before = begun.seconds
        self._seconds = 0.0
        self._steps = plan.epochs * batches.per_epoch

    def run(self, ahead: Prefetch, path: Path | None, score: Callable[[], float | None]) -> None:
        """Take all steps that are left, with checkpoints and scores where they are due."""
        self._report.begin(self._steps, self._at, self._plan.batch)
        start = time.perf_counter()
        ahead.ask(self._at, self._stepper.turn)
        while self._at < self._steps:
            self._advance(ahead)
            ended = self._at % self._batches.per_epoch == 0
            due = ended or self._at % self._plan.checkpoint_every == 0
            self._seconds += time.perf_counter() - start
            if ended:
                self._end_epoch(score())
            start = time.perf_counter()
            if path and due:
                self._saved().save(path)
        self._seconds += time.perf_counter() - start

    def result(self) -> Trained:
        """What the training gives."""
        state = self._stepper.state
        parts = [state[WEIGHTS], state[STATISTICS]] if STATISTICS in state else [state[WEIGHTS]]
        unpack = self._step.parameters.unpack
        # Of a training that was complete already no step was run.
        outside = 1 - self._stepper.seconds / self._seconds if self._stepper.seconds else 0.0
        seconds = self._before + self._seconds
        return Trained(
            unpack(state[AVERAGES]),
            unpack(np.concatenate(parts)),
            tuple(self._history),
            seconds,
            outside,
        )

    def _advance(self, ahead: Prefetch) -> None:
        """One step, while the batch of the next is put in place."""
        ahead.wait()
        ahead.ask(self._at + 1, 1 - self._stepper.turn)
        outcome = self._stepper.advance()
        if not outcome.finite:
            raise TrainError(self._explained(outcome))
        self._at += 1
        self._loss += outcome.loss
        self._correct += outcome.correct
        done = (self._at - 1) % self._batches.per_epoch + 1
        self._report.step(self._loss / done, self._correct / (done * self._plan.batch))

    def prepare(self, step: int, turn: int) -> None:
        """Put the batch of a step in place; behind the last one there is none."""
        if step < self._steps:
            self._stepper.fill(turn, self._feeds(step))

    def _feeds(self, step: int) -> dict[str, NDArray[Any]]:
        examples, labels, numbers = self._batches.at(step)
        rate = self._plan.schedule.rate(step, self._steps)
        feeds: dict[str, NDArray[Any]] = {self._step.inputs[0]: examples, LABELS: labels, **numbers}
        return {**feeds, RATE: np.array(rate, np.float32), COUNT: np.array(step + 1, np.float64)}

    def _end_epoch(self, score: float | None) -> None:
        steps = self._batches.per_epoch
        record = {
            "epoch": self._at // steps,
            "rate": self._plan.schedule.rate(self._at - 1, self._steps),
            "loss": self._loss / steps,
            "accuracy": self._correct / (steps * self._plan.batch),
        }
        self._history.append(record if score is None else {**record, "score": score})
        self._loss, self._correct = 0.0, 0
        self._report.epoch(self._history[-1])

    def _saved(self) -> Checkpoint:
        seconds = self._before + self._seconds
        history = tuple(self._history)
        return Checkpoint(
            self._at,
            self._stepper.state,
            self._identity,
            history,
            self._loss,
            self._correct,
            seconds,
        )

    def _explained(self, outcome: Outcome) -> str:
        bad = nonfinite.first_bad(self._step, self._stepper.state, self._feeds(self._at))
        what = f"loss {outcome.loss}, gradient norm {outcome.norm}"
        return f"step {self._at + 1} of {self._steps} gave {what}: {bad} went bad first; try a lower learning rate"
