"""Pictures: bytes in, upright 8-bit grey or RGB out, and from there the array that a network takes.

What a picture is, its content says, not its name. The header is read and the pixels are counted
before anything is decoded, and only the first frame ever is. Alpha is laid on white, deeper pixels
are scaled to 8 bits, CMYK is converted without a profile. Embedded colour profiles (ICC) and gamma
are ignored: networks are trained on pictures read that way. Pillow's process-wide pixel limit is
neither used nor touched; `Image.open` is avoided because it warns by that limit.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from anatomy.cards.card import ImageInput
from service.errors import BrokenPicture, EmptyBody, Impossible, TooManyPixels, UnsupportedPicture
from service.inputs.decode_plain import ORIENTATION, PLAIN, upright
from service.inputs.digit_frame import ContrastStretch, Foreground, factor_of, look, tones
from service.inputs.geometry import Geometry, frame, frame_of_ink

ACCEPTED = "JPEG, PNG, WebP, GIF, BMP or TIFF"
PHOTOMETRIC = 262
WHITE_IS_ZERO = 0


@dataclass(frozen=True)
class Format:
    """A picture format: its name, media type, first bytes, and Pillow's reader of its header."""

    name: str
    media_type: str
    signatures: tuple[bytes, ...]
    read: Callable[[BytesIO], ImageFile.ImageFile]


FORMATS = (
    Format("JPEG", "image/jpeg", (b"\xff\xd8\xff",), JpegImagePlugin.JpegImageFile),
    Format("PNG", "image/png", (b"\x89PNG\r\n\x1a\n",), PngImagePlugin.PngImageFile),
    Format("WebP", "image/webp", (b"RIFF",), WebPImagePlugin.WebPImageFile),
    Format("GIF", "image/gif", (b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    Format("BMP", "image/bmp", (b"BM",), BmpImagePlugin.BmpImageFile),
    Format(
        "TIFF",
        "image/tiff",
        (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        TiffImagePlugin.TiffImageFile,
    ),
)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the network is given, and how it lies in the picture."""

    array: np.ndarray[Any, np.dtype[np.uint8]]
    """uint8 [H, W, C]"""
    geometry: Geometry
    tones: ContrastStretch | None = None
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


def recognise(data: bytes) -> Format:
    """The format of these bytes by their signature.

    Raises EmptyBody for none and UnsupportedPicture for anything that is not an accepted picture
    format.
    """
    if not data:
        raise EmptyBody(f"the body is empty; post the bytes of a picture ({ACCEPTED})")
    for each in FORMATS:
        if data.startswith(each.signatures) and (each.name != "WebP" or data[8:12] == b"WEBP"):
            return each
    raise UnsupportedPicture(f"this is not a picture in an accepted format; post {ACCEPTED}")


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame as an upright 8-bit picture: mode L if it is grey, else RGB.

    Raises EmptyBody, UnsupportedPicture, TooManyPixels (before decoding) or BrokenPicture.
    """
    found = recognise(data)
    picture = _quickly(found, data, max_pixels)
    return _with_pillow(found, data, max_pixels) if picture is None else picture


def _quickly(found: Format, data: bytes, max_pixels: int) -> Image.Image | None:
    """A plain file's picture; None for any other, and for whatever is to be refused."""
    plain = PLAIN[found.name](data) if found.name in PLAIN else None
    if plain is None or plain.size[0] * plain.size[1] > max_pixels:
        return None
    try:
        picture = plain.pixels()
    except (OSError, ValueError):
        return None
    return upright(picture, plain.orientation)


def _with_pillow(found: Format, data: bytes, max_pixels: int) -> Image.Image:
    """A picture of any kind, or what is wrong with it."""
    if found.name == "WebP":
        # Its reader allocates the whole canvas when it is made.
        _count(_webp_size(data), max_pixels)
    with _reading(found):
        picture = found.read(BytesIO(data))
    _count(picture.size, max_pixels)
    with _reading(found):
        picture.load()
        plain = _plain(picture)
    return upright(plain, _orientation(picture))


def prepare(image: Image.Image, spec: ImageInput, like: Prepared | None = None) -> Prepared:
    """Crop and resize an upright picture by the card's rule: uint8 [H, W, C] and the box it was
    taken from.

    With `like`, in the frame and the tones of that one, which has the same size: where the card
    asks for ink, both are found by looking at every pixel. Raises Impossible for a picture without
    the ink that the rule `digit` needs.
    """
    image = _in_mode(image, spec.colour)
    sheet = None if like is not None else _sheet(image, spec)
    geometry = like.geometry if like is not None else _frame(image, spec, sheet)
    pixels = _resized(image, geometry, spec)
    toned = like.tones if like is not None else _tones(sheet, pixels, geometry, spec)
    if toned is not None:
        pixels = toned.applied(pixels[:, :, 0], *(axis.centres for axis in geometry.axes))[
            :, :, None
        ]
    return Prepared(_padded(pixels, geometry, spec), geometry, toned)


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
    """These pixels [h, w, C] in their place of the input, [H, W, C], the rest black."""
    if pixels.shape[:2] == spec.size:
        return pixels
    (top, bottom), (left, right) = geometry.inner
    array = np.zeros(spec.shape, np.uint8)
    array[top:bottom, left:right] = pixels
    return array


def _sheet(image: Image.Image, spec: ImageInput) -> Foreground | None:
    """The picture as ink on paper, where the card asks for that."""
    if spec.polarity == "as_is" and spec.resize.rule != "digit":
        return None
    factor = factor_of(image.height, image.width)
    return look(np.asarray(image if factor == 1 else image.reduce(factor)), factor, spec.polarity)


def _frame(image: Image.Image, spec: ImageInput, sheet: Foreground | None) -> Geometry:
    size = (image.height, image.width)
    if spec.resize.rule != "digit":
        return frame(size, spec)
    if sheet is None or sheet.ink is None:
        raise Impossible(
            "no ink is to be seen in the picture: nothing stands out from its border; post one "
            "digit on plain paper"
        )
    return frame_of_ink(size, sheet.ink, spec)


def _tones(
    sheet: Foreground | None, pixels: np.ndarray[Any, Any], geometry: Geometry, spec: ImageInput
) -> ContrastStretch | None:
    if sheet is None or spec.polarity == "as_is":
        return None
    return tones(sheet, pixels[:, :, 0], *(axis.centres for axis in geometry.axes))


@contextmanager
def _reading(found: Format) -> Iterator[None]:
    """Whatever the reader of a file raises, the file is to blame: readers fail in a dozen ways on
    bad data.
    """
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels("the picture has too many pixels; make it smaller") from error
    except MemoryError:
        raise
    except Exception as error:
        raise BrokenPicture(
            f"the {found.name} picture cannot be decoded: it is truncated, corrupt or of a rare "
            "kind; "
            "save it again as JPEG or PNG"
        ) from error


def _count(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"the picture has {width} x {height} = {width * height} pixels, more than the "
            f"{max_pixels} allowed; "
            "make it smaller"
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height from the first chunk (RFC 9649); 0, 0 where there is none, for the reader to
    refuse.
    """
    kind, head = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(
            head[8:10], "little"
        ) & 0x3FFF
    return 0, 0


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture itself where it is in this mode, for a conversion would copy it."""
    return image if image.mode == mode else image.convert(mode)


def _orientation(picture: ImageFile.ImageFile) -> int:
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


def _plain(picture: ImageFile.ImageFile) -> Image.Image:
    """Any mode as L or RGB, without alpha."""
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return _narrowed(picture)
    if picture.mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
        # Pillow takes every CMYK JPEG for one of Adobe's, whose inks are inverted.
        return ImageChops.invert(picture).convert("RGB")
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        return _on_white(picture.convert("LA" if grey else "RGBA"))
    return _in_mode(picture, "L" if grey else "RGB")


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
