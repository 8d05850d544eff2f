"""The largest values, in the one order in which they are told."""

from typing import Any

import numpy as np
import pytest

from service.inference.top_k import SORTED_WHOLE, top_k

Array = np.ndarray[Any, Any]


def sorted_whole(values: Array, k: int) -> Array:
    return np.argsort(-values.astype(np.float64), axis=-1, kind="stable")[..., :k]


@pytest.mark.parametrize("size", [1, 10, SORTED_WHOLE, SORTED_WHOLE + 1, 3 * SORTED_WHOLE])
@pytest.mark.parametrize("k", [0, 1, 5, 1000])
@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.int8, np.bool_])
def test_it_is_the_beginning_of_a_stable_sort(size: int, k: int, kind: type[np.generic]) -> None:
    values = np.random.default_rng(size + k).integers(-100, 100, (3, size)).astype(kind)
    for array in (values, values[0], values[:, None]):
        ranked = top_k(array, k)
        assert ranked.shape == (*array.shape[:-1], min(k, size))
        assert np.array_equal(ranked, sorted_whole(array, k))


@pytest.mark.parametrize("numbers", [0, 3, 100])
@pytest.mark.parametrize("size", [200, SORTED_WHOLE + 200])
def test_what_is_not_a_number_comes_last(numbers: int, size: int) -> None:
    values = np.full(size, np.nan, np.float32)
    values[50 : 50 + numbers] = np.linspace(-1, 1, numbers)
    values[150] = -np.inf
    assert np.array_equal(top_k(values, 20), sorted_whole(values, 20))
    if numbers < 20:
        assert top_k(values, 20)[numbers] == 150
