"""Pictures: bytes in, upright 8-bit grey or RGB out.

The header is read and the pixels are counted before anything is decoded, and only the first frame
ever is. Alpha is laid on white, deeper pixels are scaled to 8 bits, CMYK is converted without a
profile. Embedded colour profiles (ICC) and gamma are ignored: networks are trained on pictures read
that way. Pillow's process-wide pixel limit is neither used nor touched; `Image.open` is avoided
because it warns by that limit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image

from service.errors import BrokenPicture, TooManyPixels
from service.inputs.colour_modes import to_8_bit
from service.inputs.decode_plain import PLAIN
from service.inputs.orient import orientation_of, upright
from service.inputs.recognise import Format, recognise


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame as an upright 8-bit picture: mode L if it is grey, else RGB.

    Raises EmptyBody, UnsupportedPicture, TooManyPixels (before decoding) or BrokenPicture.
    """
    picture_format = recognise(data)
    picture = _decode_plain(picture_format, data, max_pixels)
    return _decode_with_pillow(picture_format, data, max_pixels) if picture is None else picture


def _decode_plain(picture_format: Format, data: bytes, max_pixels: int) -> Image.Image | None:
    """A plain file's picture; None for any other, and for whatever is to be refused."""
    plain = PLAIN[picture_format.name](data) if picture_format.name in PLAIN else None
    if plain is None or plain.size[0] * plain.size[1] > max_pixels:
        return None
    try:
        picture = plain.pixels()
    except (OSError, ValueError):
        return None
    return upright(picture, plain.orientation)


def _decode_with_pillow(picture_format: Format, data: bytes, max_pixels: int) -> Image.Image:
    """A picture of any kind, or what is wrong with it."""
    if picture_format.name == "WebP":
        # Its reader allocates the whole canvas when it is made.
        _check_pixels(_webp_size(data), max_pixels)
    with _reading(picture_format):
        picture = picture_format.read(BytesIO(data))
    _check_pixels(picture.size, max_pixels)
    with _reading(picture_format):
        picture.load()
        plain = to_8_bit(picture)
    return upright(plain, orientation_of(picture))


@contextmanager
def _reading(picture_format: Format) -> Iterator[None]:
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
            f"the {picture_format.name} picture cannot be decoded: it is truncated, corrupt or of "
            "a rare kind; save it again as JPEG or PNG"
        ) from error


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise TooManyPixels(
            f"the picture has {width} x {height} = {width * height} pixels, more than the "
            f"{max_pixels} allowed; make it smaller"
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
        width, height = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0
