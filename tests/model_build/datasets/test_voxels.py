"""Solid digits are MNIST's pictures, thickened and turned as the recipe says."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_build.datasets import voxels
from model_build.datasets.mnist import load_test
from model_build.datasets.motions import rotations
from model_build.datasets.split import Split

RANDOM = np.random.default_rng(3)
QUARTER = np.pi / 2


@pytest.fixture(scope="module")
def digits() -> Split:
    return load_test(Path(__file__).parents[2] / "data" / "mnist").take(np.arange(300))


def turn(*angles: float, count: int = 1) -> NDArray[np.float32]:
    return np.tile(rotations(np.array([angles]), 3).astype(np.float32), (count, 1, 1))


def pictures(count: int) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (count, 28, 28), np.uint8)


def averaged(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Every pixel cut into 16 x 16 equal parts, of which 28 x 28 make one value."""
    parts = picture.repeat(16, axis=0).repeat(16, axis=1).reshape(16, 28, 16, 28)
    return np.asarray(parts.mean(axis=(1, 3)))


def test_a_solid_that_is_not_turned_is_the_reduced_picture_in_four_slices() -> None:
    picture = pictures(1)
    (volume,) = voxels.solids(picture, turn(0, 0, 0))[0]
    assert not volume[:6].any()
    assert not volume[10:].any()
    for plane in volume[6:10]:
        assert np.abs(plane - averaged(picture[0])).max() <= 0.501


@pytest.mark.parametrize(("plane", "axes"), [(0, (0, 1)), (1, (0, 2)), (2, (1, 2))])
def test_a_quarter_turn_in_each_plane_is_that_of_numpy(plane: int, axes: tuple[int, int]) -> None:
    picture = pictures(1)
    angles = [QUARTER * (index == plane) for index in range(3)]
    still, turned = (
        voxels.solids(picture, turn(*degrees))[0, 0] for degrees in ([0, 0, 0], angles)
    )
    assert np.abs(turned.astype(int) - np.rot90(still, 1, axes)).max() <= 1


def trilinear(volume: NDArray[np.float64], position: NDArray[np.float64]) -> float:
    total = 0.0
    below = np.floor(position).astype(int)
    for corner in np.ndindex(2, 2, 2):
        at = below + corner
        if all((at >= 0) & (at < 16)):
            total += volume[tuple(at)] * np.prod(1 - np.abs(position - at))
    return total


def test_every_voxel_is_read_by_trilinear_interpolation_through_the_inverse_turn() -> None:
    picture, rotation = pictures(1), voxels.turns(RANDOM, 1)
    solid = np.zeros((16, 16, 16))
    solid[6:10] = averaged(picture[0])
    inverse = np.linalg.inv(rotation[0].astype(float))
    rotated = voxels.solids(picture, rotation)[0, 0]
    for at in RANDOM.integers(0, 16, (200, 3)):
        assert abs(rotated[tuple(at)] - trilinear(solid, inverse @ (at - 7.5) + 7.5)) <= 0.51


def test_angles_lie_within_the_limits_and_reach_them() -> None:
    rotation = voxels.turns(np.random.default_rng(0), 20_000, degrees=30)
    assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-6)
    # R = A B C, turning in the planes (0, 1), (0, 2), (1, 2): the angles are those that undo it.
    angles = np.degrees(
        [
            np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]),
            np.arcsin(rotation[:, 2, 0]),
            np.arctan2(rotation[:, 2, 1], rotation[:, 2, 2]),
        ]
    )
    assert np.abs(np.sort(angles, axis=1)[:, [0, -1]] - [-30, 30]).max() < 0.1
    assert np.abs(angles.std(axis=1) - 30 / np.sqrt(3)).max() < 0.3


def test_a_seed_gives_the_same_volumes_whatever_is_generated_beside(digits: Split) -> None:
    random = np.random.default_rng(7)
    rotation = voxels.turns(random, len(digits))
    together = voxels.solids(digits.inputs[..., 0], rotation)
    alone = voxels.solids(digits.inputs[280:, ..., 0], rotation[280:])
    assert np.array_equal(together[280:], alone)
    assert np.array_equal(voxels.turned(digits, np.random.default_rng(7)).inputs, together)
    assert not np.array_equal(voxels.turned(digits, np.random.default_rng(8)).inputs, together)


def test_no_turned_digit_sticks_out_of_its_volume(digits: Split) -> None:
    volumes = voxels.turned(digits, np.random.default_rng(0)).inputs
    inside = volumes[:, :, 1:-1, 1:-1, 1:-1].sum(dtype=int)
    assert inside / volumes.sum(dtype=int) > 0.995
    # A turn moves ink and loses none of it.
    still = voxels.turned(digits, np.random.default_rng(0), degrees=0).inputs
    assert abs(volumes.sum(dtype=int) / still.sum(dtype=int) - 1) < 0.005
