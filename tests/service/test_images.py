"""Pictures of every kind become the pixels they show; what cannot be shown is refused before it costs anything."""

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anatomy.card import ImageInput, Resize
from service.errors import BrokenPicture, EmptyBody, FoveaError, TooManyPixels, UnsupportedPicture
from service.geometry import frame, input_index, picture_rect
from service.images import decode, prepare, recognise

LIMIT = 50_000_000
LOSSLESS = ["PNG", "TIFF", "BMP", "WebP"]


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "WebP":
        options = {"lossless": True, "exact": True, **options}
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(decode(data, LIMIT))


def colourful(height: int = 5, width: int = 7) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(height: int = 5, width: int = 7) -> np.ndarray[Any, Any]:
    return colourful(height, width)[:, :, 0].copy()


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
    assert np.abs(pixels(encoded(Image.fromarray(plain), "JPEG", quality=100)).astype(int) - plain).max() <= 2


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
    assert pixels(encoded(image, kind, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


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
    assert pixels(encoded(Image.fromarray(np.array([[7, 8]], np.uint8)), transparency=8)).tolist() == [[7, 255]]


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
    assert pixels(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")).tolist() == [expected]


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
    # The file holds the complement of the inks above: 0, 0, 0 and 90 of black, now to be taken as they are.
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
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def webp_header(width: int, height: int) -> bytes:
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0" * 4
    body = b"WEBP" + canvas + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_header(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


@pytest.mark.parametrize(
    "data", [png_header(100_000, 100_000), webp_header(16_000, 16_000), gif_header(60_000, 60_000)]
)
def test_a_decompression_bomb_is_refused_by_its_header(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
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


def spec(size: tuple[int, int], rule: Any = "centre_crop", colour: Any = "RGB", **resize: Any) -> ImageInput:
    return ImageInput(size, colour, Resize(rule, **resize))


def test_a_picture_of_the_right_size_is_taken_pixel_for_pixel() -> None:
    prepared = prepare(Image.fromarray(colourful()), spec((5, 7)))
    assert np.array_equal(prepared.array, colourful())
    assert prepared.array.dtype == np.uint8
    assert (prepared.box, prepared.picture_size) == ((0, 0, 7, 5), (5, 7))


def test_the_centre_crop_is_a_square_of_the_shorter_side() -> None:
    picture = colourful(6, 12)
    prepared = prepare(Image.fromarray(picture), spec((6, 6)))
    assert np.array_equal(prepared.array, picture[:, 3:9])
    assert prepared.box == (3, 0, 9, 6)


def test_the_fraction_shrinks_the_crop_with_real_valued_edges() -> None:
    prepared = prepare(Image.new("RGB", (451, 300)), spec((224, 224), fraction=224 / 256))
    assert prepared.box == (94.25, 18.75, 356.75, 281.25)


def test_the_crop_has_the_targets_aspect() -> None:
    assert prepare(Image.new("RGB", (100, 100)), spec((10, 20))).box == (0, 25, 100, 75)


def test_stretch_takes_the_whole_picture() -> None:
    prepared = prepare(Image.fromarray(colourful(4, 8)), spec((2, 2), "stretch", interpolation="bilinear"))
    assert prepared.box == (0.0, 0.0, 8.0, 4.0)
    assert prepared.array.shape == (2, 2, 3)


def test_pad_keeps_the_aspect_between_black_bars() -> None:
    prepared = prepare(Image.new("RGB", (8, 4), "white"), spec((8, 8), "pad"))
    assert prepared.array[:, :, 0].tolist() == [[0] * 8] * 2 + [[255] * 8] * 4 + [[0] * 8] * 2
    assert prepared.box == (0, -2, 8, 6)


def test_grey_pictures_fill_the_three_channels_of_a_colour_network() -> None:
    prepared = prepare(Image.fromarray(grey()), spec((5, 7)))
    assert np.array_equal(prepared.array, np.repeat(grey()[:, :, None], 3, axis=2))


def test_grey_networks_get_the_luminance() -> None:
    prepared = prepare(Image.new("RGB", (3, 3), (100, 150, 200)), spec((3, 3), colour="L"))
    assert prepared.array.shape == (3, 3, 1)
    assert prepared.array[0, 0, 0] == round(0.299 * 100 + 0.587 * 150 + 0.114 * 200)


@pytest.mark.parametrize("rule", ["centre_crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 5)])
def test_pictures_of_any_shape_fit(size: tuple[int, int], rule: str) -> None:
    assert prepare(Image.new("RGB", size, "white"), spec((32, 32), rule)).array.max() == 255


RULES = [
    spec((16, 16), fraction=0.875),
    spec((16, 24), interpolation="bilinear"),
    spec((20, 20), interpolation="lanczos"),
    spec((12, 12), interpolation="nearest"),
    spec((16, 16), "stretch"),
    spec((24, 24), "pad", interpolation="bilinear"),
    spec((90, 90), "pad"),
    spec((100, 90), interpolation="lanczos", fraction=0.9),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("size", [(40, 61), (61, 40), (17, 33), (90, 90)])
def test_nothing_outside_the_rectangle_touches_the_interval_and_its_edges_do(
    rule: ImageInput, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    height, width = rule.size
    geometry = frame(size, rule)
    clean = prepare(Image.fromarray(picture), rule).array
    for _ in range(12):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        bottom, right = int(rng.integers(top + 1, height + 1)), int(rng.integers(left + 1, width + 1))
        (y0, y1), (x0, x1) = picture_rect(geometry, ((top, bottom), (left, right)))
        noise = rng.integers(0, 256, picture.shape, dtype=np.uint8)
        outside, inside = noise.copy(), picture.copy()
        outside[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
        inside[y0:y1, x0:x1] = 255 - picture[y0:y1, x0:x1]
        part = np.s_[top:bottom, left:right]
        assert np.array_equal(prepare(Image.fromarray(outside), rule).array[part], clean[part])
        assert (y1 > y0) == bool((prepare(Image.fromarray(inside), rule).array[part] != clean[part]).any())


def test_without_resampling_the_rectangle_is_the_interval_moved_by_the_crop() -> None:
    assert picture_rect(frame((6, 12), spec((6, 6))), ((1, 3), (2, 6))) == ((1, 3), (5, 9))


def test_with_resampling_the_rectangle_is_no_wider_than_the_kernel() -> None:
    geometry = frame((400, 400), spec((100, 100), interpolation="bilinear"))
    # Input pixel 10 covers 40 ... 44, its triangle reaches 4 pixels either side of the centre 42.
    assert picture_rect(geometry, ((10, 11), (10, 11))) == ((38, 46), (38, 46))


def test_the_rectangle_ends_at_the_picture() -> None:
    geometry = frame((400, 300), spec((30, 40), "stretch"))
    assert picture_rect(geometry, ((-50, 500), (-1, 41))) == ((0, 400), (0, 300))


@pytest.mark.parametrize("interval", [((0, 0), (0, 0)), ((5, 5), (0, 9)), ((0, 3), (0, 24)), ((-4, 0), (0, 24))])
def test_an_empty_interval_or_mere_padding_sees_nothing(interval: tuple[tuple[int, int], tuple[int, int]]) -> None:
    assert picture_rect(frame((50, 100), spec((24, 24), "pad")), interval) == ((0, 0), (0, 0))


def test_a_picture_pixel_is_found_in_the_input_pixel_that_covers_it() -> None:
    geometry = frame((300, 451), spec((224, 224), fraction=224 / 256))
    assert input_index(geometry, (150, 224)) == (112, 111)
    assert input_index(geometry, (18, 225)) is None
    assert input_index(geometry, (150, 93)) is None
    assert input_index(geometry, (19, 94)) == (0, 0)
    assert input_index(geometry, (280, 356)) == (223, 223)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_there_and_back_again(rule: ImageInput) -> None:
    geometry = frame((57, 83), rule)
    for pixel in [(28, 41), (20, 40), (35, 50)]:
        place = input_index(geometry, pixel)
        assert place is not None
        (y0, y1), (x0, x1) = picture_rect(geometry, [(index, index + 1) for index in place])
        reach = 0 if rule.resize.interpolation != "nearest" else 4
        assert y0 - reach <= pixel[0] < y1 + reach
        assert x0 - reach <= pixel[1] < x1 + reach
