"""Answers as bytes: JSON that any parser reads, and arrays that numpy reads without our help."""

import json

import ml_dtypes
import numpy as np
import pytest

from service.api.accept import choose
from service.api.responses import as_json, as_npy
from tests.service.networks import loaded


def read(value: object) -> object:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(bytes(as_json(value).body), parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, 2.5), "b": None, "é": "ü"}, {"a": [1, 2.5], "b": None, "é": "ü"}),
        (
            {"a": [1.0, float("nan")], "b": {"c": float("-inf")}},
            {"a": [1.0, None], "b": {"c": None}},
        ),
        (np.array([[1, 2], [3, 4]], np.uint8), [[1, 2], [3, 4]]),
        (np.array([[0.5, np.nan], [np.inf, -0.25]], np.float32), [[0.5, None], [None, -0.25]]),
        ({"a": np.array([np.nan]), "b": float("nan")}, {"a": [None], "b": None}),
        (np.array([1.5, np.inf], ml_dtypes.bfloat16), [1.5, None]),
        (np.array([True, False]), [True, False]),
    ],
    ids=["plain", "floats", "integers", "array", "both", "bfloat16", "booleans"],
)
def test_what_is_not_finite_becomes_null_and_all_else_stays(
    value: object, expected: object
) -> None:
    assert read(value) == expected


def test_numbers_are_not_rounded() -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert np.array_equal(np.array(read(values), np.float64), values.astype(np.float64))


def test_text_that_is_no_unicode_does_not_break_an_answer() -> None:
    assert read({"name": "a\ud800b"}) == {"name": "a?b"}


@pytest.mark.parametrize(
    "kind", [np.float32, np.float16, np.int8, np.uint8, np.float64, ml_dtypes.bfloat16]
)
def test_an_array_is_read_by_numpy_alone(kind: type[np.generic]) -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3).astype(kind))
    response = as_npy(array)
    read_back = loaded(response.head + bytes(response.body))
    assert int(response.headers["content-length"]) == len(response.head) + len(response.body)
    assert read_back.dtype == (np.float32 if kind is ml_dtypes.bfloat16 else kind)
    assert np.array_equal(read_back, array.astype(read_back.dtype))


@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (2, 1, 3)])
def test_an_array_of_any_shape_keeps_it(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    response = as_npy(array)
    read_back = loaded(response.head + bytes(response.body))
    assert read_back.shape == shape
    assert np.array_equal(read_back, array)


def test_an_arrays_memory_is_sent_as_it_is_without_a_copy() -> None:
    array = np.zeros(1000, np.float32)
    response = as_npy(array)
    array[7] = 1
    assert loaded(response.head + bytes(response.body))[7] == 1


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "a/json"),
        ("", "a/json"),
        ("*/*", "a/json"),
        ("b/*", "b/png"),
        ("b/png;q=0.5, a/json;q=0.6", "a/json"),
        ("*/*;q=0.1, b/png", "b/png"),
        ("a/json;q=0, */*", "b/png"),
        ("A/JSON", "a/json"),
        ("a/json;charset=utf-8", "a/json"),
        ("a/json;q=high", None),
        ("c/csv", None),
    ],
)
def test_the_offer_that_accept_ranks_highest_is_chosen(
    accept: str | None, chosen: str | None
) -> None:
    assert choose(accept, ("a/json", "b/png")) == chosen
