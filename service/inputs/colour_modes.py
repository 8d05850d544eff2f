"""Pictures of any of Pillow's modes as 8-bit grey or RGB without alpha."""

from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageFile, TiffImagePlugin

PHOTOMETRIC = 262
WHITE_IS_ZERO = 0


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture itself where it is in this mode, for a conversion would copy it."""
    return image if image.mode == mode else image.convert(mode)


def to_8_bit(picture: ImageFile.ImageFile) -> Image.Image:
    """Any mode as L or RGB, without alpha."""
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return _narrowed(picture)
    if picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
        # Pillow takes every CMYK JPEG for one of Adobe's, whose inks are inverted.
        return ImageChops.invert(picture).convert("RGB")
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        return _on_white(picture.convert("LA" if grey else "RGBA"))
    return in_mode(picture, "L" if grey else "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    mode = "L" if image.mode == "LA" else "RGB"
    page = Image.new(mode, image.size, "white")
    page.paste(image.convert(mode), mask=image.getchannel("A"))
    return page


def _narrowed(picture: ImageFile.ImageFile) -> Image.Image:
    """Grey of 16 bits, 32 bits or floats, as 8 bits.

    Integers are 0 ... 65535 (what is beyond is clipped). Floats are 0 ... 1; a picture with larger
    values is taken as 0 ... 255, or 0 ... 65535, or up to its own maximum; what is not a number is
    black.
    """
    values = np.asarray(picture)
    grey = _bytes_of_floats(values) if picture.mode == "F" else _bytes_of_integers(values)
    if (
        isinstance(picture, TiffImagePlugin.TiffImageFile)
        and picture.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    ):
        grey = 255 - grey
    if isinstance(key := picture.info.get("transparency"), int):
        grey = np.where(values == key, np.uint8(255), grey)
    return Image.fromarray(grey)


def _bytes_of_integers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    table: np.ndarray[Any, Any] = (np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535
    grey: np.ndarray[Any, Any] = table.astype(np.uint8)[np.clip(values, 0, 65535)]
    return grey


def _bytes_of_floats(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max())
    white = next((top for top in (1.0, 255.0, 65535.0) if largest <= top), largest)
    return np.rint(np.clip(values / white, 0, 1) * 255).astype(np.uint8)
