"""A short way to the pixels of plain files: 8-bit grey or RGB, as most JPEG and PNG files are.

Pillow's readers keep all that a file says about itself and decode it block by block; for a small
picture that costs more than its pixels do. Here the header is walked once for what counts, and the
compressed data goes to Pillow's decoder in one piece. It is the same decoder, so the pixels are the
same. Whatever is not plain and in perfect order is left to Pillow's reader, which alone says what
is broken: nothing is accepted here that it would refuse.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from PIL import Image

from service.inputs.orient import ORIENTATION

PNG_MODES = {(8, 0, 0, 0, 0): "L", (8, 2, 0, 0, 0): "RGB"}
JPEG_MODES = {1: "L", 3: "RGB"}
# Baseline, extended and progressive frames of Huffman codes.
FRAMES = {0xC0, 0xC1, 0xC2}
SCAN = 0xDA
APP1 = 0xE1
# Tables, comments and what applications add.
HARMLESS = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}
# What applications add is read by Pillow too, which refuses the file if it is shorter than this.
SHORTEST: Mapping[bytes, int] = {b"JFIF": 14, b"Adobe": 12, b"ICC_PROFILE\0": 14}
PHOTOSHOP = b"Photoshop 3.0\0"
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# Bytes of a value of each type.
UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
# A value of more bytes is stored apart from its entry, at an offset.
INLINE_BYTES = 4
# Type and count of the tags that Pillow reads in any case: orientation, resolution, its unit.
TAGS = {ORIENTATION: (3, 1), 0x011A: (5, 1), 0x0128: (3, 1)}


class _NotPlain(Exception):
    """The file is for Pillow's reader to judge."""


@dataclass(frozen=True)
class PlainPicture:
    """A plain file, not yet decoded."""

    size: tuple[int, int]
    """Width and height"""
    mode: str
    """L or RGB"""
    orientation: int
    """As EXIF has it; 1 is upright"""
    decoder: tuple[str, ...]
    """Pillow's name of it, and its arguments"""
    data: bytes

    def pixels(self) -> Image.Image:
        """The picture as it is stored, not turned upright; raises ValueError or OSError if the data
        is broken.
        """
        return Image.frombytes(self.mode, self.size, self.data, *self.decoder)


def plain_png(data: bytes) -> PlainPicture | None:
    """A PNG of 8 bits, not interlaced, that holds its pixels and nothing else; None for any
    other.
    """
    if len(data) < 33 or data[8:16] != b"\0\0\0\rIHDR":
        return None
    width, height, *kind, check = struct.unpack_from(">IIBBBBBI", data, 16)
    mode = PNG_MODES.get(tuple(kind))
    if mode is None or not width or not height or crc32(data[12:29]) != check:
        return None
    at, parts = 33, []
    while data[at + 4 : at + 8] == b"IDAT":
        stop = at + 8 + int.from_bytes(data[at : at + 4])
        parts.append(data[at + 8 : stop])
        at = stop + 4
    if not parts or data[at : at + 8] != b"\0\0\0\0IEND":
        return None
    return PlainPicture((width, height), mode, 1, ("zip", mode), b"".join(parts))


def plain_jpeg(data: bytes) -> PlainPicture | None:
    """A JPEG of 8 bits in grey or three colours, with its segments in good order; None for any
    other.
    """
    try:
        header = _read_header(data)
        size, mode = _frame(header.frames)
        orientation = _orientation(header.exif)
    except (_NotPlain, struct.error):
        return None
    if header.has_xmp and orientation is None:
        # Pillow then looks for it there.
        return None
    return PlainPicture(size, mode, orientation or 1, ("jpeg", mode, ""), data)


PLAIN: Mapping[str, Callable[[bytes], PlainPicture | None]] = {"JPEG": plain_jpeg, "PNG": plain_png}


@dataclass
class _JpegHeader:
    """What counts of the segments before the first scan."""

    frames: list[bytes] = field(default_factory=list)
    exif: list[bytes] = field(default_factory=list)
    has_xmp: bool = False


def _read_header(data: bytes) -> _JpegHeader:
    header = _JpegHeader()
    for marker, body in _segments(data):
        if marker in FRAMES:
            header.frames.append(body)
        elif marker == APP1 and body.startswith(EXIF):
            header.exif.append(body[len(EXIF) :])
        elif marker == APP1 and body.startswith(XMP):
            header.has_xmp = True
        elif marker not in HARMLESS or _is_doubtful(body):
            raise _NotPlain
    return header


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the first scan, without anything between them."""
    at = 2
    while True:
        start, marker, length = struct.unpack_from(">BBH", data, at)
        stop = at + 2 + length
        if start != 0xFF or length < 2 or stop > len(data):
            raise _NotPlain
        if marker == SCAN:
            return
        yield marker, data[at + 4 : stop]
        at = stop


def _is_doubtful(body: bytes) -> bool:
    return body.startswith(PHOTOSHOP) or any(
        body.startswith(key) and len(body) < SHORTEST[key] for key in SHORTEST
    )


def _frame(frames: list[bytes]) -> tuple[tuple[int, int], str]:
    """Width and height, and the mode, by the one header of a frame."""
    if len(frames) != 1:
        raise _NotPlain
    bits, height, width, layers = struct.unpack_from(">BHHB", frames[0])
    if (
        bits != 8
        or not height
        or not width
        or layers not in JPEG_MODES
        or len(frames[0]) != 6 + 3 * layers
    ):
        raise _NotPlain
    return (width, height), JPEG_MODES[layers]


def _orientation(exif: list[bytes]) -> int | None:
    """The orientation by the first directory of the EXIF data; None where there is none.

    Pillow stops at an entry that points beyond the data, so a directory counts only if all of it is
    in order.
    """
    if not exif:
        return None
    if len(exif) != 1 or exif[0][:4] not in BYTE_ORDERS:
        raise _NotPlain
    return _short_values(exif[0]).get(ORIENTATION)


def _short_values(exif: bytes) -> dict[int, int]:
    """The entries of the first directory by their tags, each read as a short value."""
    values: dict[int, int] = {}
    stored_apart = 0
    for tag, kind, count, short, offset in _entries(exif):
        expected = TAGS.get(tag, (kind, count))
        if expected != (kind, count) or tag in values:
            raise _NotPlain
        size = UNITS.get(kind, len(exif)) * count
        if size > INLINE_BYTES:
            stored_apart += size
            if offset + size > len(exif):
                raise _NotPlain
        if stored_apart > len(exif):
            raise _NotPlain
        values[tag] = short
    return values


def _entries(exif: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """The entries of the first directory: tag, type, count, and what follows as a short value and
    as an offset.
    """
    order = BYTE_ORDERS[exif[:4]]
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, offset = struct.unpack_from(order + "HHII", exif, at)
        (short,) = struct.unpack_from(order + "H", exif, at + 8)
        yield tag, kind, values, short, offset
