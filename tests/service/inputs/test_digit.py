"""Ink is told from paper, whatever the light, and a digit becomes what MNIST networks expect."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anatomy.cards.card import ImageInput, Resize
from service.errors import Impossible
from service.inputs.decode import decode
from service.inputs.geometry import picture_rect
from service.inputs.resize import prepare

Array = np.ndarray[Any, Any]
DIGITS = ImageInput((28, 28), "L", Resize("digit", box=20), "auto")


def seven(height: int = 200, width: int = 140, pen: int = 24) -> Array:
    """A seven of ones on zeros: a bar, and a leaning stroke."""
    ink = np.zeros((height, width))
    ink[:pen] = 1
    for row in range(height):
        right = width - round(row * 0.4 * width / height)
        ink[row, max(0, right - pen) : right] = 1
    return ink


def scene(
    ink: Array, size: tuple[int, int], corner: tuple[int, int], paper: float, pen: float
) -> Array:
    """The ink with its upper left at `corner` of a sheet, in grey levels."""
    sheet = np.zeros(size)
    sheet[corner[0] : corner[0] + ink.shape[0], corner[1] : corner[1] + ink.shape[1]] = ink
    return paper + (pen - paper) * sheet


def shown(levels: Array, spec: ImageInput = DIGITS, quality: int | None = None) -> Array:
    """What the network is given of these grey levels, as a picture or as a JPEG."""
    image = Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    if quality is not None:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        image = decode(stream.getvalue(), 10**8)
    return prepare(image, spec).array[:, :, 0].astype(int)


CLEAN = shown(scene(seven(), (400, 400), (100, 120), 0, 255))


def test_the_ink_fits_into_the_box_with_its_aspect_and_its_mass_in_the_middle() -> None:
    rows, columns = np.nonzero(CLEAN.sum(axis=1))[0], np.nonzero(CLEAN.sum(axis=0))[0]
    assert rows[-1] - rows[0] + 1 == 20
    assert columns[-1] - columns[0] + 1 == 14
    for axis in (0, 1):
        centre = np.arange(28) @ CLEAN.sum(axis=1 - axis) / CLEAN.sum()
        assert 13.4 < centre < 14.6
    assert (CLEAN.min(), CLEAN.max()) == (0, 255)


@pytest.mark.parametrize("corner", [(0, 0), (200, 260), (30, 200)])
@pytest.mark.parametrize(("paper", "pen"), [(0, 255), (255, 0), (120, 30), (120, 220)])
def test_place_and_polarity_do_not_matter(
    corner: tuple[int, int], paper: float, pen: float
) -> None:
    assert np.abs(shown(scene(seven(), (400, 400), corner, paper, pen)) - CLEAN).mean() < 0.6


def test_shade_noise_dust_and_jpeg_change_little() -> None:
    levels = scene(seven(), (700, 500), (300, 40), 190, 50)
    levels += np.linspace(-30, 30, 700)[:, None] + np.linspace(20, -20, 500)
    levels += np.random.default_rng(0).normal(0, 8, levels.shape)
    levels[60:66, 400:406] = 20
    difference = np.abs(shown(levels, quality=75) - CLEAN)
    assert difference.mean() < 6
    assert np.count_nonzero(shown(levels, quality=75).sum(axis=1)) == 20


def test_a_small_picture_that_is_as_the_network_wants_it_is_taken_as_it_is() -> None:
    assert np.array_equal(shown(CLEAN), CLEAN)
    assert np.array_equal(shown(255 - CLEAN), CLEAN)


def test_a_known_polarity_is_not_guessed() -> None:
    levels = scene(seven(), (400, 400), (100, 120), 200, 60)
    dark = ImageInput((28, 28), "L", Resize("digit", box=20), "dark_on_light")
    assert np.array_equal(shown(levels, dark), shown(levels))
    light = ImageInput((28, 28), "L", Resize("digit", box=20), "light_on_dark")
    with pytest.raises(Impossible, match="no ink"):
        shown(levels, light)


def test_as_it_is_keeps_the_grey_levels() -> None:
    spec = ImageInput((28, 28), "L", Resize("digit", box=20, interpolation="nearest"))
    assert set(np.unique(shown(scene(seven(), (400, 400), (100, 120), 0, 170), spec))) == {0, 170}


def test_a_polarity_goes_with_the_other_rules_too() -> None:
    spec = ImageInput((40, 40), "L", Resize("stretch", interpolation="nearest"), "auto")
    levels = scene(seven(20, 14, 3), (40, 40), (10, 12), 200, 80)
    assert np.array_equal(shown(levels, spec), scene(seven(20, 14, 3), (40, 40), (10, 12), 0, 255))
    assert shown(np.full((40, 40), 200), spec).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 300), (90, 90), (3000, 20)])
def test_a_blank_sheet_has_no_ink(size: tuple[int, int]) -> None:
    with pytest.raises(Impossible, match="no ink"):
        shown(np.full(size, 230))


def test_mere_noise_has_no_ink() -> None:
    with pytest.raises(Impossible, match="no ink"):
        shown(np.random.default_rng(0).normal(200, 6, (600, 500)), quality=80)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_in_one_frame_nothing_outside_the_rectangle_touches_the_interval_and_its_edges_do(
    interpolation: Any,
) -> None:
    spec = ImageInput((28, 28), "L", Resize("digit", box=20, interpolation=interpolation), "auto")
    random = np.random.default_rng(3)
    levels = scene(seven(90, 50, 11), (160, 131), (40, 50), 190, 60) + random.normal(
        0, 5, (160, 131)
    )
    picture = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    prepared = prepare(Image.fromarray(picture), spec)
    (rows, columns) = prepared.geometry.inner
    for _ in range(20):
        top, left = int(random.integers(0, 27)), int(random.integers(0, 27))
        bottom, right = int(random.integers(top + 1, 29)), int(random.integers(left + 1, 29))
        (y0, y1), (x0, x1) = picture_rect(prepared.geometry, ((top, bottom), (left, right)))
        outside, inside = random.integers(0, 256, picture.shape, dtype=np.uint8), picture.copy()
        outside[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
        inside[y0:y1, x0:x1] = 255 - picture[y0:y1, x0:x1]
        part = np.s_[top:bottom, left:right]
        same, other = (
            prepare(Image.fromarray(changed), spec, like=prepared).array
            for changed in (outside, inside)
        )
        assert np.array_equal(same[part], prepared.array[part])
        assert (other[part] != prepared.array[part]).any() == (y1 > y0)
        sees_rows = min(bottom, rows[1]) > max(top, rows[0])
        sees_columns = min(right, columns[1]) > max(left, columns[0])
        assert (y1 > y0) == (sees_rows and sees_columns)
