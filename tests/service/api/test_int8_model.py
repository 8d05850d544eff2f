"""A model in 8 bits, served beside the float one: the same names and fields, nearly the same
numbers.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.settings import Settings

Start = Callable[[Settings], httpx.Client]
NAMES = ("digits", "digits-int8")
NPY = {"Accept": "application/x-npy", "Content-Type": "image/png"}


@pytest.fixture
def both(started: Start, int8_folder: Path, tmp_path: Path) -> httpx.Client:
    return started(
        Settings(models=int8_folder, device="cpu", threads=1, input_store=tmp_path / "inputs")
    )


@pytest.fixture
def digit(int8_folder: Path) -> bytes:
    return (int8_folder / "digits/1/samples/3.png").read_bytes()


def asked(service: httpx.Client, address: str, **query: Any) -> list[Any]:
    """What both models answer, as JSON, without what is theirs alone."""
    answers = [service.get(address, params={"model": name, **query}) for name in NAMES]
    for item in answers:
        assert item.status_code == 200, item.text
    return [{k: v for k, v in item.json().items() if k != "model"} for item in answers]


def arrays(
    service: httpx.Client, address: str, digit: bytes | None = None, **query: Any
) -> list[np.ndarray]:
    answers = []
    for name in NAMES:
        params = {"model": name, **query}
        answer = (
            service.get(address, params=params, headers=NPY)
            if digit is None
            else service.post(address, params=params, headers=NPY, content=digit)
        )
        assert answer.status_code == 200, answer.text
        answers.append(np.load(io.BytesIO(answer.content)))
    return answers


def test_the_float_model_answers_unless_the_other_is_named(both: httpx.Client) -> None:
    listed = {model["name"]: model for model in both.get("/models").json()["models"]}
    assert set(listed) == set(NAMES)
    assert listed["digits"]["default"]
    assert not listed["digits-int8"]["default"]
    assert {listed[name]["parameters"] for name in NAMES} == {73_322}
    assert listed["digits-int8"]["card"]["scores"]["float_agreement"] > 0.998


def test_they_name_the_same_digit_with_nearly_the_same_probability(
    both: httpx.Client, digit: bytes
) -> None:
    header = {"Content-Type": "image/png"}
    first = [
        both.post(f"/predict?model={name}", content=digit, headers=header).json() for name in NAMES
    ]
    (ours, theirs) = (answer["predictions"][0] for answer in first)
    assert ours["label"] == theirs["label"] == "3"
    assert ours["probability"] != theirs["probability"]
    assert abs(ours["probability"] - theirs["probability"]) < 0.05


def test_layers_differ_by_their_tensors_names_alone(both: httpx.Client) -> None:
    before, after = (item["layers"] for item in asked(both, "/layers"))
    for ours, theirs in zip(before, after, strict=True):
        assert {key for key in ours if ours[key] != theirs[key]} <= {"tensor", "operands"}


def test_what_units_see_is_the_same(both: httpx.Client) -> None:
    for index in range(6):
        sizes = both.get("/layers?model=digits").json()["layers"][index]["output_shape"][1:]
        unit = ",".join(str(size // 2) for size in sizes)
        for address, query in (
            ("receptive-field", {}),
            ("receptive-field", {"unit": unit}),
            ("receptive-fields", {}),
        ):
            ours, theirs = asked(both, f"/layers/{index}/{address}", **query)
            for item in (ours, theirs):
                item.pop("tensor", None)
            assert ours == theirs


def test_kernels_are_numbers_at_most_half_a_step_from_the_float_ones(both: httpx.Client) -> None:
    for index in range(7):
        ours, theirs = arrays(both, f"/layers/{index}/kernels")
        steps = np.abs(ours).reshape(len(ours), -1).max(axis=1) / 127
        distance = np.abs(ours - theirs).reshape(len(ours), -1).max(axis=1)
        assert theirs.dtype == np.float32
        assert (distance <= 0.51 * steps).all()


def test_activations_are_numbers_close_to_the_float_ones(both: httpx.Client, digit: bytes) -> None:
    for index in range(7):
        for tap in ("post", "pre", "input"):
            ours, theirs = arrays(both, f"/layers/{index}/activations", digit, tap=tap)
            assert ours.dtype == theirs.dtype == np.float32
            assert np.linalg.norm(ours - theirs) < 0.05 * np.linalg.norm(ours)


def test_what_a_layer_reads_through_its_kernels_is_what_its_operator_answers(
    both: httpx.Client, digit: bytes
) -> None:
    """The head's kernels are as large as its map: one sum a unit."""
    for layer in ("head.conv", "classifier"):
        read, computed = (
            arrays(both, f"/layers/{layer}/activations", digit, tap=tap)[1]
            for tap in ("input", "pre")
        )
        weights = arrays(both, f"/layers/{layer}/kernels")[1]
        bias = np.array(asked(both, f"/layers/{layer}/kernels")[1]["bias"])
        grouped = weights.shape[1] == 1 and layer == "head.conv"
        products = weights.reshape(len(weights), -1) * (
            read.reshape(len(weights), -1) if grouped else read.reshape(-1)
        )
        assert np.allclose(products.sum(axis=1) + bias, computed.reshape(-1), rtol=1e-5, atol=1e-5)
