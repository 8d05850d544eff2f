"""Images from a folder as a network takes them.

Opened, turned upright, cropped and resized by the card's rule.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anatomy.cards.card import ImageInput

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
Pixels = NDArray[np.uint8]


class ImageError(Exception):
    """An image or a folder of images cannot be used; the message names it."""


def images_in(folder: Path) -> list[Path]:
    """Files of a folder and its sub-folders that are named like images, in the order of paths."""
    if not folder.is_dir():
        raise ImageError(f"{folder} is no folder of pictures")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES)


def prepared(paths: Sequence[Path], spec: ImageInput) -> Pixels:
    """These images as the network takes them, uint8 [N, H, W, C]; raises ImageError.

    Where a digit is to be cut out of its paper, the service has the only code that does it.
    """
    if spec.resize.rule == "digit" or spec.polarity != "as_is":
        raise ImageError(
            "the card asks for ink to be found on paper, which is not done of pictures in a folder"
        )
    return np.stack([_prepared(path, spec) for path in paths])


def _prepared(path: Path, spec: ImageInput) -> Pixels:
    try:
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                raise ImageError(
                    f"{path} has more than 8 bits a pixel; save it with 8, as RGB or grey"
                )
            plain = _on_white(ImageOps.exif_transpose(file)).convert(spec.colour)
    # Readers of pictures fail in a dozen ways on bad data.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ImageError(f"{path} cannot be read as a picture") from None
    return _fitted(plain, spec)


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    transparent = image.convert("RGBA")
    white = Image.new("RGBA", transparent.size, "white")
    return Image.alpha_composite(white, transparent).convert("RGB")


class Span(NamedTuple):
    """Along one axis: from where to where the image is read, and which pixels it fills."""

    start: float
    stop: float
    pixels: slice


def _fitted(image: Image.Image, spec: ImageInput) -> Pixels:
    """The input's array of an image, by the card's rule; where there is no image it is black."""
    vertical, horizontal = _spans((image.height, image.width), spec)
    height, width = (span.pixels.stop - span.pixels.start for span in (vertical, horizontal))
    resized = image.resize(
        (width, height),
        Image.Resampling[spec.resize.interpolation.upper()],
        (horizontal.start, vertical.start, horizontal.stop, vertical.stop),
    )
    array = np.zeros(spec.shape, np.uint8)
    array[vertical.pixels, horizontal.pixels] = np.asarray(resized).reshape(
        height, width, spec.channels
    )
    return array


def _spans(lengths: tuple[int, int], spec: ImageInput) -> list[Span]:
    """What is read of an image of these lengths, by axis."""
    ratios = [length / size for length, size in zip(lengths, spec.size, strict=True)]
    spans = []
    for length, size in zip(lengths, spec.size, strict=True):
        extent, filled = float(length), size
        if spec.resize.rule == "centre_crop":
            extent = size * min(ratios) * spec.resize.fraction
        elif spec.resize.rule == "pad":
            filled = max(1, round(length / max(ratios)))
        start = max(_single((length - extent) / 2), 0.0)
        stop = min(_single((length + extent) / 2), float(length))
        first = (size - filled) // 2
        spans.append(Span(start, stop, slice(first, first + filled)))
    return spans


def _single(value: float) -> float:
    """As Pillow keeps a box: in single precision."""
    return float(np.float32(value))
