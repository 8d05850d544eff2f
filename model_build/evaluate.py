"""Scores of a model file on examples: run by ONNX Runtime in batches, counted by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model_build.datasets.split import Array, Split

BATCH_SIZE = 500
CPU = ("CPUExecutionProvider",)
_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
# The loss of a class that got probability 0 in single precision is not infinite.
_SMALLEST = float(np.finfo(np.float32).tiny)


class EvaluationError(ValueError):
    """The model and the examples do not belong together; the message says expected and actual."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a classifier.

    `confusion[t, p]` examples of class t were taken for p; `loss` is the mean of
    -log(probability of t).     A class without examples or answers has the precision,
    recall and F1 of 0.
    """

    confusion: NDArray[np.int64]
    loss: float

    @property
    def examples(self) -> int:
        """How many examples were scored."""
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        """How many of them were taken for another class."""
        return self.examples - int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of examples that were named rightly."""
        return float(np.trace(self.confusion) / max(self.examples, 1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """By class: the share of its examples that were found."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """By class: the share of the answers with its name that were right."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> NDArray[np.float64]:
        """By class: the harmonic mean of precision and recall."""
        answers, examples = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return _share(2 * np.diag(self.confusion), answers + examples)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true accuracy lies with 95 % confidence, by Wilson's formula."""
        n, p, z = max(self.examples, 1), self.accuracy, 1.96
        middle = p + z * z / (2 * n)
        spread = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return float((middle - spread) / scale), float((middle + spread) / scale)


def evaluate(
    model: Path | bytes, split: Split, batch_size: int = BATCH_SIZE, providers: Sequence[str] = CPU
) -> Scores:
    """The scores of a classifier that gives probabilities.

    Raises EvaluationError, or ONNX Runtime's errors for a bad file.
    """
    return scored(probabilities(model, split.inputs, batch_size, providers), split.labels)


def scored(answers: Array, labels: NDArray[np.int64]) -> Scores:
    """The scores of probabilities [N, classes] beside the true classes [N]; raises EvaluationError.

    The strongest class is the answer, the first of them where several are equally strong.
    """
    if answers.ndim != 2 or len(answers) != len(labels):
        raise EvaluationError(
            f"expected {len(labels)} rows of probabilities, got shape {list(answers.shape)}"
        )
    classes = answers.shape[1]
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise EvaluationError(
            f"labels from {labels.min()} to {labels.max()}, but the model knows {classes} classes"
        )
    if not np.isfinite(answers).all():
        first = int(np.argwhere(~np.isfinite(answers))[0, 0])
        raise EvaluationError(f"example {first} has a probability that is no number")
    cells = labels * classes + answers.argmax(axis=1)
    confusion = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    true = answers[np.arange(len(labels)), labels].astype(np.float64)
    losses = -np.log(np.maximum(true, _SMALLEST))
    return Scores(confusion, float(losses.mean()) if len(labels) else 0.0)


def probabilities(
    model: Path | bytes, inputs: Array, batch_size: int = BATCH_SIZE, providers: Sequence[str] = CPU
) -> Array:
    """The model's first output for every example, [N, classes].

    Examples are cast to the type of its input.
    """
    session = onnxruntime.InferenceSession(model, providers=list(providers))
    (model_input,) = session.get_inputs()
    if model_input.type not in _TYPES:
        raise EvaluationError(
            f"the input {model_input.name!r} is of {model_input.type}, expected one of "
            f"{', '.join(_TYPES)}"
        )
    dtype = _TYPES[model_input.type]
    output = session.get_outputs()[0].name
    answers = []
    for start in range(0, max(len(inputs), 1), batch_size):
        batch = inputs[start : start + batch_size].astype(dtype, copy=False)
        answers.append(session.run([output], {model_input.name: batch})[0])
    return np.concatenate(answers)


def _share(part: Array, total: Array) -> NDArray[np.float64]:
    return np.divide(part, total, out=np.zeros(len(total)), where=total > 0)
