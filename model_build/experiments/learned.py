"""A network learned from nothing, tested, and made a model file that says how."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from anatomy.cards.card import Card
from model_build.datasets.split import Split
from model_build.evaluate import Scores, evaluate
from model_build.experiments.experiments import Experiment, LogCallback
from model_build.export import Signature, export
from model_build.nn import load
from model_build.training.progress import Report
from model_build.training.sessions import Device
from model_build.training.train import Trained, train
from model_build.zoo.small import Probabilities


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """The model, its card with the scores, what the test said class by class, how the training
    went, and the test.
    """

    model: onnx.ModelProto
    card: Card
    scores: Scores
    training: Trained
    test: Split


def learn(
    course: Experiment,
    data: Path | None,
    say: LogCallback,
    *,
    device: Device = "cpu",
    threads: int | None = None,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> TrainingResult:
    """Train the network of a course and score it on the test, which it has not seen.

    `data` is the folder of the data set, where it is not in the cache. Raises DataError,
    TrainError, CheckpointError and DeviceError.
    """
    lesson = course.lesson(data, say)
    training = train(
        course.network,
        lesson.learned,
        course.plan,
        held_out=lesson.held_out,
        path=checkpoint,
        device=device,
        threads=threads,
        report=report,
    )
    model = _exported(course, training)
    scores = evaluate(model.SerializeToString(), lesson.test)
    return TrainingResult(
        model,
        _described(course, training, scores, len(lesson.learned), device),
        scores,
        training,
        lesson.test,
    )


def _exported(course: Experiment, training: Trained) -> onnx.ModelProto:
    network = course.network.make()
    load(network, training.weights)
    takes = course.network.takes
    kind = "input" if course.card.input is None else course.card.input.kind
    signature = Signature(kind, takes.dtype, ("N", *takes.shape), "probabilities")
    return export(Probabilities(network), signature, course.name)


def _described(
    course: Experiment, training: Trained, scores: Scores, examples: int, device: Device
) -> Card:
    low, high = scores.interval
    return replace(
        course.card,
        scores={
            "test_accuracy": scores.accuracy,
            "test_accuracy_low": low,
            "test_accuracy_high": high,
            "test_loss": scores.loss,
        },
        history={
            "seed": course.plan.seed,
            "epochs": [dict(record) for record in training.history],
            "examples": examples,
            "batch": course.plan.batch,
            "seconds": round(training.seconds, 1),
            "images_per_second": round(
                examples * course.plan.epochs / max(training.seconds, 1e-9), 1
            ),
            "device": device,
            "weights": int(sum(np.size(each) for each in training.weights.values())),
        },
    )
