"""The short way to plain pictures ends where Pillow's own readers end: in the same pixels, or in
the same refusal.
"""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from anatomy.cards.card import ImageInput, Resize
from service.errors import BrokenPicture, FoveaError, TooManyPixels
from service.inputs import decode as decode_module
from service.inputs.decode import decode
from service.inputs.decode_plain import PLAIN, plain_jpeg, plain_png
from service.inputs.recognise import recognise
from service.inputs.resize import prepare
from tests.service.inputs.picture_files import LIMIT, colourful, encoded, grey


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010F], data[0x011A], data[0x0128] = "A maker of cameras", 72.0, 2
    return data


def smooth(height: int, width: int) -> Image.Image:
    return Image.fromarray(colourful(height // 8 + 1, width // 8 + 1)).resize(
        (width, height), Image.Resampling.BICUBIC
    )


COLOUR, GREY = smooth(61, 45), smooth(61, 45).convert("L")
PLAIN_FILES = {
    "colour": encoded(COLOUR, "JPEG"),
    "full colour": encoded(COLOUR, "JPEG", subsampling=0, quality=98),
    "half colour": encoded(COLOUR, "JPEG", subsampling=1),
    "grey": encoded(GREY, "JPEG"),
    "progressive": encoded(COLOUR, "JPEG", progressive=True),
    "restarts": encoded(COLOUR, "JPEG", restart_marker_blocks=2),
    "stored as rgb": encoded(COLOUR, "JPEG", keep_rgb=True),
    "profile, comment and resolution": encoded(
        COLOUR, "JPEG", icc_profile=bytes(70_000), comment=b"hm", dpi=(72, 72)
    ),
    "turned": encoded(COLOUR, "JPEG", exif=exif(6)),
    "of several blocks": encoded(Image.fromarray(colourful(300, 300)), "JPEG", quality=90),
    "rgb": encoded(COLOUR),
    "deflated little": encoded(COLOUR, compress_level=1),
    "grey png": encoded(GREY),
    "noise": encoded(Image.fromarray(colourful(200, 200))),
}


def with_pillow(data: bytes) -> tuple[str, Any]:
    return outcome(lambda: decode_module._decode_with_pillow(recognise(data), data, LIMIT))


def outcome(call: Any) -> tuple[str, Any]:
    try:
        image = call()
    except FoveaError as error:
        return type(error).__name__, str(error)
    return image.mode, (image.size, image.tobytes())


@pytest.mark.parametrize("name", PLAIN_FILES)
def test_plain_files_go_the_short_way_to_the_same_pixels(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = PLAIN_FILES[name]
    expected = with_pillow(data)

    def explode(*_: Any) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", explode)
    assert outcome(lambda: decode(data, LIMIT)) == expected


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("endian", ["<", ">"])
def test_the_orientation_is_read_as_pillow_reads_it(orientation: int, endian: str) -> None:
    tags = exif(orientation)
    tags.endian = endian
    data = encoded(COLOUR, "JPEG", exif=tags.tobytes())
    plain = plain_jpeg(data)
    assert plain is not None
    assert plain.orientation == (orientation or 1)
    assert outcome(lambda: decode(data, LIMIT)) == with_pillow(data)


XMP = b'<x tiff:Orientation="6"/>'
# The maker's name lies beyond the data, and Pillow reads no tag after it.
ASTRAY = (
    exif(6)
    .tobytes()
    .replace(
        struct.pack(">HHI", 0x010F, 2, 19) + b"\0\0", struct.pack(">HHI", 0x010F, 2, 19) + b"\x37\0"
    )
)
OTHER_FILES = {
    "exif that points astray": encoded(COLOUR, "JPEG", exif=ASTRAY),
    "cmyk": encoded(Image.new("CMYK", (9, 9)), "JPEG"),
    "xmp that may turn it": encoded(COLOUR, "JPEG", xmp=XMP),
    "unreadable exif": encoded(COLOUR, "JPEG", exif=b"Exif\0\0no tiff at all"),
    "exif without end": encoded(COLOUR, "JPEG", exif=exif(6).tobytes()[:30]),
    "photoshop": encoded(COLOUR, "JPEG").replace(
        b"\xff\xdb", b"\xff\xed\0\x10Photoshop 3.0\0\xff\xdb", 1
    ),
    "a byte between segments": encoded(COLOUR, "JPEG").replace(b"\xff\xdb", b"\0\xff\xdb", 1),
    "palette": encoded(COLOUR.quantize(16)),
    "alpha": encoded(COLOUR.convert("RGBA")),
    "colour key": encoded(COLOUR, transparency=(1, 2, 3)),
    "one bit": encoded(GREY.convert("1")),
    "sixteen bits": encoded(Image.fromarray(grey().astype(np.uint16) * 257)),
    "animated": encoded(COLOUR, save_all=True, append_images=[COLOUR.rotate(90)]),
    "turned png": encoded(COLOUR, exif=exif(6)),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_are_left_to_pillows_readers(name: str) -> None:
    data = OTHER_FILES[name]
    assert PLAIN[recognise(data).name](data) is None
    assert outcome(lambda: decode(data, LIMIT)) == with_pillow(data)


def test_an_orientation_in_exif_goes_before_one_in_xmp() -> None:
    data = encoded(COLOUR, "JPEG", exif=exif(3), xmp=XMP)
    assert plain_jpeg(data) is not None
    assert outcome(lambda: decode(data, LIMIT)) == with_pillow(data)


@pytest.mark.parametrize("name", ["colour", "progressive", "turned", "grey png"])
def test_a_file_cut_off_anywhere_is_judged_as_pillow_judges_it(name: str) -> None:
    data = PLAIN_FILES[name]
    for count in range(12, len(data), 3 if len(data) > 1500 else 1):
        assert outcome(lambda cut=data[:count]: decode(cut, LIMIT)) == with_pillow(data[:count])


def test_a_jpeg_without_its_end_is_broken_and_one_with_more_behind_it_is_not() -> None:
    data = PLAIN_FILES["colour"]
    with pytest.raises(BrokenPicture):
        decode(data[:-2], LIMIT)
    assert outcome(lambda: decode(data + b"more" * 99, LIMIT)) == with_pillow(data)


def test_a_png_with_a_wrong_checksum_in_its_header_is_broken() -> None:
    data = bytearray(PLAIN_FILES["grey png"])
    data[30] ^= 1
    assert plain_png(bytes(data)) is None
    with pytest.raises(BrokenPicture):
        decode(bytes(data), LIMIT)


# A change at a share of the file's length, most of them in its first part, where the header is.
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 255)), min_size=1, max_size=5
)


@given(st.sampled_from(sorted(PLAIN_FILES)), CHANGES)
@example("colour", [(0.0, True, 0xD9)])
def test_spoilt_files_are_accepted_and_refused_as_by_pillow(
    name: str, changes: list[tuple[float, bool, int]]
) -> None:
    data = bytearray(PLAIN_FILES[name])
    for share, early, value in changes:
        reach = min(len(data), 700) if early else len(data)
        data[3 + int(share * (reach - 4))] = value
    spoilt = bytes(data)
    try:
        recognise(spoilt)
    except FoveaError:
        return
    assert outcome(lambda: decode(spoilt, LIMIT)) == with_pillow(spoilt)


@pytest.mark.parametrize("name", ["colour", "rgb"])
def test_too_many_pixels_are_refused_before_the_decoder_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.Image.frombytes", explode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", explode)
    with pytest.raises(TooManyPixels, match="45 x 61 = 2745"):
        decode(PLAIN_FILES[name], 2744)


@pytest.mark.parametrize("rule", ["centre_crop", "stretch", "pad"])
@pytest.mark.parametrize("colour", ["L", "RGB"])
def test_a_picture_of_the_inputs_size_is_not_resampled(
    rule: Any, colour: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: Any) -> None:
        raise AssertionError("resampled")

    monkeypatch.setattr(Image.Image, "resize", explode)
    image = COLOUR.convert(colour)
    prepared = prepare(image, ImageInput((61, 45), colour, Resize(rule)))
    assert np.array_equal(prepared.array, np.asarray(image).reshape(61, 45, len(colour)))


def test_the_oracle_is_no_short_way() -> None:
    data = PLAIN_FILES["colour"]
    assert with_pillow(data)[1][1] == Image.open(io.BytesIO(data)).convert("RGB").tobytes()
