"""Arrays as pictures: sheets of feature maps and of kernels, as PNG.

Feature maps are grey, each scaled for itself: its minimum is black, its maximum white, a constant
map black. Kernels are scaled about zero, which is mid-grey, by the largest weight of their output
channel; those of three input channels are shown in colour. What is not a number is shown as zero.
"""

import io
import math
from typing import Any

import numpy as np
from PIL import Image

from service.errors import Impossible

Array = np.ndarray[Any, Any]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

SMALLEST_TILE = 48
STRIP = 8
GAP = 2
GAP_GREY = 64
MAX_PIXELS = 40_000_000


def as_picture(array: Bytes) -> bytes:
    """A PNG of uint8 pixels [H, W], [H, W, 1] or [H, W, 3]."""
    pixels = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def feature_maps(maps: Array) -> bytes:
    """A sheet of maps [channels, *map] of any rank; raises Impossible if it would be too large.

    1-D maps are strips, the slices of 3-D maps lie side by side, and channels without a map make
    one strip together.
    """
    tiles = _planes(_finite(maps if maps.ndim > 1 else maps[None]), leading=1)
    low = tiles.min(axis=(1, 2), keepdims=True, initial=np.inf)
    span = tiles.max(axis=(1, 2), keepdims=True, initial=-np.inf) - low
    return _sheet(_to_bytes((tiles - low) / np.where(span > 0, span, 1)), columns=None)


def kernels(weights: Array) -> bytes:
    """A sheet of kernels [out, in, *kernel]: a tile for each output where they are colours, else a
    row of tiles.

    Weights without a kernel, [out, in], are one tile. Raises Impossible if the sheet would be too
    large.
    """
    values = _finite(weights if weights.ndim > 2 else weights[None, None])
    top = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True, initial=0)
    levels = 0.5 + values / np.where(top > 0, 2 * top, 1)
    if weights.ndim == 4 and weights.shape[1] == 3:
        return _sheet(_to_bytes(levels.transpose(0, 2, 3, 1)), columns=None)
    planes = _planes(levels, leading=2)
    columns = None if planes.shape[1] == 1 else planes.shape[1]
    return _sheet(_to_bytes(planes.reshape(-1, *planes.shape[2:])), columns)


def _finite(values: Array) -> Array:
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _to_bytes(levels: Array) -> Bytes:
    rounded: Bytes = np.rint(levels * 255).astype(np.uint8)
    return rounded


def _planes(values: Array, leading: int) -> Array:
    """The axes after the leading ones as rows and columns; slices of volumes lie side by side."""
    head, rest = values.shape[:leading], values.shape[leading:]
    if len(rest) == 2:
        return values
    if len(rest) < 2:
        return values.reshape(*head, 1, -1)
    sliced = values.reshape(*head, -1, *rest[-2:])
    return np.moveaxis(sliced, leading, leading + 1).reshape(*head, rest[-2], -1)


def _sheet(tiles: Bytes, columns: int | None) -> bytes:
    """Tiles [N, h, w] or [N, h, w, 3], enlarged to be seen, row by row; about as wide as high
    unless `columns` says.
    """
    count, height, width = tiles.shape[:3]
    if not tiles.size:
        raise Impossible("there is nothing to show: the tensor is empty")
    zoom = max(1, math.ceil(SMALLEST_TILE / max(height, width)))
    # A signal is one row: it is made high enough to be seen.
    upright = max(zoom, STRIP) if height == 1 else zoom
    tall, wide = height * upright + GAP, width * zoom + GAP
    columns = columns or min(count, math.ceil(math.sqrt(count * tall / wide)))
    rows = math.ceil(count / columns)
    if rows * tall * columns * wide > MAX_PIXELS:
        raise Impossible(
            f"a sheet of {count} tiles would have {columns * wide} x {rows * tall} pixels; "
            "ask for fewer channels, or for application/x-npy"
        )
    sheet = np.full((rows * tall + GAP, columns * wide + GAP, *tiles.shape[3:]), GAP_GREY, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = GAP + number // columns * tall, GAP + number % columns * wide
        sheet[top : top + tall - GAP, left : left + wide - GAP] = tile.repeat(
            upright, axis=0
        ).repeat(zoom, axis=1)
    return as_picture(sheet)
