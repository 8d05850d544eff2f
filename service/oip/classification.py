"""The classification extension: of each item the largest values, as texts `value:index` or
`value:index:label`.
"""

from collections.abc import Sequence

import numpy as np

from service.errors import Impossible
from service.inference.top_k import top_k
from service.oip.datatypes import Array


def classify(array: Array, count: int, labels: Sequence[str], batched: bool) -> Array:
    """Texts [items, count], the largest first, the first of equals first; [count] without a batch
    axis.

    Values are written so that they read back exactly. Where there are fewer, all are given. Raises
    Impossible for an output that holds no numbers.
    """
    if array.dtype.kind not in "biuf":
        raise Impossible("an output that holds no numbers has no classes")
    rows = array.reshape(len(array), -1) if batched and array.ndim else array.reshape(1, -1)
    order = top_k(rows, count)
    named = labels if len(labels) == rows.shape[1] else ()
    texts = [
        [_text(row[index], int(index), named) for index in best]
        for row, best in zip(rows, order, strict=True)
    ]
    items = np.array(texts, object).reshape(order.shape)
    return items if batched and array.ndim else items[0]


def _text(value: np.generic, index: int, labels: Sequence[str]) -> str:
    return f"{value!s}:{index}" + (f":{labels[index]}" if labels else "")
