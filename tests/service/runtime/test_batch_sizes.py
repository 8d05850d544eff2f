"""Batches are padded to few sizes, each of them is run in the warm-up, and padding changes no
answer.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anatomy import model_file
from anatomy.cards.card import Card
from service.errors import FoveaError
from service.inference.predictor import PredictItem, Predictor
from service.inputs.preprocess import Tensor
from service.inputs.store import InputStore
from service.repository.loader import Loader, Refused
from service.repository.model import Model
from service.repository.scan import scan
from service.runtime.batch_sizes import bucket_of, buckets, stacked
from service.runtime.engine import Engine
from service.runtime.ort_errors import RunFailed
from service.runtime.session import Session
from tests.service.networks import SOLIDS, Array, parsed, tensors

SHAPE = (1, 6, 7, 8)


@given(st.integers(1, 64), st.integers(1, 64))
def test_a_bucket_holds_its_batch_and_is_a_power_of_two_or_the_largest(
    count: int, max_size: int
) -> None:
    size = bucket_of(count, max_size)
    assert size >= count
    assert (
        size == count > max_size
        or size == max_size
        or (size & (size - 1) == 0 and size < 2 * count)
    )


@given(st.integers(1, 64))
def test_the_buckets_are_those_that_batches_get(max_size: int) -> None:
    assert buckets(max_size) == tuple(
        sorted({bucket_of(count, max_size) for count in range(1, max_size + 1)})
    )
    assert len(buckets(max_size)) <= max_size.bit_length() + 1


def test_a_maximum_that_is_no_power_of_two_is_a_bucket_too() -> None:
    assert buckets(32) == (1, 2, 4, 8, 16, 32)
    assert buckets(6) == (1, 2, 4, 6)
    assert buckets(1) == (1,)


def test_rows_come_first_and_zeros_after_them() -> None:
    one, two = np.full((1, 3), 7, np.uint8), np.full((2, 3), 9, np.uint8)
    batch = stacked([one, two], 4)
    assert batch.dtype == np.uint8
    assert batch.tolist() == [[7] * 3, [9] * 3, [9] * 3, [0] * 3]
    assert stacked([two], 2) is two


def test_no_row_at_all_is_padded_to_one() -> None:
    assert bucket_of(0, 8) == 1
    assert stacked([np.ones((0, 3), np.uint8)], 1).tolist() == [[0, 0, 0]]


class Seen:
    """Every batch that was run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        run = Session.run

        def noted(session: Session, feeds: Any, deadline: float | None = None) -> list[np.ndarray]:
            self.sizes += [len(array) for array in feeds.values()]
            return run(session, feeds, deadline)

        monkeypatch.setattr(Session, "run", noted)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


def loaded(folder: Path, text: str = SOLIDS, max_batch: int = 4) -> Model | Refused:
    """A model on the CPU that pads as one on a GPU does."""
    model_file.write(parsed(text), folder / "net/1/model.onnx", Card(title="Net"))
    engine = Engine("cpu", 1, max_batch=max_batch)
    engine.batch_sizes = buckets(max_batch)
    (entry,) = scan(folder).files.values()
    return Loader(engine).load(entry)


def volumes(count: int) -> Array:
    return np.random.default_rng(count).normal(size=(count, *SHAPE)).astype(np.float32)


def test_every_bucket_is_run_twice_before_the_model_is_served_the_largest_first(
    tmp_path: Path, seen: Seen
) -> None:
    model = loaded(tmp_path, max_batch=6)
    assert isinstance(model, Model)
    assert model.batch_sizes == (1, 2, 4, 6)
    assert seen.sizes == [6, 6, 4, 4, 2, 2, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_padding_changes_no_answer_and_is_cut_off(tmp_path: Path, seen: Seen, count: int) -> None:
    model, rows = loaded(tmp_path), volumes(count)
    assert isinstance(model, Model)
    (scores,) = model.run([row[None] for row in rows])
    assert seen.sizes[-1] == bucket_of(count, 4)
    np.testing.assert_allclose(scores, tensors(parsed(SOLIDS), ["scores"], rows)[0], rtol=1e-5)
    assert len(scores) == count


def test_a_run_is_never_larger_than_the_largest_bucket(tmp_path: Path, seen: Seen) -> None:
    model, rows = loaded(tmp_path), volumes(7)
    assert isinstance(model, Model)
    predictor, deadline = (
        Predictor(InputStore(tmp_path / "inputs", 1000, 10), 1000),
        time.monotonic() + 30,
    )
    predictions = predictor.predict_all(
        model, [PredictItem(Tensor(row), 2, deadline) for row in rows]
    )
    assert seen.sizes[-2:] == [4, 4]
    expected = tensors(parsed(SOLIDS), ["scores"], rows)[0]
    for prediction, scores in zip(predictions, expected, strict=True):
        assert not isinstance(prediction, FoveaError)
        assert [entry.index for entry in prediction.classes] == np.argsort(-scores).tolist()
        assert prediction.classes[0].probability == pytest.approx(scores.max(), rel=1e-5)


def test_a_fixed_batch_axis_is_not_padded(tmp_path: Path, seen: Seen) -> None:
    model = loaded(tmp_path, SOLIDS.replace("[N,", "[1,"))
    assert isinstance(model, Model)
    assert model.batch_sizes == ()
    assert seen.sizes == [1, 1]


def test_on_the_cpu_nothing_is_padded(tmp_path: Path, seen: Seen) -> None:
    model_file.write(parsed(SOLIDS), tmp_path / "net/1/model.onnx", Card(title="Net"))
    (entry,) = scan(tmp_path).files.values()
    model = Loader(Engine("cpu", 1)).load(entry)
    assert isinstance(model, Model)
    model.run([volumes(3)])
    assert (model.batch_sizes, seen.sizes) == ((), [1, 1, 3])


def test_a_bucket_that_cannot_be_run_refuses_the_model_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Session.run

    def small(session: Session, feeds: Any, deadline: float | None = None) -> list[np.ndarray]:
        if len(next(iter(feeds.values()))) > 2:
            raise RunFailed("Available memory of 5 is smaller than requested bytes of 6")
        return run(session, feeds, deadline)

    monkeypatch.setattr(Session, "run", small)
    refused = loaded(tmp_path)
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("a first run of 4 inputs failed: Available memory of 5")
