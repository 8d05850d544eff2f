"""Turning a picture upright, as its EXIF orientation asks for."""

import struct
from collections.abc import Mapping

from PIL import Image, ImageFile

ORIENTATION = 0x0112

UPRIGHT: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(picture: ImageFile.ImageFile) -> int:
    """The EXIF orientation; 1 (upright) where the EXIF data is absent or unreadable, as every
    viewer has it.
    """
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
    ):
        return 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned as its EXIF orientation asks for, where that is one that exists."""
    turn = UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)
