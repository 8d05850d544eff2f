"""The protocol's datatypes and numpy's: a tensor's bytes and JSON numbers to an array, and back.

In bytes a tensor is little-endian and row-major without padding, and a BOOL is one byte, 0 or 1;
BYTES are `elements.py`'s. In JSON its numbers are a flat list or nested as its shape says.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from service.errors import InvalidRequest

Array = np.ndarray[Any, Any]

BYTES = "BYTES"
TYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = (*TYPES, BYTES)
_NAMES = {dtype.newbyteorder("="): name for name, dtype in TYPES.items()}
_OF_JSON: dict[str, frozenset[type]] = {
    "b": frozenset((bool,)),
    "i": frozenset((int,)),
    "u": frozenset((int,)),
    "f": frozenset((int, float)),
}
_SAID = {"b": "true and false", "i": "whole numbers", "u": "whole numbers", "f": "numbers"}
# Of numpy, and more than any network has.
MOST_AXES = 64


def datatype_of(dtype: "np.dtype[Any] | None") -> str | None:
    """The protocol's name of an array's type; None for a type that it does not have."""
    if dtype is None:
        return None
    return BYTES if dtype.kind in "OSUT" else _NAMES.get(dtype.newbyteorder("="))


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Array:
    """The tensor in these bytes, which it may share; raises InvalidRequest if they are not exactly
    its own.
    """
    dtype = TYPES[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise InvalidRequest(
            f"unexpected size for input '{name}', {datatype} of shape {list(shape)}: expecting "
            f"{expected} bytes, "
            f"got {len(data)}"
        )
    if datatype == "BOOL":
        flags = np.frombuffer(data, np.uint8)
        if flags.size and flags.max() > 1:
            raise InvalidRequest(
                f"input '{name}' is BOOL, whose bytes are 0 or 1; got {flags.max()}"
            )
    array = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)
    # Behind a document of any length, numbers may lie where no processor would put them.
    return np.require(array, requirements="A").reshape(tuple(shape))


def to_bytes(array: Array) -> bytes:
    """The bytes of a tensor that is none of BYTES."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def from_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> Array:
    """The tensor of these numbers; raises InvalidRequest for a wrong count, nesting or type."""
    dtype = TYPES[datatype]
    items = flat(name, shape, data)
    if set(map(type, items)) - _OF_JSON[dtype.kind]:
        raise InvalidRequest(
            f"input '{name}' is {datatype}: its data must hold {_SAID[dtype.kind]} only"
        )
    try:
        with np.errstate(over="ignore"):
            array = np.array(items, dtype.newbyteorder("="))
    except OverflowError:
        raise InvalidRequest(
            f"a number of input '{name}' is out of the range of {datatype}"
        ) from None
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidRequest(f"a number of input '{name}' is out of the range of {datatype}")
    return array.reshape(tuple(shape))


def flat(name: str, shape: Sequence[int], data: Any) -> list[Any]:
    """The elements of a list that is flat or nested as the shape says; raises InvalidRequest for
    any other.
    """
    if not isinstance(data, list):
        raise InvalidRequest(f"the data of input '{name}' must be a list")
    sizes, items = [len(data)], data
    while items and isinstance(items[0], list):
        lengths = set(map(len, items)) if set(map(type, items)) == {list} else set()
        if len(lengths) != 1:
            raise InvalidRequest(
                f"the data of input '{name}' is ragged: lists side by side must be equally long"
            )
        sizes.append(lengths.pop())
        items = list(chain.from_iterable(items))
        if len(sizes) > MOST_AXES:
            raise InvalidRequest(
                f"the data of input '{name}' is nested deeper than the {MOST_AXES} axes of a tensor"
            )
    if len(sizes) > 1 and not _nested_as(sizes, shape):
        raise InvalidRequest(
            f"the data of input '{name}' is nested as {sizes}, its shape is {list(shape)}"
        )
    if len(items) != math.prod(shape):
        raise InvalidRequest(
            f"input '{name}' has {len(items)} elements in data, its shape {list(shape)} has "
            f"{math.prod(shape)}"
        )
    return items


def _nested_as(sizes: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether lists of these sizes are the shape; behind an empty one nothing can be seen."""
    return list(sizes) == list(shape) or (
        sizes[-1] == 0 and list(sizes) == list(shape[: len(sizes)])
    )
