"""Axis maps: which indices of its input one operator reads for each index of its output.

Padding is included: an index may lie outside the input.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.windows import Window

Indices = NDArray[np.int64]
Pairs = tuple[Indices, Indices]
"""Output indices and the input indices that they read, one entry a connection."""


class UnknownSizeError(ValueError):
    """A field asks for a size that the model leaves open; give the input's shape."""


class AxisMap(Hashable, Protocol):
    """How one operator reads one axis of its input for the indices of one axis of its output."""

    def through(self, inner: Window) -> Window | None:
        """The window of the output, given the input's; None where no closed form exists."""

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        """First and last index read by the outputs lo … hi as if nothing ended; `size` is that of
        the input axis.
        """

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        """Every connection inside a tensor of `outputs` by one of `inputs` indices; what is padding
        is left out.
        """


@dataclass(frozen=True)
class Taps:
    """Output i reads `i*stride + offset + dilation*t` for t in 0 … count-1: convolution, pool, pad,
    slice, broadcast.
    """

    stride: int = 1
    offset: int | None = 0
    dilation: int = 1
    count: int = 1

    def through(self, inner: Window) -> Window:
        reach = self.dilation * (self.count - 1) * inner.stride
        if self.offset is None or inner.lo is None:
            return Window(self.stride * inner.stride, None, inner.extent + abs(reach))
        lo = inner.lo + self.offset * inner.stride + min(reach, Fraction(0))
        return Window(self.stride * inner.stride, lo, inner.extent + abs(reach))

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        ends = self._known_offset() + np.stack([lo, hi]) * self.stride
        return ends.min(axis=0), ends.max(axis=0) + self.dilation * (self.count - 1)

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        units = np.arange(outputs)[:, None]
        read = units * self.stride + self._known_offset() + self.dilation * np.arange(self.count)
        return _inside(np.broadcast_to(units, read.shape), read, inputs)

    def _known_offset(self) -> int:
        if self.offset is None:
            raise UnknownSizeError("padding SAME depends on a size that the model leaves open")
        return self.offset


@dataclass(frozen=True)
class Scatter:
    """Transposed convolution: output j reads each i with `i*stride + dilation*t - padding = j` for
    some t in 0 … count-1.
    """

    stride: int
    padding: int | None
    dilation: int = 1
    count: int = 1

    def through(self, inner: Window) -> Window:
        step = inner.stride / self.stride
        reach = self.dilation * (self.count - 1) * step
        extent = inner.extent + reach
        if self.padding is None or inner.lo is None:
            return Window(step, None, extent)
        return Window(step, inner.lo + self.padding * step - reach, extent)

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        first = lo + self._known_padding() - self.dilation * (self.count - 1)
        return -(-first // self.stride), (hi + self._known_padding()) // self.stride

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        units = np.arange(inputs)[:, None]
        written = (
            units * self.stride - self._known_padding() + self.dilation * np.arange(self.count)
        )
        read, units = _inside(np.broadcast_to(units, written.shape), written, outputs)
        return units, read

    def _known_padding(self) -> int:
        if self.padding is None:
            raise UnknownSizeError("padding SAME depends on a size that the model leaves open")
        return self.padding


@dataclass(frozen=True)
class Blocks:
    """Output i reads input `i // size`: depth to space, and every resize by a whole factor without
    interpolation.
    """

    size: int

    def through(self, inner: Window) -> Window | None:
        return inner if self.size == 1 else None

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        return lo // self.size, hi // self.size

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        units = np.arange(outputs)
        return _inside(units, units // self.size, inputs)


@dataclass(frozen=True)
class Digit:
    """One of several axes that are written as one: output i reads `(i // repeat) % size`; None for
    an unknown size.
    """

    repeat: int | None
    size: int | None

    def through(self, inner: Window) -> Window | None:
        return None

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        repeat, count = self._known()
        first, last = lo // repeat, hi // repeat
        wraps = (last - first >= count) | (first % count > last % count)
        return np.where(wraps, 0, first % count), np.where(wraps, count - 1, last % count)

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        repeat, count = self._known()
        units = np.arange(outputs)
        return _inside(units, units // repeat % count, inputs)

    def _known(self) -> tuple[int, int]:
        if self.repeat is None or self.size is None:
            raise UnknownSizeError("axes are merged whose sizes the model leaves open")
        return self.repeat, self.size


@dataclass(frozen=True)
class ConcatInput:
    """One input of a concatenation along this axis: output i reads input `i - start`, if it lies in
    that input.
    """

    start: int
    first: bool
    last: bool

    def through(self, inner: Window) -> Window:
        return Taps(offset=-self.start).through(inner)

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        if size is None:
            raise UnknownSizeError(
                "a concatenation along this axis has a size that the model leaves open"
            )
        first, last = lo - self.start, hi - self.start
        if not self.first:
            first = np.maximum(first, 0)
        if not self.last:
            last = np.minimum(last, size - 1)
        return first, last

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        return Taps(offset=-self.start).pairs(outputs, inputs)


@dataclass(frozen=True)
class IndexTable:
    """Output i reads the input indices `rows[i]`: interpolation, reflection, a gather with constant
    indices.
    """

    rows: tuple[tuple[int, ...], ...]

    def through(self, inner: Window) -> Window | None:
        return None

    def span(self, lo: Indices, hi: Indices, size: int | None) -> tuple[Indices, Indices]:
        """Outputs beyond the ends of the table are as far beyond the input as they are beyond the
        table.
        """
        first, last = np.clip(lo, 0, len(self.rows) - 1), np.clip(hi, 0, len(self.rows) - 1)
        read = [
            list(chain.from_iterable(self.rows[start : stop + 1]))
            for start, stop in zip(first, last, strict=True)
        ]
        ends = np.array([(min(indices), max(indices)) for indices in read], np.int64)
        ends = ends.reshape(-1, 2)
        return ends[:, 0] + lo - first, ends[:, 1] + hi - last

    def pairs(self, outputs: int, inputs: int) -> Pairs:
        units = np.repeat(np.arange(len(self.rows)), [len(row) for row in self.rows])
        indices = np.fromiter(chain.from_iterable(self.rows), np.int64)
        return _inside(units, indices, inputs)


def _inside(units: Indices, read: Indices, size: int) -> Pairs:
    valid = (read >= 0) & (read < size)
    return units[valid], read[valid]
