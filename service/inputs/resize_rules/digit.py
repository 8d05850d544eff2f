"""The ink alone, as MNIST has it: its bounding box fills the rule's, its mass is centred.

The frame depends on every pixel: a pixel far away that becomes ink moves it. So the rectangle that
`picture_rect` answers with says which pixels an input pixel is made of within the frame that the
picture has.
"""

import math

from anatomy.cards.card import ImageInput
from service.errors import Impossible
from service.inputs.foreground import Ink
from service.inputs.geometry import SUPPORT, Axis, Geometry, single_precision
from service.inputs.source_image import SourceImage


def frame(source: SourceImage, spec: ImageInput) -> Geometry:
    """Find the ink and put the frame around it; raises Impossible where there is none."""
    ink = source.foreground.ink
    if ink is None:
        raise Impossible(
            "no ink is to be seen in the picture: nothing stands out from its border; post one "
            "digit on plain paper"
        )
    return _frame_of_ink(source.size, ink, spec)


def _frame_of_ink(picture_size: tuple[int, int], ink: Ink, spec: ImageInput) -> Geometry:
    """The ink's box into the rule's, its centre of mass into the middle."""
    extent = max(stop - start for start, stop in ink.box)
    scale = extent / (spec.resize.box or max(spec.size))
    support = SUPPORT[spec.resize.interpolation]
    rows, columns = (
        _axis_of_ink(length, size, span, mass, scale, support)
        for length, size, span, mass in zip(picture_size, spec.size, ink.box, ink.mass, strict=True)
    )
    return Geometry((rows, columns))


def _axis_of_ink(
    length: int, size: int, span: tuple[float, float], mass: float, scale: float, support: float
) -> Axis:
    """Whole input pixels onto the ink and as little paper beside it as the aspect asks for, if
    there is any.

    The mass comes into pixel `size // 2`, anywhere in it: so it lies in every one of MNIST's
    pictures.
    """
    extent = span[1] - span[0]
    count = max(1, math.ceil(extent / scale - 1e-6))
    margin = (count * scale - extent) / 2
    start = max(single_precision(span[0] - margin), 0.0)
    stop = min(single_precision(span[1] + margin), float(length))
    centre = (mass - start) * count / (stop - start)
    # As for the count: what lies on a whole pixel but for rounding lies on it.
    first = min(max(math.ceil(size // 2 - centre - 1e-6), 0), size - count)
    return Axis(length, size, start, stop, (first, first + count), support)
