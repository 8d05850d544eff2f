"""An experiment carried out: a network learns from nothing, is tested, and becomes a model file.

The plots and the samples are written beside the file.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from anatomy.cards.card import Card
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import layers
from anatomy.model_file import write
from model_build.datasets.split import DataError, Split
from model_build.evaluate import Scores, evaluate
from model_build.experiments.experiments import EXPERIMENTS, Experiment, LogCallback
from model_build.experiments.hyperparameters import changed
from model_build.experiments.plots import Curve, confusion_matrix, kernel_sheet, training_curve
from model_build.export import Signature, export
from model_build.nn import load
from model_build.quantising.report import CalibrationData, examples
from model_build.samples import FOLDER, write_examples
from model_build.training.checkpoint import CheckpointError
from model_build.training.loop import Trained, TrainError
from model_build.training.progress import Progress, Report
from model_build.training.sessions import Device, DeviceError
from model_build.training.train import train
from model_build.zoo.small import Probabilities

LEARNING_ERRORS = (DataError, TrainError, CheckpointError, DeviceError)
CURVE, CONFUSION, KERNELS = "training.png", "confusion.png", "kernels.png"


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A learned model, its card with scores, how the training went, and the test examples."""

    model: onnx.ModelProto
    card: Card
    scores: Scores
    training: Trained
    test: Split


def run(options: argparse.Namespace, path: Path, log: LogCallback) -> None:
    """Learn `options.experiment` and write it to `path`.

    Until it is done a checkpoint lies beside the file. Raises one of LEARNING_ERRORS.
    """
    experiment = chosen(options)
    checkpoint = path.with_name("checkpoint.npz")
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.is_file():
        log(f"going on from {checkpoint}; delete it to start anew")
    with Progress() as report:
        result = learn(
            experiment,
            options.data,
            log,
            device=options.device,
            threads=options.threads,
            checkpoint=checkpoint,
            report=report,
        )
    write(result.model, path, result.card)
    draw(experiment, result, path.parent)
    write_examples(path.parent / FOLDER, path, result.card, result.test, experiment.credit)
    checkpoint.unlink(missing_ok=True)
    log(f"{path}: {_summary(result)}")


def _summary(result: TrainingResult) -> str:
    scores, training = result.scores, result.training
    low, high = scores.interval
    return (
        f"{scores.accuracy:.2%} of {scores.examples:,} test examples right "
        f"({low:.2%} to {high:.2%}), {training.seconds:.0f} s, "
        f"{training.outside:.1%} of it outside ONNX Runtime"
    )


def chosen(options: argparse.Namespace) -> Experiment:
    """The experiment with what the command line changes of it."""
    experiment = EXPERIMENTS[options.experiment]
    return replace(experiment, hyperparameters=changed(experiment.hyperparameters, options))


def learn(
    experiment: Experiment,
    data: Path | None,
    log: LogCallback,
    *,
    device: Device = "cpu",
    threads: int | None = None,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> TrainingResult:
    """Train the network of an experiment and score it on the test, which it has not seen.

    `data` is the folder of the data set, where it is not in the cache. Raises one of
    LEARNING_ERRORS.
    """
    splits = experiment.load(data, log)
    training = train(
        experiment.network,
        splits.train,
        experiment.hyperparameters,
        held_out=splits.held_out,
        path=checkpoint,
        device=device,
        threads=threads,
        report=report,
    )
    model = _exported(experiment, training)
    scores = evaluate(model.SerializeToString(), splits.test)
    card = replace(
        experiment.card,
        scores=_card_scores(scores),
        history=_history(experiment, training, len(splits.train), device),
    )
    return TrainingResult(model, card, scores, training, splits.test)


def _exported(experiment: Experiment, training: Trained) -> onnx.ModelProto:
    network = experiment.network.make()
    load(network, training.weights)
    example = experiment.network.input
    kind = "input" if experiment.card.input is None else experiment.card.input.kind
    signature = Signature(kind, example.dtype, ("N", *example.shape), "probabilities")
    return export(Probabilities(network), signature, experiment.name)


def _card_scores(scores: Scores) -> dict[str, float]:
    low, high = scores.interval
    return {
        "test_accuracy": scores.accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_loss": scores.loss,
    }


def _history(
    experiment: Experiment, training: Trained, examples: int, device: Device
) -> dict[str, Any]:
    hyperparameters = experiment.hyperparameters
    step = hyperparameters.step
    seconds = max(training.seconds, 1e-9)
    return {
        "seed": hyperparameters.seed,
        "epochs": [dict(record) for record in training.history],
        "examples": examples,
        "batch": hyperparameters.batch_size,
        "learning_rate": hyperparameters.schedule.learning_rate,
        "weight_decay": step.optimiser.weight_decay,
        "label_smoothing": step.label_smoothing,
        "ema_decay": step.ema_decay,
        "seconds": round(training.seconds, 1),
        "images_per_second": round(examples * hyperparameters.epochs / seconds, 1),
        "device": device,
        "weights": sum(weight.size for weight in training.weights.values()),
    }


def draw(experiment: Experiment, result: TrainingResult, folder: Path) -> None:
    """Draw the training curve, the confusion matrix and the kernels of the first layer as PNG."""
    title = f"{experiment.card.title}, seed {experiment.hyperparameters.seed}"
    training_curve(_curve(result.training), title, folder / CURVE)
    confusion_matrix(result.scores, experiment.card.labels, title, folder / CONFUSION)
    graph = Graph(result.model)
    first = next(layer for layer in layers(graph) if layer.kernel is not None)
    kernel_sheet(graph.constants[str(first.kernel)], f"{title}: {first.name}", folder / KERNELS)


def _curve(training: Trained) -> Curve:
    scored = [record for record in training.history if "score" in record]
    return Curve(
        epochs=[record["epoch"] for record in training.history],
        loss=[record["loss"] for record in training.history],
        learning_rate=[record["rate"] for record in training.history],
        scored=[record["epoch"] for record in scored],
        accuracy=[record["score"] for record in scored],
    )


def calibration_data(
    name: str, data: Path | None, log: LogCallback, _model: object
) -> CalibrationData:
    """What calibrates and measures the quantised variant of a learned network; raises DataError."""
    splits = EXPERIMENTS[name].load(data, log)
    return examples(splits.held_out.inputs, splits.test.inputs, splits.test.labels)
