"""The accepted picture formats, told by a file's first bytes: what it is, its content says, not its
name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from service.errors import EmptyBody, UnsupportedPicture

ACCEPTED = "JPEG, PNG, WebP, GIF, BMP or TIFF"


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


def recognise(data: bytes) -> Format:
    """The format of these bytes by their signature.

    Raises EmptyBody for none and UnsupportedPicture for anything that is not an accepted picture
    format.
    """
    if not data:
        raise EmptyBody(f"the body is empty; post the bytes of a picture ({ACCEPTED})")
    for picture_format in FORMATS:
        if data.startswith(picture_format.signatures) and _is_no_other_riff(picture_format, data):
            return picture_format
    raise UnsupportedPicture(f"this is not a picture in an accepted format; post {ACCEPTED}")


def _is_no_other_riff(picture_format: Format, data: bytes) -> bool:
    """RIFF is a container of sound and video, too."""
    return picture_format.name != "WebP" or data[8:12] == b"WEBP"
