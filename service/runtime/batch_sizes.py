"""Sizes of batches. A GPU prepares for each shape once, which takes long: so it is given few, and
padding.
"""

from collections.abc import Sequence

import numpy as np


def bucket_of(count: int, most: int) -> int:
    """The size that a batch of `count` is padded to: a power of two, or `most`; one that is larger
    stays as it is.
    """
    return max(count, min(1 << max(0, count - 1).bit_length(), most))


def buckets(most: int) -> tuple[int, ...]:
    """Every size that a batch of 1 to `most` is padded to."""
    return tuple(sorted({bucket_of(count, most) for count in range(1, most + 1)}))


def stacked(rows: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Arrays [n, ...] of one type as one of `size` rows, zeros after them; copied once, and not at
    all if it is one.
    """
    missing = size - sum(map(len, rows))
    if missing:
        return np.concatenate([*rows, np.zeros((missing, *rows[0].shape[1:]), rows[0].dtype)])
    return rows[0] if len(rows) == 1 else np.concatenate(rows)
