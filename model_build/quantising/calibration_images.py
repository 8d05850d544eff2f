"""Photographs from a folder as a network takes them: opened, turned upright, cropped and resized by
the card's rule.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from anatomy.cards.card import ImageInput

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
Pixels = NDArray[np.uint8]


class PictureError(Exception):
    """A picture or a folder of pictures cannot be used; the message names it."""


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder and its sub-folders that are named like pictures, in the order of their
    paths.
    """
    if not folder.is_dir():
        raise PictureError(f"{folder} is no folder of pictures")
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )


def prepared(paths: Sequence[Path], spec: ImageInput) -> Pixels:
    """What the network is given of these pictures, uint8 [N, H, W, C]; raises PictureError.

    Where a digit is to be cut out of its paper, the service has the only code that does it.
    """
    if spec.resize.rule == "digit" or spec.polarity != "as_is":
        raise PictureError(
            "the card asks for ink to be found on paper, which is not done of pictures in a folder"
        )
    return np.stack([_prepared(path, spec) for path in paths])


def _prepared(path: Path, spec: ImageInput) -> Pixels:
    try:
        with Image.open(path) as file:
            if file.mode.startswith(("I", "F")):
                raise PictureError(
                    f"{path} has more than 8 bits a pixel; save it with 8, as RGB or grey"
                )
            plain = _on_white(ImageOps.exif_transpose(file)).convert(spec.colour)
    # Readers of pictures fail in a dozen ways on bad data.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise PictureError(f"{path} cannot be read as a picture") from None
    return _fitted(plain, spec)


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    clear = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _fitted(picture: Image.Image, spec: ImageInput) -> Pixels:
    """The part of the picture that the rule asks for, in its place of the input; the rest is black."""
    lengths = (picture.height, picture.width)
    ratios = [length / size for length, size in zip(lengths, spec.size, strict=True)]
    crop, places = [], []
    for length, size in zip(lengths, spec.size, strict=True):
        span, filled = float(length), size
        if spec.resize.rule == "centre_crop":
            span = size * min(ratios) * spec.resize.fraction
        elif spec.resize.rule == "pad":
            filled = max(1, round(length / max(ratios)))
        start = max(_single((length - span) / 2), 0.0)
        crop.append((start, min(_single((length + span) / 2), float(length))))
        first = (size - filled) // 2
        places.append(slice(first, first + filled))
    (top, bottom), (left, right) = crop
    height, width = (place.stop - place.start for place in places)
    filter_ = Image.Resampling[spec.resize.interpolation.upper()]
    resized = picture.resize((width, height), filter_, (left, top, right, bottom))
    array = np.zeros(spec.shape, np.uint8)
    array[places[0], places[1]] = np.asarray(resized).reshape(height, width, spec.channels)
    return array


def _single(value: float) -> float:
    """As Pillow keeps a box: in single precision."""
    return float(np.float32(value))
