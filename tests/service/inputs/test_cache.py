"""Inputs are decoded once for all layers, and what is kept of them never outlives the input."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from anatomy import model_file
from service.errors import UnknownInput
from service.inputs import cache
from service.inputs.array_formats import NPY
from service.inputs.cache import DecodedInputCache
from service.inputs.preprocess import Document, ModelInput, Picture, RawInput, preprocess
from service.inputs.store import InputStore
from service.repository.catalogue import Catalogue
from service.repository.model import Model
from service.runtime.engine import Engine
from tests.service import networks
from tests.service.networks import encoded, npy
from tests.service.repository.loading import catalogue_of

PIXELS = 1_000_000


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        model_file.write(
            networks.photo_model()[0],
            folder / f"photos/{version}/model.onnx",
            networks.photo_model()[1],
        )
    return catalogue_of(folder, Engine("cpu", 1))


@pytest.fixture
def model(repository: Catalogue) -> Model:
    return repository.get("photos")


@pytest.fixture
def store(tmp_path: Path) -> InputStore:
    return InputStore(tmp_path / "inputs", 10_000_000, 60)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[RawInput]:
    """What was made ready from the bytes posted."""
    made: list[RawInput] = []

    def counted(model: Model, source: RawInput, max_pixels: int) -> ModelInput:
        made.append(source)
        return preprocess(model, source, max_pixels)

    monkeypatch.setattr(cache, "preprocess", counted)
    return made


def photo(seed: int = 0) -> bytes:
    return encoded(np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8))


def test_an_input_is_made_ready_once(
    store: InputStore, model: Model, decoded: list[RawInput]
) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    first, second = inputs.get(model, input_id), inputs.get(model, input_id)
    assert len(decoded) == 1
    expected = preprocess(model, Picture(photo()), PIXELS)
    for model_input in (first, second):
        assert np.array_equal(model_input.array, expected.array)
        assert model_input.rectangle([[0, 3], [2, 5]]) == expected.rectangle([[0, 3], [2, 5]])


def test_each_model_has_its_own(
    store: InputStore, repository: Catalogue, decoded: list[RawInput]
) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    for spec in ("photos:1", "photos:2", "photos:1", "photos:2"):
        inputs.get(repository.get(spec), input_id)
    assert len(decoded) == 2


def test_numbers_are_kept_too(store: InputStore, model: Model, decoded: list[RawInput]) -> None:
    array = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(Document(npy(array), NPY).stored_bytes)
    assert np.array_equal(inputs.get(model, input_id).array, inputs.get(model, input_id).array)
    assert np.array_equal(inputs.get(model, input_id).array[0], array)
    assert len(decoded) == 1


def test_a_deleted_input_is_unknown_though_it_is_ready(
    store: InputStore, model: Model, tmp_path: Path
) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    inputs.get(model, input_id)
    (tmp_path / "inputs" / input_id).unlink()
    for _ in range(2):
        with pytest.raises(UnknownInput, match="post it again"):
            inputs.get(model, input_id)
    assert inputs.size == 0


def test_an_expired_input_is_unknown_though_it_is_ready(
    store: InputStore, model: Model, tmp_path: Path
) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    inputs.get(model, input_id)
    path = tmp_path / "inputs" / input_id
    os.utime(path, (time.time() - 61, time.time() - 61))
    with pytest.raises(UnknownInput):
        inputs.get(model, input_id)
    assert not path.exists()


def test_each_look_up_counts_as_a_use(store: InputStore, model: Model, tmp_path: Path) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    inputs.get(model, input_id)
    path = tmp_path / "inputs" / input_id
    os.utime(path, (time.time() - 50, time.time() - 50))
    inputs.get(model, input_id)
    assert time.time() - path.stat().st_mtime < 40


def test_the_least_recently_used_go_first_and_the_bytes_are_bounded(
    store: InputStore, model: Model, decoded: list[RawInput]
) -> None:
    size = 32 * 32 * 3
    inputs = DecodedInputCache(store, PIXELS, max_bytes=2 * size)
    first, second, third = (store.put(photo(seed)) for seed in range(3))
    for input_id in (first, second, first, third, first):
        inputs.get(model, input_id)
        assert inputs.size <= 2 * size
    assert len(decoded) == 3
    inputs.get(model, second)
    assert len(decoded) == 4


def test_an_input_larger_than_the_room_is_answered_and_not_kept(
    store: InputStore, model: Model
) -> None:
    inputs = DecodedInputCache(store, PIXELS, max_bytes=100)
    assert inputs.get(model, store.put(photo())).array.shape == (1, 32, 32, 3)
    assert inputs.size == 0


def test_nothing_of_the_posted_bytes_is_kept(store: InputStore, model: Model) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    inputs.get(model, input_id)
    model_input = inputs.get(model, input_id)
    assert model_input.posted is None
    assert model_input.array.base is None
    assert model_input.image is not None
    assert model_input.image.array.base is model_input.array


def test_what_is_shared_cannot_be_written_to(store: InputStore, model: Model) -> None:
    inputs = DecodedInputCache(store, PIXELS)
    input_id = store.put(photo())
    inputs.get(model, input_id)
    with pytest.raises(ValueError, match="read-only"):
        inputs.get(model, input_id).array[0, 0, 0, 0] = 1


def test_a_broken_id_reaches_no_file(store: InputStore) -> None:
    for crafted in ("../" + "0" * 61, "", "0" * 63):
        with pytest.raises(UnknownInput):
            store.use(crafted)
