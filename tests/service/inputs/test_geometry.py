"""How a picture becomes an input, and which of its pixels each part of the input is made of."""

from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from anatomy.cards.card import ImageInput, Resize
from anatomy.cards.inputs import Rule
from service.inputs import resize_rules
from service.inputs.geometry import Geometry, picture_rect
from service.inputs.resize import prepare
from service.inputs.source_image import SourceImage
from tests.service.inputs.picture_files import colourful, grey


def spec(
    size: tuple[int, int], rule: Any = "centre_crop", colour: Any = "RGB", **resize: Any
) -> ImageInput:
    return ImageInput(size, colour, Resize(rule, **resize))


def frame(size: tuple[int, int], rule: ImageInput) -> Geometry:
    return resize_rules.frame(SourceImage(Image.new(rule.colour, size[::-1])), rule)


def test_every_rule_that_a_card_may_name_is_registered() -> None:
    assert set(resize_rules.RULES) == set(get_args(Rule))


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
    prepared = prepare(
        Image.fromarray(colourful(4, 8)), spec((2, 2), "stretch", interpolation="bilinear")
    )
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
        bottom, right = (
            int(rng.integers(top + 1, height + 1)),
            int(rng.integers(left + 1, width + 1)),
        )
        (y0, y1), (x0, x1) = picture_rect(geometry, ((top, bottom), (left, right)))
        noise = rng.integers(0, 256, picture.shape, dtype=np.uint8)
        outside, inside = noise.copy(), picture.copy()
        outside[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
        inside[y0:y1, x0:x1] = 255 - picture[y0:y1, x0:x1]
        part = np.s_[top:bottom, left:right]
        assert np.array_equal(prepare(Image.fromarray(outside), rule).array[part], clean[part])
        assert (y1 > y0) == bool(
            (prepare(Image.fromarray(inside), rule).array[part] != clean[part]).any()
        )


def test_without_resampling_the_rectangle_is_the_interval_moved_by_the_crop() -> None:
    assert picture_rect(frame((6, 12), spec((6, 6))), ((1, 3), (2, 6))) == ((1, 3), (5, 9))


def test_with_resampling_the_rectangle_is_no_wider_than_the_kernel() -> None:
    geometry = frame((400, 400), spec((100, 100), interpolation="bilinear"))
    # Input pixel 10 covers 40 ... 44, its triangle reaches 4 pixels either side of the centre 42.
    assert picture_rect(geometry, ((10, 11), (10, 11))) == ((38, 46), (38, 46))


def test_the_rectangle_ends_at_the_picture() -> None:
    geometry = frame((400, 300), spec((30, 40), "stretch"))
    assert picture_rect(geometry, ((-50, 500), (-1, 41))) == ((0, 400), (0, 300))


@pytest.mark.parametrize(
    "interval", [((0, 0), (0, 0)), ((5, 5), (0, 9)), ((0, 3), (0, 24)), ((-4, 0), (0, 24))]
)
def test_an_empty_interval_or_mere_padding_sees_nothing(
    interval: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    assert picture_rect(frame((50, 100), spec((24, 24), "pad")), interval) == ((0, 0), (0, 0))
