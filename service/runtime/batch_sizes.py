"""Batch sizes for a GPU, which prepares for each input shape once and slowly: a batch is padded to
one of a few sizes.
"""

from collections.abc import Sequence

import numpy as np


def bucket_of(count: int, max_size: int) -> int:
    """The size that a batch of `count` is padded to: a power of two, or `max_size`.

    A batch larger than that stays as it is.
    """
    power_of_two = 1 << max(0, count - 1).bit_length()
    return max(count, min(power_of_two, max_size))


def buckets(max_size: int) -> tuple[int, ...]:
    """Every size that a batch of 1 to `max_size` is padded to."""
    return tuple(sorted({bucket_of(count, max_size) for count in range(1, max_size + 1)}))


def stacked(rows: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Arrays [n, ...] of one type as one array of `size` rows, with zeros after the last.

    They are copied once, and a single array of that size is not copied at all.
    """
    missing = size - sum(map(len, rows))
    if missing:
        padding = np.zeros((missing, *rows[0].shape[1:]), rows[0].dtype)
        return np.concatenate([*rows, padding])
    return rows[0] if len(rows) == 1 else np.concatenate(rows)
