"""The strongest classes of whatever a network gives."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from anatomy import model_file
from anatomy.cards.card import Card
from service.errors import FoveaError, Impossible
from service.inference.predictor import PredictItem, Predictor, ScoredClass
from service.inputs.preprocess import Tensor
from service.inputs.store import InputStore
from service.runtime.engine import Engine
from tests.service.networks import Array, parsed
from tests.service.repository.loading import catalogue_of

# The scores are the input itself, so that a test chooses them.
GIVEN = """<ir_version: 8, opset_import: ["" : 18]>
given ({kind}[N,1,5] x) => ({kind}[N,C] scores) {{
  kept = {pool}<kernel_shape=[1]>(x)
  scores = {result}
}}"""


def predicted(
    tmp_path: Path,
    scores: Array,
    top_k: int | None = None,
    labels: Sequence[str] = (),
    result: str = "Flatten(kept)",
) -> Sequence[ScoredClass]:
    kind = {"f": "float", "u": "uint8", "i": "int8"}[scores.dtype.kind]
    # Of the two, only this one hands on what is not a number, and only for floats.
    pool = "AveragePool" if kind == "float" else "MaxPool"
    model = parsed(GIVEN.format(kind=kind, pool=pool, result=result))
    model_file.write(
        model, tmp_path / "given/1/model.onnx", Card(title="Given", labels=tuple(labels))
    )
    loaded = catalogue_of(tmp_path, Engine("cpu", 1)).get()
    predictor = Predictor(InputStore(tmp_path / "inputs", 1000, 10), 1000)
    item = PredictItem(Tensor(scores.reshape(1, 1, 5)), top_k, time.monotonic() + 5)
    (prediction,) = predictor.predict_all(loaded, [item])
    if isinstance(prediction, FoveaError):
        raise prediction
    return prediction.classes


@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.int8])
def test_the_strongest_come_first_whatever_the_type(tmp_path: Path, kind: type[np.generic]) -> None:
    classes = predicted(tmp_path, np.array([0, 3, 120, 7, 3]).astype(kind))
    assert [(best.index, best.probability) for best in classes] == [
        (2, 120),
        (3, 7),
        (1, 3),
        (4, 3),
        (0, 0),
    ]


def test_what_is_not_a_number_comes_last(tmp_path: Path) -> None:
    classes = predicted(tmp_path, np.array([np.nan, -np.inf, 0.5, np.inf, -1], np.float32))
    assert [best.index for best in classes] == [3, 2, 4, 1, 0]


def test_a_class_beyond_the_labels_has_none(tmp_path: Path) -> None:
    classes = predicted(
        tmp_path, np.arange(5, dtype=np.float32), top_k=5, labels=("a", "b", "c", "d", "e")
    )
    assert [best.label for best in classes] == ["e", "d", "c", "b", "a"]
    assert {item.label for item in predicted(tmp_path, np.arange(5, dtype=np.float32))} == {None}


def test_an_output_that_is_a_map_is_no_list_of_classes(tmp_path: Path) -> None:
    network = "Concat<axis=1>(kept, kept)"
    with pytest.raises(Impossible, match="no list of classes"):
        predicted(tmp_path, np.zeros(5, np.float32), result=network)


def test_more_classes_than_there_are_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(Impossible, match="5 classes"):
        predicted(tmp_path, np.zeros(5, np.float32), top_k=6)
