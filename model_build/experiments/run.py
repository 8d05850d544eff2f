"""`python -m model_build digits`: learn a network from nothing, and write its model file with
pictures and samples beside it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from anatomy.graphs.graph import Graph
from anatomy.layers.layers import layers
from anatomy.model_file import write
from model_build.datasets.split import DataError
from model_build.experiments.experiments import EXPERIMENTS, Experiment, LogCallback
from model_build.experiments.learned import TrainingResult, learn
from model_build.experiments.plots import Curve, confusion_matrix, kernel_sheet, training_curve
from model_build.experiments.samples import write_examples
from model_build.photographs import FOLDER
from model_build.quantising.report import CalibrationData, examples
from model_build.training.checkpoint import CheckpointError
from model_build.training.progress import Progress
from model_build.training.sessions import DeviceError
from model_build.training.train import TrainError

LEARNING_ERRORS = (DataError, TrainError, CheckpointError, DeviceError)
CURVE, CONFUSION, KERNELS = "training.png", "confusion.png", "kernels.png"


def run(options: argparse.Namespace, path: Path, say: LogCallback) -> None:
    """Learn `options.course` and write it to `path`; a checkpoint lies beside it until it is done.

    Raises one of LEARNING_ERRORS.
    """
    course = chosen(options)
    checkpoint = path.with_name("checkpoint.npz")
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if checkpoint.is_file():
        say(f"going on from {checkpoint}; delete it to start anew")
    with Progress() as report:
        learned = learn(
            course,
            options.data,
            say,
            device=options.device,
            threads=options.threads,
            checkpoint=checkpoint,
            report=report,
        )
    write(learned.model, path, learned.card)
    draw(course, learned, path.parent)
    write_examples(path.parent / FOLDER, path, learned.card, learned.test, course.credit)
    checkpoint.unlink(missing_ok=True)
    low, high = learned.scores.interval
    seconds, outside = learned.training.seconds, learned.training.outside
    say(
        f"{path}: {learned.scores.accuracy:.2%} of {learned.scores.examples:,} test examples right "
        f"({low:.2%} to {high:.2%}), {seconds:.0f} s, {outside:.1%} of it outside ONNX Runtime"
    )


def chosen(options: argparse.Namespace) -> Experiment:
    """The course with what the command line changes of it."""
    course = EXPERIMENTS[options.course]
    plan = replace(course.plan, seed=options.seed, epochs=options.epochs or course.plan.epochs)
    return replace(course, plan=plan)


def draw(course: Experiment, learned: TrainingResult, folder: Path) -> None:
    """The training curve, the confusion matrix and the kernels of the first layer, as pictures in
    `folder`.
    """
    history = learned.training.history
    epochs = [record["epoch"] for record in history]
    scored = [record for record in history if "score" in record]
    curve = Curve(
        epochs,
        [record["loss"] for record in history],
        [record["rate"] for record in history],
        [record["epoch"] for record in scored],
        [record["score"] for record in scored],
    )
    title = f"{course.card.title}, seed {course.plan.seed}"
    training_curve(curve, title, folder / CURVE)
    confusion_matrix(learned.scores, course.card.labels, title, folder / CONFUSION)
    graph = Graph(learned.model)
    first = next(layer for layer in layers(graph) if layer.kernel is not None)
    kernel_sheet(graph.constants[str(first.kernel)], f"{title}: {first.name}", folder / KERNELS)


def material(name: str, data: Path | None, say: LogCallback, _model: object) -> CalibrationData:
    """What calibrates and measures the 8-bit sibling of a network learned here; raises DataError."""
    lesson = EXPERIMENTS[name].lesson(data, say)
    return examples(lesson.held_out.inputs, lesson.test.inputs, lesson.test.labels)
