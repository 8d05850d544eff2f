"""Arithmetic of receptive fields along one axis.

A `Window` says in closed form what unit i of a tensor sees of an input: `i*stride + lo … i*stride +
hi` (Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019, where r = hi - lo + 1, S = stride, P = -lo).
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Window:
    """Unit i sees `i*stride + lo … i*stride + hi` of the input; `lo` is None where the padding
    depends on an unknown size.
    """

    stride: Fraction
    lo: Fraction | None
    extent: Fraction
    """hi - lo: the field's size less one."""

    @property
    def centre(self) -> Fraction | None:
        """What the middle of unit 0's field is, in input indices."""
        return None if self.lo is None else self.lo + self.extent / 2


IDENTITY = Window(Fraction(1), Fraction(0), Fraction(0))


def hull(first: Window, second: Window) -> Window:
    """The smallest window that holds both; their strides must be equal."""
    if first.lo is None or second.lo is None:
        return Window(first.stride, None, max(first.extent, second.extent))
    lo = min(first.lo, second.lo)
    return Window(first.stride, lo, max(first.lo + first.extent, second.lo + second.extent) - lo)
