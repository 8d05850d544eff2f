"""Augmentation inside the graph: a few random numbers, fed with a batch, alter it.

What a training step is fed stays small, equal seeds give equal batches wherever training resumes,
and the runtime does the work. Everything here is a `model_build.export.Augmentation`: `draw` gives
the random numbers, calling it writes the nodes. Images are moved where 0 is the background,
before anything is normalised.
"""
# onnxscript makes operators by attribute access, which no type checker can see through.
# mypy: no-warn-return-any

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript import OpBuilder, nn

from model_build.datasets import voxels
from model_build.datasets.motions import Motions, basis
from model_build.nn import Module

PaddingMode = Literal["zeros", "border"]
Drawn = Mapping[str, NDArray[Any]]
MOTION = "augmentation.motion"
ROTATION = "augmentation.rotation"
GAIN = "augmentation.gain"
NOISE = "augmentation.noise"


class Warp(Module):
    """Moves arrays of `size` by rows of `model_build.datasets.motions`, linearly interpolated.

    Outside the edges lie "zeros", or the values of the "border", as `padding_mode` says. The
    positions are one MatMul of the rows with a constant: AffineGrid could not bend.
    """

    def __init__(
        self, size: tuple[int, ...], knots: int = 0, padding_mode: PaddingMode = "zeros"
    ) -> None:
        super().__init__("augmentation.warp")
        self.size, self.padding_mode = size, padding_mode
        self.basis = _constant(basis(size, knots))

    def forward(self, op: OpBuilder, x: ir.Value, motion: ir.Value) -> ir.Value:
        """float32 [N, C, spatial...], rows [N, 1 + axes + knots ** axes, axes] -> as x."""
        positions = op.MatMul(self.basis, motion)
        if len(self.size) > 1:
            grid = op.Reshape(positions, [0, *self.size, len(self.size)])
            return _sampled(op, x, grid, self.padding_mode)
        # GridSample begins at two axes: a signal is an image of one row, and 0 is the middle of
        # that row.
        grid = op.Unsqueeze(op.Pad(positions, [0, 0, 0, 0, 0, 1]), [1])
        return op.Squeeze(_sampled(op, op.Unsqueeze(x, [2]), grid, self.padding_mode), [2])


class Extrude(Module):
    """`datasets.voxels.solids` as a graph: images [N, H, W, 1] into turned solids."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__("augmentation.extrude")
        self.down = _constant(voxels.reduction(size[0]))
        self.across = _constant(voxels.reduction(size[1]).T)
        centred = np.indices([voxels.SIDE] * 3).reshape(3, -1).T - (voxels.SIDE - 1) / 2
        self.voxels = _constant(centred)

    def forward(self, op: OpBuilder, images: ir.Value, rotation: ir.Value) -> ir.Value:
        """uint8 [N, H, W, 1], rotations [N, 3, 3] -> float32 [N, 1, 16, 16, 16].

        The values are whole levels from 0 to 255.
        """
        side = voxels.SIDE
        flat = op.Squeeze(op.Cast(images, to=ir.DataType.FLOAT), [3])
        faces = op.Unsqueeze(op.MatMul(op.MatMul(self.down, flat), self.across), [1])
        # Coordinates as rows times the matrix: as columns, times its transpose, the inverse.
        on_face = op.Gather(rotation, [2, 1], axis=2)
        grid = op.Reshape(
            op.MatMul(self.voxels, op.Mul(on_face, 2 / side)), [0, side * side, side, 2]
        )
        seen = op.Reshape(_sampled(op, faces, grid), [0, 1, side, side, side])
        depth = op.Reshape(
            op.MatMul(self.voxels, op.Gather(rotation, [0], axis=2)), [0, 1, *[side] * 3]
        )
        thickness = op.Clip(op.Sub(voxels.HALF_THICKNESS + 0.5, op.Abs(depth)), 0.0, 1.0)
        return op.Round(op.Mul(seen, thickness))


@dataclass(frozen=True)
class MovedImages:
    """Images of `size` (height, width), uint8 [N, H, W, C], moved at random."""

    size: tuple[int, int]
    motions: Motions

    def draw(self, random: np.random.Generator, batch: int) -> Drawn:
        """The motions of a batch."""
        return {MOTION: self.motions.draw(random, batch, self.size)}

    def __call__(
        self, op: OpBuilder, images: ir.Value, random_inputs: Mapping[str, ir.Value]
    ) -> ir.Value:
        """The moved images, rounded to whole levels."""
        x = op.Transpose(op.Cast(images, to=ir.DataType.FLOAT), perm=[0, 3, 1, 2])
        moved = op.Round(Warp(self.size, self.motions.knots)(op, x, random_inputs[MOTION]))
        return op.Cast(op.Transpose(moved, perm=[0, 2, 3, 1]), to=ir.DataType.UINT8)


@dataclass(frozen=True)
class DisturbedSignals:
    """Signals, float32 [N, C, length], moved, made louder or softer, and covered with noise.

    A signal has no background of 0: outside its ends lie its first and last values, unless
    `padding_mode` says otherwise. `gain` is a fraction (0.1: from 1 / 1.1 to 1.1 times), `noise`
    the standard deviation of what is added to each sample.
    """

    channels: int
    length: int
    motions: Motions
    gain: float = 0.0
    noise: float = 0.0
    padding_mode: PaddingMode = "border"

    def draw(self, random: np.random.Generator, batch: int) -> Drawn:
        """The motions, gains and noise of a batch."""
        motion = self.motions.draw(random, batch, (self.length,))
        gain = np.exp(np.log1p(self.gain) * random.uniform(-1, 1, (batch, 1, 1))).astype(np.float32)
        noise = random.standard_normal(
            (batch, self.channels, self.length), np.float32
        ) * np.float32(self.noise)
        return {MOTION: motion, GAIN: gain, NOISE: noise}

    def __call__(
        self, op: OpBuilder, images: ir.Value, random_inputs: Mapping[str, ir.Value]
    ) -> ir.Value:
        """The disturbed signals."""
        moved = Warp((self.length,), self.motions.knots, self.padding_mode)(
            op, images, random_inputs[MOTION]
        )
        return op.Add(op.Mul(moved, random_inputs[GAIN]), random_inputs[NOISE])


@dataclass(frozen=True)
class TurnedSolids:
    """Images of `size`, uint8 [N, H, W, 1], into the volumes of `datasets.voxels`.

    They are turned anew in every batch: a network learns from other views of a digit each time,
    from a fifth of the memory that volumes take.
    """

    size: tuple[int, int]
    degrees: float = voxels.DEGREES

    def draw(self, random: np.random.Generator, batch: int) -> Drawn:
        """The rotations of a batch."""
        return {ROTATION: voxels.turns(random, batch, self.degrees)}

    def __call__(
        self, op: OpBuilder, images: ir.Value, random_inputs: Mapping[str, ir.Value]
    ) -> ir.Value:
        """The volumes, float32 [N, 1, 16, 16, 16]."""
        return Extrude(self.size)(op, images, random_inputs[ROTATION])


def _sampled(
    op: OpBuilder, x: ir.Value, grid: ir.Value, padding_mode: PaddingMode = "zeros"
) -> ir.Value:
    return op.GridSample(x, grid, mode="linear", padding_mode=padding_mode, align_corners=0)


def _constant(array: NDArray[Any]) -> nn.Parameter:
    return nn.Parameter(list(array.shape), data=ir.tensor(np.ascontiguousarray(array, np.float32)))
