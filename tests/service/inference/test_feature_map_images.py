"""Arrays become pictures in which every value can be found again."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.errors import Impossible
from service.inference.feature_map_images import GAP, as_picture, feature_maps, kernels


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_picture_of_pixels_is_those_pixels() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert np.array_equal(pixels(as_picture(colour)), colour)
    assert np.array_equal(pixels(as_picture(colour[:, :, :1])), colour[:, :, 0])


def test_each_map_goes_from_its_own_minimum_in_black_to_its_maximum_in_white() -> None:
    maps = np.array([[[0, 1], [2, 4]], [[-100, 0], [100, 0]]], np.float32)
    sheet = pixels(feature_maps(maps))
    tile = 48
    assert sheet.shape == (2 * GAP + tile, 3 * GAP + 2 * tile)
    corners = [GAP + 1, GAP + tile - 2]
    assert sheet[np.ix_(corners, corners)].tolist() == [[0, 64], [128, 255]]
    moved = [corner + tile + GAP for corner in corners]
    assert sheet[np.ix_(corners, moved)].tolist() == [[0, 128], [255, 128]]


def test_a_constant_map_is_black_and_what_is_not_a_number_counts_as_zero() -> None:
    assert pixels(feature_maps(np.full((1, 48, 48), 7.0)))[GAP:-GAP, GAP:-GAP].max() == 0
    odd = np.array([[[np.nan, 1.0], [np.inf, 1.0]]])
    assert set(np.unique(pixels(feature_maps(odd))[GAP:-GAP, GAP:-GAP])) == {0, 255}


@pytest.mark.parametrize("shape", [(10,), (4, 9), (4, 6, 5), (4, 3, 6, 5), (1, 1, 1), (300, 7, 7)])
def test_maps_of_any_rank_have_a_sheet(shape: tuple[int, ...]) -> None:
    assert pixels(feature_maps(np.random.default_rng(0).normal(size=shape))).ndim == 2


def test_a_signal_is_a_strip_high_enough_to_be_seen() -> None:
    sheet = pixels(feature_maps(np.stack([np.arange(400), -np.arange(400)])))
    assert sheet.shape == (2 * 8 + 3 * GAP, 400 + 2 * GAP)
    assert sheet[GAP + 7, [GAP, -GAP - 1]].tolist() == [0, 255]
    assert sheet[-GAP - 8, [GAP, -GAP - 1]].tolist() == [255, 0]


def test_the_slices_of_a_volume_lie_side_by_side() -> None:
    volume = np.zeros((1, 2, 48, 48))
    volume[0, 1] = 1
    assert pixels(feature_maps(volume))[GAP:-GAP, GAP:-GAP].tolist() == [[0] * 48 + [255] * 48] * 48


def test_kernels_of_three_channels_are_shown_in_colour_about_grey() -> None:
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0], weights[0, 2] = 0.5, -0.5
    sheet = pixels(kernels(weights))
    assert sheet[GAP, GAP].tolist() == [255, 128, 0]
    assert sheet[GAP, 2 * GAP + 48].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    "shape", [(8, 4, 3, 3), (8, 1, 3, 3), (8, 4, 3), (4, 2, 3, 3, 3), (10, 20)]
)
def test_kernels_of_any_rank_have_a_sheet(shape: tuple[int, ...]) -> None:
    assert pixels(kernels(np.random.default_rng(0).normal(size=shape))).ndim == 2


def test_a_sheet_too_large_or_empty_is_impossible() -> None:
    with pytest.raises(Impossible, match="ask for fewer"):
        kernels(np.zeros((1000, 1000, 1, 1)))
    with pytest.raises(Impossible, match="empty"):
        feature_maps(np.zeros((0, 3, 3)))
