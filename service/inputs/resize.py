"""From an upright picture to the array that a network takes: framed by the card's resize rule,
resampled, its contrast stretched where the card names a polarity, and padded.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from anatomy.cards.card import ImageInput
from service.inputs.colour_modes import in_mode
from service.inputs.contrast_stretch import ContrastStretch, contrast_stretch
from service.inputs.geometry import Geometry
from service.inputs.resize_rules import frame
from service.inputs.source_image import SourceImage


@dataclass(frozen=True, eq=False)
class ResizedImage:
    """What the network is given, and how it lies in the picture."""

    array: np.ndarray[Any, np.dtype[np.uint8]]
    """uint8 [H, W, C]"""
    geometry: Geometry
    stretch: ContrastStretch | None = None
    """How grey levels became ink; None where they are as they were."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the whole network input in the upright picture; beyond the picture
        where padded.
        """
        return self.geometry.box

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width of the upright picture."""
        return self.geometry.picture_size


def prepare(image: Image.Image, spec: ImageInput, like: ResizedImage | None = None) -> ResizedImage:
    """Crop and resize an upright picture by the card's rule: uint8 [H, W, C] and the box it was
    taken from.

    With `like`, in the frame and the contrast of that one, which has the same size: a rule or a
    polarity may find them by looking at every pixel. Raises Impossible for a picture that the rule
    cannot frame.
    """
    source = SourceImage(in_mode(image, spec.colour), spec.polarity)
    geometry = frame(source, spec) if like is None else like.geometry
    pixels = _resized(source.image, geometry, spec)
    stretch = _stretch(source, pixels, geometry) if like is None else like.stretch
    if stretch is not None:
        rows, columns = (axis.centres for axis in geometry.axes)
        pixels = stretch.applied(pixels[:, :, 0], rows, columns)[:, :, None]
    return ResizedImage(_padded(pixels, geometry, spec), geometry, stretch)


def _resized(image: Image.Image, geometry: Geometry, spec: ImageInput) -> np.ndarray[Any, Any]:
    """The part of the picture that is used, in the size that it fills: uint8 [h, w, C]."""
    (top, bottom), (left, right) = geometry.inner
    size = (right - left, bottom - top)
    if image.size != size or geometry.crop != (0, 0, *size):
        image = image.resize(
            size, Image.Resampling[spec.resize.interpolation.upper()], geometry.crop
        )
    shape = (bottom - top, right - left, spec.channels)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)


def _padded(
    pixels: np.ndarray[Any, Any], geometry: Geometry, spec: ImageInput
) -> np.ndarray[Any, Any]:
    """These pixels [h, w, C] where they lie in the input, [H, W, C], the rest black."""
    if pixels.shape[:2] == spec.size:
        return pixels
    (top, bottom), (left, right) = geometry.inner
    array = np.zeros(spec.shape, np.uint8)
    array[top:bottom, left:right] = pixels
    return array


def _stretch(
    source: SourceImage, pixels: np.ndarray[Any, Any], geometry: Geometry
) -> ContrastStretch | None:
    if source.polarity == "as_is":
        return None
    rows, columns = (axis.centres for axis in geometry.axes)
    return contrast_stretch(source.foreground, pixels[:, :, 0], rows, columns)
