"""Every kind of picture arrives upright, as 8-bit grey or RGB, with the pixels that it shows."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.inputs.decode import decode
from tests.service.inputs.picture_files import LIMIT, colourful, encoded, grey, pixels

LOSSLESS = ["PNG", "TIFF", "BMP", "WebP"]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_rgb_arrives_unchanged_in_every_lossless_format(kind: str) -> None:
    assert np.array_equal(pixels(encoded(Image.fromarray(colourful()), kind)), colourful())


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_grey_arrives_unchanged_and_stays_grey(kind: str) -> None:
    image = decode(encoded(Image.fromarray(grey()), kind), LIMIT)
    assert np.array_equal(np.asarray(image.convert("L")), grey())
    assert image.mode in ("L", "RGB")


def test_jpeg_arrives_nearly_unchanged() -> None:
    plain = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    assert (
        np.abs(
            pixels(encoded(Image.fromarray(plain), "JPEG", quality=100)).astype(int) - plain
        ).max()
        <= 2
    )


def test_one_bit_becomes_black_and_white() -> None:
    bits = np.array([[True, False], [False, True]])
    assert pixels(encoded(Image.fromarray(bits))).tolist() == [[255, 0], [0, 255]]


def test_a_palette_becomes_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert pixels(encoded(image, "GIF")).tolist() == [[[10, 20, 30], [200, 100, 50]]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_the_transparent_colour_of_a_palette_is_white(kind: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image, kind, transparency=1)).tolist() == [
        [[10, 20, 30], [255, 255, 255]]
    ]


def test_a_palette_with_graded_alpha_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 100, 100, 100])
    image.putpixel((1, 0), 1)
    [[first, second]] = pixels(encoded(image, transparency=b"\xff\x80")).tolist()
    assert first == [10, 20, 30]
    assert second == [round(100 * 128 / 255 + 255 * 127 / 255)] * 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WebP"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    image = Image.new("RGBA", (3, 1))
    for x, value in enumerate([(200, 0, 100, 255), (200, 0, 100, 0), (200, 0, 100, 51)]):
        image.putpixel((x, 0), value)
    [[opaque, clear, fifth]] = pixels(encoded(image, kind)).tolist()
    assert (opaque, clear) == ([200, 0, 100], [255, 255, 255])
    assert np.allclose(fifth, [255 - 55 * 0.2, 255 * 0.8, 255 - 155 * 0.2], atol=1)


def test_grey_with_alpha_stays_grey_on_white() -> None:
    image = Image.new("LA", (2, 1))
    image.putpixel((0, 0), (80, 255))
    image.putpixel((1, 0), (80, 0))
    assert pixels(encoded(image)).tolist() == [[80, 255]]


def test_a_transparent_colour_key_is_white() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert pixels(encoded(image, transparency=(4, 5, 6))).tolist() == [[[1, 2, 3], [255, 255, 255]]]
    assert pixels(
        encoded(Image.fromarray(np.array([[7, 8]], np.uint8)), transparency=8)
    ).tolist() == [[7, 255]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight_not_cut_off(kind: str) -> None:
    deep = np.array([[0, 257, 32896, 65535, 300, 128]], np.uint16)
    assert pixels(encoded(Image.fromarray(deep), kind)).tolist() == [[0, 1, 128, 255, 1, 0]]


def test_sixteen_bits_with_a_transparent_key_are_laid_on_white() -> None:
    deep = np.array([[0, 5000, 5001]], np.uint16)
    assert pixels(encoded(Image.fromarray(deep), transparency=5000)).tolist() == [[0, 255, 19]]


def test_big_endian_sixteen_bits_are_read_as_such() -> None:
    values = np.array([[0, 32896, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), values.tobytes())
    assert pixels(encoded(image, "TIFF")).tolist() == [[0, 128, 255]]


def test_sixteen_bits_where_zero_is_white_are_turned_over() -> None:
    deep = Image.fromarray(np.array([[0, 65535]], np.uint16))
    data = bytearray(encoded(deep, "TIFF"))
    at = data.index(struct.pack("<HHI", 262, 3, 1))
    data[at + 8 : at + 10] = b"\0\0"
    assert pixels(bytes(data)).tolist() == [[255, 0]]


def test_thirty_two_bit_integers_are_taken_as_sixteen_and_clipped() -> None:
    deep = np.array([[-5, 0, 32896, 65535, 1_000_000]], np.int32)
    assert pixels(encoded(Image.fromarray(deep), "TIFF")).tolist() == [[0, 0, 128, 255, 255]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0, -3.0], [0, 128, 255, 0]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 32896.0, 65535.0], [0, 128, 255]),
        ([0.0, 5e5, 1e6], [0, 128, 255]),
        ([float("nan"), float("inf"), 1.0], [0, 0, 255]),
    ],
    ids=["unit", "bytes", "words", "beyond", "not numbers"],
)
def test_floats_are_scaled_by_the_range_they_use(values: list[float], expected: list[int]) -> None:
    assert pixels(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")).tolist() == [
        expected
    ]


CMYK = (0, 255, 255, 0), (0, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 0)
SHOWN = [255, 0, 0], [0, 0, 0], [0, 255, 255], [255, 255, 255]


@pytest.mark.parametrize(("ink", "expected"), list(zip(CMYK, SHOWN, strict=True)))
def test_cmyk_becomes_rgb(ink: tuple[int, int, int, int], expected: list[int]) -> None:
    image = Image.new("CMYK", (8, 8), ink)
    assert pixels(encoded(image, "TIFF"))[0, 0].tolist() == expected
    shown = pixels(encoded(image, "JPEG", quality=100))[4, 4]
    assert np.allclose(shown, expected, atol=3)


def test_a_cmyk_jpeg_without_adobes_mark_is_not_inverted() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (255, 255, 255, 255 - 90)), "JPEG", quality=100)
    start = data.index(b"\xff\xee\x00\x0eAdobe")
    plain = data[:start] + data[start + 16 :]
    # The file holds the complement of the inks above: 0, 0, 0 and 90 of black, now to be taken as
    # they are.
    assert np.allclose(pixels(plain)[4, 4], [165, 165, 165], atol=3)


ORIENTED: dict[int, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WebP"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_the_exif_orientation_is_honoured_once(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(colourful()), kind, exif=exif)
    assert np.array_equal(pixels(data), ORIENTED[orientation](colourful()))


def test_an_oriented_jpeg_stands_upright() -> None:
    half = np.zeros((16, 32, 3), np.uint8)
    half[:, 16:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = pixels(encoded(Image.fromarray(half), "JPEG", exif=exif))
    assert upright.shape == (32, 16, 3)
    assert upright[4].max() < 10
    assert upright[28].min() > 245


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_impossible_orientation_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(pixels(encoded(Image.fromarray(colourful()), exif=exif)), colourful())


def test_unreadable_exif_data_does_not_spoil_the_picture() -> None:
    data = encoded(Image.fromarray(colourful()), exif=b"Exif\0\0no tiff at all")
    assert np.array_equal(pixels(data), colourful())


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WebP", "TIFF"])
def test_the_first_frame_of_an_animation_is_the_picture(kind: str) -> None:
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    data = encoded(first, kind, save_all=True, append_images=[second])
    assert pixels(data)[0, 0].tolist() == [255, 0, 0]
