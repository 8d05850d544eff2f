"""The steps of a training from where it stands to its end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_build.training import nonfinite
from model_build.training.batches import Batches
from model_build.training.checkpoint import Checkpoint
from model_build.training.hyperparameters import Hyperparameters
from model_build.training.prefetch import Prefetch
from model_build.training.progress import Report
from model_build.training.runner import Runner, StepResult
from model_build.training.step_graph import Step
from model_build.training.step_tensors import (
    AVERAGES,
    LABELS,
    LEARNING_RATE,
    STATISTICS,
    STEP_NUMBER,
    WEIGHTS,
)

Arrays = Mapping[str, NDArray[np.float32]]


class TrainError(ValueError):
    """Training cannot begin or go on; the message says why."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training gives.

    `weights` are the averaged ones, as `nn.load` takes them, `last` those of the last step.
    `history` has a record for each epoch; `seconds` is the time of all steps, over interruptions
    too, of which `outside` is the share that this run spent outside ONNX Runtime.
    """

    weights: Arrays
    last: Arrays
    history: tuple[Mapping[str, float], ...]
    seconds: float
    outside: float


class TrainingLoop:
    """Takes steps, reports them, and saves checkpoints."""

    def __init__(
        self,
        step: Step,
        runner: Runner,
        batches: Batches,
        hyperparameters: Hyperparameters,
        start: Checkpoint,
        report: Report,
    ) -> None:
        self._step, self._runner, self._batches = step, runner, batches
        self._hyperparameters, self._report = hyperparameters, report
        self._identity = start.identity
        self._done = start.step
        self._loss, self._correct = start.loss, start.correct
        self._history = list(start.history)
        self._seconds_before = start.seconds
        self._seconds = 0.0
        self._steps = hyperparameters.epochs * batches.per_epoch

    def run(self, prefetch: Prefetch, path: Path | None, score: Callable[[], float | None]) -> None:
        """Take all steps that are left, with checkpoints and scores where they are due."""
        self._report.begin(self._steps, self._done, self._hyperparameters.batch_size)
        start = time.perf_counter()
        prefetch.submit(self._done, self._runner.buffer)
        while self._done < self._steps:
            self._advance(prefetch)
            epoch_ended = self._done % self._batches.per_epoch == 0
            checkpoint_due = self._done % self._hyperparameters.checkpoint_every == 0
            self._seconds += time.perf_counter() - start
            if epoch_ended:
                self._end_epoch(score())
            start = time.perf_counter()
            if path and (epoch_ended or checkpoint_due):
                self._checkpoint().save(path)
        self._seconds += time.perf_counter() - start

    def result(self) -> Trained:
        """What the training gives."""
        state = self._runner.state
        vectors = [state[name] for name in (WEIGHTS, STATISTICS) if name in state]
        unpack = self._step.parameters.unpack
        # Of a training that was complete already no step was run.
        inside = self._runner.seconds
        return Trained(
            weights=unpack(state[AVERAGES]),
            last=unpack(np.concatenate(vectors)),
            history=tuple(self._history),
            seconds=self._seconds_before + self._seconds,
            outside=1 - inside / self._seconds if inside else 0.0,
        )

    def prepare(self, step: int, buffer: int) -> None:
        """Fill a buffer with the batch of a step; after the last step there is none."""
        if step < self._steps:
            self._runner.fill(buffer, self._feeds(step))

    def _advance(self, prefetch: Prefetch) -> None:
        """Take one step, while the batch of the next one is put in place."""
        prefetch.wait()
        prefetch.submit(self._done + 1, 1 - self._runner.buffer)
        result = self._runner.advance()
        if not result.finite:
            raise TrainError(self._explanation(result))
        self._done += 1
        self._loss += result.loss
        self._correct += result.correct
        steps = (self._done - 1) % self._batches.per_epoch + 1
        examples = steps * self._hyperparameters.batch_size
        self._report.step(self._loss / steps, self._correct / examples)

    def _feeds(self, step: int) -> dict[str, NDArray[Any]]:
        examples, labels, random_numbers = self._batches.at(step)
        learning_rate = self._hyperparameters.schedule.at(step, self._steps)
        return {
            self._step.inputs[0]: examples,
            LABELS: labels,
            **random_numbers,
            LEARNING_RATE: np.array(learning_rate, np.float32),
            STEP_NUMBER: np.array(step + 1, np.float64),
        }

    def _end_epoch(self, score: float | None) -> None:
        steps = self._batches.per_epoch
        record = {
            "epoch": self._done // steps,
            "rate": self._hyperparameters.schedule.at(self._done - 1, self._steps),
            "loss": self._loss / steps,
            "accuracy": self._correct / (steps * self._hyperparameters.batch_size),
        }
        if score is not None:
            record["score"] = score
        self._history.append(record)
        self._loss, self._correct = 0.0, 0
        self._report.epoch(record)

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(
            step=self._done,
            state=self._runner.state,
            identity=self._identity,
            history=tuple(self._history),
            loss=self._loss,
            correct=self._correct,
            seconds=self._seconds_before + self._seconds,
        )

    def _explanation(self, result: StepResult) -> str:
        source = nonfinite.first_bad(self._step, self._runner.state, self._feeds(self._done))
        return (
            f"step {self._done + 1} of {self._steps} gave loss {result.loss}, gradient norm "
            f"{result.norm}: {source} went bad first; try a lower learning rate"
        )
