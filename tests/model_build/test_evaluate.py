"""Scores are counted rightly, whatever the batch, and models that do not fit the examples are
refused.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import pytest
from numpy.typing import NDArray

from model_build.datasets.split import Split
from model_build.evaluate import EvaluationError, Scores, evaluate, probabilities, scored

RANDOM = np.random.default_rng(0)


def model(x: str = "float[N, 3] x", body: str = "y = Softmax(x)") -> bytes:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({x}) => (float[N, 3] y) {{ {body} }}'
    data: bytes = onnx.parser.parse_model(text).SerializeToString()
    return data


def chances(*answers: int, classes: int = 3) -> NDArray[np.float64]:
    return np.eye(classes)[list(answers)] * 0.7 + 0.1


def test_the_confusion_matrix_counts_true_classes_down_and_answers_across() -> None:
    scores = scored(chances(0, 1, 1, 2, 0), np.array([0, 1, 0, 2, 2]))
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert (scores.examples, scores.errors, scores.accuracy) == (5, 2, 0.6)


def test_scores_by_class_are_those_of_their_definition() -> None:
    scores = Scores(np.array([[8, 2, 0], [0, 5, 5], [0, 0, 0]]), loss=0.0)
    assert scores.recall == pytest.approx([0.8, 0.5, 0])
    assert scores.precision == pytest.approx([1, 5 / 7, 0])
    assert scores.f1 == pytest.approx([2 * 0.8 / 1.8, 2 * (5 / 7) * 0.5 / (5 / 7 + 0.5), 0])


def test_the_interval_is_wilsons() -> None:
    # Brown, Cai and DasGupta 2001, and any table: 5 of 10 lies between 23.7 % and 76.3 %.
    assert Scores(np.array([[5, 5], [0, 0]]), 0.0).interval == pytest.approx(
        (0.2366, 0.7634), abs=1e-4
    )
    low, high = Scores(np.diag([500, 500]), 0.0).interval
    assert (low, high) == pytest.approx((0.99617, 1.0), abs=1e-5)


def test_the_loss_is_the_mean_surprise_and_finite_for_a_probability_of_zero() -> None:
    assert scored(chances(0, 1), np.array([0, 0])).loss == pytest.approx(
        -(np.log(0.8) + np.log(0.1)) / 2
    )
    assert 80 < scored(np.array([[0.0, 1.0]], np.float32), np.array([0])).loss < 90


@pytest.mark.parametrize("batch", [1, 7, 100, 1000])
def test_the_size_of_a_batch_changes_nothing(batch: int) -> None:
    x = RANDOM.standard_normal((100, 3)).astype(np.float32)
    expected = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities(model(), x, batch), expected, atol=1e-6)


def test_examples_are_cast_to_the_type_that_the_model_takes() -> None:
    x = np.array([[0, 0, 9], [9, 0, 0]])
    split = Split(x.astype(np.uint8), np.array([2, 1]))
    for data in (model(), model("uint8[N, 3] x", "f = Cast<to=1>(x) y = Softmax(f)")):
        assert evaluate(data, split).confusion.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_a_model_file_is_scored_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model())
    x = np.eye(3, dtype=np.float32)
    assert evaluate(path, Split(x, np.arange(3))).accuracy == 1


def test_no_examples_are_no_error() -> None:
    scores = evaluate(model(), Split(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)))
    assert (scores.examples, scores.accuracy, scores.loss) == (0, 0, 0)


@pytest.mark.parametrize(
    ("answers", "labels", "message"),
    [
        (np.zeros((2, 3)), [0, 3], "labels from 0 to 3, but the model knows 3 classes"),
        (np.zeros((2, 3)), [-1, 0], "labels from -1 to 0"),
        (np.zeros((2, 3)), [0], r"expected 1 rows of probabilities, got shape \[2, 3\]"),
        (np.zeros((2, 3, 1)), [0, 0], r"got shape \[2, 3, 1\]"),
        (
            np.array([[0.5, 0.5], [np.nan, 1]]),
            [0, 1],
            "example 1 has a probability that is no number",
        ),
    ],
)
def test_answers_that_do_not_fit_are_refused(
    answers: NDArray[Any], labels: list[int], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        scored(answers, np.array(labels))


def test_an_input_of_another_type_is_refused() -> None:
    with pytest.raises(
        EvaluationError,
        match=r"the input 'x' is of tensor\(int64\), expected one of tensor\(uint8\)",
    ):
        evaluate(
            model("int64[N, 3] x", "f = Cast<to=1>(x) y = Softmax(f)"),
            Split(np.zeros((1, 3)), np.zeros(1, int)),
        )
