"""Augmentation in the graph moves what it should, as numpy would, and nothing else."""

from collections.abc import Mapping, Sequence
from math import radians
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnxscript import OpBuilder

from model_build.datasets import voxels
from model_build.datasets.motions import Motions, basis, rotations, rows
from model_build.export import Augmentation, Signature, trainable
from model_build.nn import Module
from model_build.training.augment import DisturbedSignals, MovedImages, TurnedSolids

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)
STILL = Motions()


class Identity(Module):
    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        y: ir.Value = op.Identity(x)
        return y


def graph(augmentation: Augmentation, x: Array) -> onnx.ModelProto:
    signature = Signature("x", ir.DataType.from_numpy(x.dtype), ("N", *x.shape[1:]), "y")
    return trainable(Identity(), signature, "test", augmentation)


def run(
    augmentation: Augmentation, x: Array, numbers: Mapping[str, Array] | None = None, seed: int = 0
) -> Array:
    """What the augmentation makes of x, by its own random numbers but for those that are given."""
    drawn = {**augmentation.draw(np.random.default_rng(seed), len(x)), **(numbers or {})}
    proto = graph(augmentation, x)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    result: Array = session.run(None, {"x": x, **drawn})[0]
    return result


def motion(
    size: Sequence[int],
    count: int,
    shift: Sequence[float] | None = None,
    matrix: Array | None = None,
) -> dict[str, Array]:
    eye = np.tile(np.eye(len(size)), (count, 1, 1))
    return {
        "augmentation.motion": rows(
            eye if matrix is None else np.tile(matrix, (count, 1, 1)),
            np.tile(np.zeros(len(size)) if shift is None else np.array(shift, float), (count, 1)),
            size,
        )
    }


def pictures(*size: int) -> Array:
    return RANDOM.integers(0, 256, (3, *size, 2), np.uint8)


def rolled(x: Array, shift: Sequence[int], first: int) -> Array:
    """np.roll along the axes from `first` on, with zeros where the content came from."""
    x = np.roll(x, shift, axis=tuple(range(first, first + len(shift))))
    for axis, step in enumerate(shift, first):
        gone = [slice(None)] * x.ndim
        gone[axis] = slice(0, step) if step > 0 else slice(x.shape[axis] + step, None)
        if step:
            x[tuple(gone)] = 0
    return x


def test_motions_without_a_range_leave_everything_as_it_is() -> None:
    image = pictures(9, 12)
    signal = RANDOM.standard_normal((3, 2, 11)).astype(np.float32)
    assert np.array_equal(run(MovedImages((9, 12), STILL), image), image)
    assert np.allclose(run(DisturbedSignals(2, 11, STILL), signal), signal, atol=2e-5)


@pytest.mark.parametrize("shift", [(0, 1), (3, 0), (-2, 5), (-1, -4)])
def test_a_shift_by_whole_pixels_is_that_of_numpy_with_zeros(shift: tuple[int, int]) -> None:
    x = pictures(9, 12)
    moved = run(MovedImages((9, 12), STILL), x, motion((9, 12), 3, shift))
    assert np.array_equal(moved, rolled(x, shift, 1))


@pytest.mark.parametrize("shift", [4, -3])
def test_a_shift_by_whole_samples_is_that_of_numpy(shift: int) -> None:
    x = RANDOM.standard_normal((3, 2, 11)).astype(np.float32)
    shifted = motion((11,), 3, [shift])
    zeros = run(DisturbedSignals(2, 11, STILL, padding_mode="zeros"), x, shifted)
    assert np.allclose(zeros, rolled(x, [shift], 2), atol=2e-5)
    border = run(DisturbedSignals(2, 11, STILL), x, shifted)
    positions = np.clip(np.arange(11) - shift, 0, 10)
    assert np.allclose(border, x[:, :, positions], atol=2e-5)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turn_by_quarters_is_that_of_numpy(quarters: int) -> None:
    x = pictures(10, 10)
    matrix = rotations(np.array([[radians(90 * quarters)]]), 2)
    moved = run(MovedImages((10, 10), STILL), x, motion((10, 10), 3, matrix=matrix[0]))
    assert np.array_equal(moved, np.rot90(x, quarters, axes=(1, 2)))


def test_a_zoom_by_two_shows_every_pixel_twice_as_large() -> None:
    x = np.zeros((1, 8, 8, 1), np.uint8)
    x[0, 3:5, 3:5] = 200
    moved = run(MovedImages((8, 8), STILL), x, motion((8, 8), 1, matrix=np.eye(2) * 2))
    assert moved[0, 3:5, 3:5].min() == 200
    assert moved.sum(dtype=int) == 4 * x.sum(dtype=int)


@pytest.mark.parametrize("size", [(6, 9), (4, 5, 7)])
def test_positions_are_those_of_affine_grid(size: tuple[int, ...]) -> None:
    axes = len(size)
    motions = rows(
        RANDOM.normal(0, 0.3, (2, axes, axes)) + np.eye(axes), RANDOM.normal(0, 1, (2, axes)), size
    )
    theta = np.concatenate([motions[:, 1:][:, ::-1], motions[:, :1]], axis=1).transpose(0, 2, 1)
    node = helper.make_node("AffineGrid", ["theta", "size"], ["grid"], align_corners=0)
    (grid,) = ReferenceEvaluator(node).run(None, {"theta": theta, "size": np.array([2, 1, *size])})
    assert np.allclose(basis(size) @ motions, np.asarray(grid).reshape(2, -1, axes), atol=1e-5)


def test_the_bumps_of_all_knots_add_up_to_one_in_the_middle() -> None:
    bumps = basis((20, 20), knots=6)[:, 3:].reshape(20, 20, 36)
    assert bumps.min() >= 0
    # The sum is whole where two knots lie on either side: between the second and the last but one.
    assert np.allclose(bumps.sum(axis=2)[4:16, 4:16], 1, atol=1e-6)


def test_a_bend_looks_aside_by_as_many_units_as_it_says() -> None:
    bend = np.tile([2.0, -3.0], (1, 25, 1))
    table = rows(np.eye(2)[np.newaxis], np.zeros((1, 2)), (20, 20), bend)
    positions = (basis((20, 20), 5) @ table[0]).reshape(20, 20, 2) * 10 + 9.5
    expected = np.stack(np.meshgrid(np.arange(20) - 3.0, np.arange(20) + 2.0), axis=-1)
    assert np.allclose(positions[6:14, 6:14], expected[6:14, 6:14], atol=1e-4)


def test_motions_are_drawn_within_their_ranges() -> None:
    count, size = 4000, (28, 28)
    still = STILL.draw(RANDOM, 1, size)

    def drawn(motions: Motions) -> Array:
        table: Array = motions.draw(np.random.default_rng(1), count, size)
        table[:, :3] -= still
        return table

    shifted = drawn(Motions(shift=2))[:, 0] * 14
    assert np.allclose([shifted.min(), shifted.max()], [-2, 2], atol=0.01)
    turned = np.degrees(np.arcsin(drawn(Motions(turn=20))[:, 1, 0]))
    assert np.allclose([turned.min(), turned.max()], [-20, 20], atol=0.1)
    zoomed = 1 / (1 + drawn(Motions(zoom=0.25))[:, 1, 1])
    assert np.allclose([zoomed.min(), zoomed.max()], [1 / 1.25, 1.25], atol=0.01)
    stretched = 1 / (1 + drawn(Motions(stretch=0.25))[:, [1, 2], [1, 0]])
    assert np.allclose(np.corrcoef(stretched.T), np.eye(2), atol=0.05)
    sheared = drawn(Motions(shear=0.3))[:, 1:]
    assert np.allclose([sheared.min(), sheared.max()], [-0.3, 0.3], atol=0.01)
    assert np.isclose(drawn(Motions(bend=1.5, knots=4))[:, 3:].std() * 14, 1.5, atol=0.02)


def test_a_bend_without_knots_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bend 1\.0 needs at least 2 knots, got 0"):
        Motions(bend=1.0)


@pytest.mark.parametrize(
    "augmentation",
    [
        MovedImages(
            (9, 12), Motions(turn=10, zoom=0.1, stretch=0.1, shear=0.2, shift=2, bend=1, knots=4)
        ),
        DisturbedSignals(1, 40, Motions(zoom=0.1, shift=3), gain=0.2, noise=0.1),
        TurnedSolids((28, 28)),
    ],
)
def test_equal_seeds_draw_equal_numbers_in_single_precision(augmentation: Augmentation) -> None:
    one, same, other = (augmentation.draw(np.random.default_rng(seed), 5) for seed in (1, 1, 2))
    for name, array in one.items():
        assert array.dtype == np.float32
        assert len(array) == 5
        assert np.array_equal(array, same[name])
        assert not np.array_equal(array, other[name])


def test_a_picture_is_altered_by_its_own_numbers_only() -> None:
    x = np.tile(pictures(28, 28)[:1], (4, 1, 1, 1))
    augmentation = MovedImages((28, 28), Motions(turn=10, shift=2, bend=1, knots=4))
    drawn = augmentation.draw(np.random.default_rng(0), 4)
    together = run(augmentation, x, drawn)
    alone = run(augmentation, x[2:3], {name: array[2:3] for name, array in drawn.items()})
    assert np.array_equal(together[2:3], alone)
    assert not np.array_equal(together[0], together[1])


def test_gain_and_noise_are_those_that_are_drawn() -> None:
    x = RANDOM.standard_normal((2000, 1, 40)).astype(np.float32)
    moved = run(DisturbedSignals(1, 40, STILL, gain=0.5, noise=0.1), x)
    gains = (moved * x).sum(axis=(1, 2)) / (x * x).sum(axis=(1, 2))
    assert np.allclose([gains.min(), gains.max()], [1 / 1.5, 1.5], atol=0.08)
    assert np.isclose((moved - gains[:, np.newaxis, np.newaxis] * x).std(), 0.1, atol=0.005)


def test_solids_of_the_graph_are_those_of_the_data_set() -> None:
    x = RANDOM.integers(0, 256, (20, 28, 28, 1), np.uint8)
    augmentation = TurnedSolids((28, 28))
    rotation = voxels.turns(np.random.default_rng(5), 20)
    solids = run(augmentation, x, {"augmentation.rotation": rotation})
    expected = voxels.solids(x[..., 0], rotation)
    assert solids.dtype == np.float32
    assert np.abs(solids - expected).max() <= 1
    assert (solids != expected).mean() < 0.001
