"""Top-k: the one order in which the largest values are told, for classes, channels and units."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SORTED_WHOLE = 4096
"""Values of a row up to which sorting all of them is quicker than finding the largest first."""


def top_k(values: Array, k: int) -> Array:
    """Indices of the `k` largest values along the last axis, or of all where there are fewer.

    The largest comes first, the first of equals first; what is not a number comes last.
    """
    # As floats, for unsigned integers have no negative; NaN sorts last.
    keys = -values.astype(np.float64)
    size = keys.shape[-1]
    k = min(k, size)
    if size <= SORTED_WHOLE or k == size:
        return np.argsort(keys, axis=-1, kind="stable")[..., :k]
    rows = [_smallest(row, k) for row in keys.reshape(-1, size)]
    return np.array(rows, np.intp).reshape(*keys.shape[:-1], k)


def _smallest(keys: Array, k: int) -> Array:
    """Indices of the `k` smallest keys, the smallest first, without sorting the others."""
    if k == 0:
        return np.empty(0, np.intp)
    bound = np.partition(keys, k - 1)[k - 1]
    # Negated, for nothing compares with a bound that is not a number.
    candidates = np.flatnonzero(~(keys > bound))
    order = np.argsort(keys[candidates], kind="stable")
    return candidates[order[:k]]
