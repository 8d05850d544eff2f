"""The IDX format of the MNIST files, plain or gzipped.

Two zero bytes, the type, the number of axes, their sizes, the numbers.
"""

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from model_build.datasets.split import DataError

_GZIP = b"\x1f\x8b"
_UBYTE = 8
LARGEST = 1 << 28
"""Bytes unpacked, five times the largest file of MNIST: a small file may claim anything."""


def unpacked(data: bytes, name: str) -> bytes:
    """The bytes of an IDX file, whether gzipped or not.

    Raises DataError for a broken or immense gzip stream.
    """
    if not data.startswith(_GZIP):
        return data
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = stream.decompress(data, LARGEST + 1)
    except zlib.error as error:
        raise DataError(f"{name} is corrupt: {error}") from None
    if len(content) > LARGEST:
        raise DataError(f"{name} unpacks to more than {LARGEST >> 20} MiB")
    if not stream.eof:
        raise DataError(f"{name} is truncated: its gzip stream breaks off")
    if stream.unused_data:
        raise DataError(f"{name} goes on after its gzip stream")
    return content


def parsed(content: bytes, name: str, axes: int) -> NDArray[np.uint8]:
    """The array of `axes` axes in the bytes of an unpacked IDX file.

    Raises DataError for anything else.
    """
    header = 4 + 4 * axes
    magic = int.from_bytes(content[:4], "big")
    expected = _UBYTE << 8 | axes
    if len(content) < header:
        raise DataError(
            f"{name} is truncated: {len(content)} bytes, its header alone takes {header}"
        )
    if magic != expected:
        raise DataError(
            f"{name} has magic {magic:#010x}, expected {expected:#010x}: bytes on {axes} axes"
        )
    starts = range(4, header, 4)
    shape = [int.from_bytes(content[start : start + 4], "big") for start in starts]
    expected_size, size = math.prod(shape), len(content) - header
    if size != expected_size:
        state = "is truncated" if size < expected_size else "goes on after its last number"
        raise DataError(
            f"{name} {state}: {size} bytes of data, its sizes {shape} take {expected_size}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
