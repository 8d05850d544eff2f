"""What is no picture, a broken one or too large a one is refused before it does harm."""

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.errors import BrokenPicture, EmptyBody, FoveaError, TooManyPixels, UnsupportedPicture
from service.inputs.decode import decode
from service.inputs.recognise import recognise
from tests.service.inputs.picture_files import LIMIT, colourful, encoded


def test_the_content_decides_not_the_name() -> None:
    assert recognise(encoded(Image.new("L", (1, 1)))).media_type == "image/png"
    assert recognise(encoded(Image.new("L", (1, 1)), "BMP")).media_type == "image/bmp"


def test_an_empty_body_is_said_to_be_empty() -> None:
    with pytest.raises(EmptyBody, match="empty"):
        decode(b"", LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"\0",
        b"RIFF\0\0\0\0WAVE",
        encoded(Image.new("RGB", (2, 2)), "PPM"),
        encoded(Image.new("RGB", (2, 2)), "ICO"),
        encoded(Image.new("RGB", (2, 2)), "TGA"),
    ],
    ids=["text", "svg", "pdf", "nul", "wave", "ppm", "ico", "tga"],
)
def test_what_is_no_accepted_picture_is_unsupported_and_the_formats_are_named(data: bytes) -> None:
    with pytest.raises(UnsupportedPicture, match="JPEG, PNG, WebP, GIF, BMP or TIFF"):
        decode(data, LIMIT)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_a_truncated_picture_is_broken(kind: str, share: float) -> None:
    data = encoded(Image.fromarray(colourful(64, 64)), kind)
    with pytest.raises(BrokenPicture, match=f"(?i){kind}.*truncated"):
        decode(data[: int(len(data) * share)], LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_a_signature_alone_is_broken(kind: str) -> None:
    with pytest.raises(BrokenPicture):
        decode(encoded(Image.new("L", (9, 9)), kind)[:12], LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_corrupt_bytes_end_in_a_picture_or_an_error_of_ours(kind: str) -> None:
    rng = np.random.default_rng(1)
    data = np.frombuffer(encoded(Image.fromarray(colourful(32, 32)), kind), np.uint8)
    for _ in range(150):
        spoilt = data.copy()
        spoilt[rng.integers(2, len(data), 6)] = rng.integers(0, 256, 6)
        with contextlib.suppress(FoveaError):
            assert decode(spoilt.tobytes(), 100_000).mode in ("L", "RGB")


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def webp_header(width: int, height: int) -> bytes:
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4
    body = b"WEBP" + canvas + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_header(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + bytes(6)
    return (
        b"GIF89a"
        + screen
        + b","
        + struct.pack("<HHHHB", 0, 0, width, height, 0)
        + b"\x02\x02\x4c\x01\x00;"
    )


@pytest.mark.parametrize(
    "data", [png_header(100_000, 100_000), webp_header(16_000, 16_000), gif_header(60_000, 60_000)]
)
def test_a_decompression_bomb_is_refused_by_its_header(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", explode)
    with pytest.raises(TooManyPixels, match="make it smaller"):
        decode(data, LIMIT)


def test_the_limit_is_inclusive_and_the_message_says_what_it_is() -> None:
    data = encoded(Image.new("L", (10, 10)))
    assert decode(data, 100).size == (10, 10)
    with pytest.raises(TooManyPixels, match="10 x 10 = 100 pixels, more than the 99 allowed"):
        decode(data, 99)


@pytest.mark.parametrize("mode", ["VP8", "VP8L", "VP8X"])
def test_every_kind_of_webp_is_counted_by_its_header(mode: str) -> None:
    image = Image.new("RGBA" if mode == "VP8X" else "RGB", (31, 17), "red")
    if mode == "VP8X":
        image.putalpha(9)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=mode == "VP8L")
    assert buffer.getvalue()[12:16].strip() == mode.encode()
    with pytest.raises(TooManyPixels, match="31 x 17"):
        decode(buffer.getvalue(), 31 * 17 - 1)
    assert decode(buffer.getvalue(), 31 * 17).size == (31, 17)


def test_pillows_own_limit_neither_warns_nor_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    data = encoded(Image.new("L", (9, 9)))
    assert decode(data, 81).size == (9, 9)
    assert vars(Image)["MAX_IMAGE_PIXELS"] == 50
