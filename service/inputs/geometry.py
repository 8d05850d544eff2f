"""Where the network's input lies in the picture, and which pixels of the picture each of its pixels
is made of.

The input as a whole is a box of the upright picture with real-valued edges; along each axis input
pixel i covers `start + i * scale ... start + (i + 1) * scale`. Resampling reads beyond that: pixel
i is a weighted sum over `centre ± support * max(scale, 1)`, and it is this window that
`picture_rect` answers with, so that no picture pixel outside the rectangle has any influence.
Pillow is the reference for every rounding here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from anatomy.cards.card import ImageInput

Interval = tuple[int, int]
SUPPORT = {"nearest": 0.0, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}


@dataclass(frozen=True)
class Axis:
    """One axis: `length` picture pixels, of which start ... stop become the input pixels `inner` of
    `size`.
    """

    length: int
    size: int
    start: float
    stop: float
    inner: Interval
    support: float

    @cached_property
    def scale(self) -> float:
        """Picture pixels per input pixel."""
        return single_precision(self.stop - self.start) / (self.inner[1] - self.inner[0])

    @property
    def ends(self) -> tuple[float, float]:
        """Where the whole input, padding included, would lie in the picture."""
        first, stop = self.inner[0], self.size - self.inner[0]
        return self.start - first * self.scale, self.start + stop * self.scale

    def seen(self, interval: Sequence[int]) -> Interval:
        """The picture pixels from which these input pixels are made; (0, 0) for none, or for
        padding only.
        """
        first, stop = max(interval[0], self.inner[0]), min(interval[1], self.inner[1])
        if first >= stop:
            return 0, 0
        return self._window(first)[0], self._window(stop - 1)[1]

    @cached_property
    def centres(self) -> "np.ndarray[Any, Any]":
        """Where in the picture the centres of the inner input pixels lie."""
        return self.start + (np.arange(self.inner[1] - self.inner[0]) + 0.5) * self.scale

    def _window(self, index: int) -> Interval:
        centre = self.start + (index - self.inner[0] + 0.5) * self.scale
        aligned = self.scale == 1 and self.start.is_integer()
        if self.support == 0 or aligned:
            # Every kernel is zero at the whole numbers, so aligned pixels are copied.
            return self._clip(math.floor(centre), math.floor(centre) + 1)
        reach = self.support * max(self.scale, 1.0)
        return self._clip(math.floor(centre - reach + 0.5), math.floor(centre + reach + 0.5))

    def _clip(self, start: int, stop: int) -> Interval:
        start = min(max(start, 0), self.length - 1)
        return start, max(min(stop, self.length), start + 1)


@dataclass(frozen=True)
class Geometry:
    """How a picture became an input: one `Axis` each for height and width."""

    axes: tuple[Axis, Axis]

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        return self.axes[0].length, self.axes[1].length

    @property
    def inner(self) -> tuple[Interval, Interval]:
        """The part of the input that the picture fills, rows then columns; the rest is black."""
        return self.axes[0].inner, self.axes[1].inner

    @property
    def crop(self) -> tuple[float, float, float, float]:
        """The part of the picture that is used: x0, y0, x1, y1."""
        rows, columns = self.axes
        return columns.start, rows.start, columns.stop, rows.stop

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The whole input in the picture's pixels: x0, y0, x1, y1.

        It reaches beyond the picture where the input is padded.
        """
        (y0, y1), (x0, x1) = self.axes[0].ends, self.axes[1].ends
        return x0, y0, x1, y1


def picture_rect(
    geometry: Geometry, interval: Sequence[Sequence[int]]
) -> tuple[Interval, Interval]:
    """The rectangle of the upright picture from which a rectangle of the input is made.

    `interval` is half-open per axis, rows then columns, in input pixels, and so is the answer,
    ((y0, y1), (x0, x1)) in picture pixels, within the picture; ((0, 0), (0, 0)) if the interval is
    empty or sees nothing but padding.
    """
    (row_axis, column_axis), (row_interval, column_interval) = geometry.axes, interval
    rows, columns = row_axis.seen(row_interval), column_axis.seen(column_interval)
    return (rows, columns) if rows[1] and columns[1] else ((0, 0), (0, 0))


def centred(
    picture_size: tuple[int, int],
    spec: ImageInput,
    span: tuple[float, float],
    filled: tuple[float, float],
) -> Geometry:
    """The middle `span` of the picture onto the middle `filled` of the input, both (h, w)."""
    support = SUPPORT[spec.resize.interpolation]
    rows, columns = (
        _centred_axis(picture_size[axis], spec.size[axis], span[axis], filled[axis], support)
        for axis in (0, 1)
    )
    return Geometry((rows, columns))


def _centred_axis(length: int, size: int, span: float, filled: float, support: float) -> Axis:
    """The middle `span` of the picture's axis onto the middle `filled` of the input's."""
    count = max(1, round(filled))
    first = (size - count) // 2
    start = single_precision((length - span) / 2)
    stop = min(single_precision((length + span) / 2), float(length))
    return Axis(length, size, start, stop, (first, first + count), support)


def single_precision(value: float) -> float:
    """Rounded as Pillow does: it keeps a box in single precision."""
    return float(np.float32(value))
