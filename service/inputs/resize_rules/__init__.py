"""Resize rules by the names that cards give them.

A rule answers for a picture with a `Geometry`: which rectangle of the picture is used, which input
pixels are made of it and by which kernel, and so also the way back from positions of the input to
pixels of the picture. A new rule is a module here and a row of `RULES`.
"""

from collections.abc import Callable, Mapping

from anatomy.cards.card import ImageInput
from service.inputs.geometry import Geometry
from service.inputs.resize_rules import centre_crop, digit, pad, stretch
from service.inputs.source_image import SourceImage

ResizeRule = Callable[[SourceImage, ImageInput], Geometry]

RULES: Mapping[str, ResizeRule] = {
    "centre_crop": centre_crop.frame,
    "stretch": stretch.frame,
    "pad": pad.frame,
    "digit": digit.frame,
}


def frame(source: SourceImage, spec: ImageInput) -> Geometry:
    """The geometry that the card's resize rule gives this picture."""
    return RULES[spec.resize.rule](source, spec)
