"""Solid digits: MNIST's images as volumes of 16 x 16 x 16 voxels, each turned at random.

1. The image of 28 x 28 is reduced to 16 x 16: each value is the mean of the area of 1.75 x 1.75
  pixels below it.
2. It becomes the slices 6 to 9 of a volume [depth, row, column]; the other twelve are 0.
3. Three angles are drawn evenly between -30 and 30 degrees; the solid turns about its centre by the
  first in the plane (depth, row), after the second in (depth, column), after the third in (row,
  column).
4. Every voxel of the result is read from the solid by trilinear interpolation, 0 outside, rounded
  to a whole level.

A solid is the same in all its slices, so that step 4 is a bilinear reading of the image times how
much of the slab is there.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_build.datasets import mnist
from model_build.datasets.motions import rotations
from model_build.datasets.split import DIGITS, Dataset, Split

SIDE = 16
HALF_THICKNESS = 2.0
DEGREES = 30.0
SEED = 0
TRAIN, TEST = 0, 1
"""Streams of random numbers of one seed."""
PROVENANCE = (
    f"{mnist.PROVENANCE} Extruded into {SIDE} x {SIDE} x {SIDE} voxels and turned by up to "
    f"{DEGREES:g} degrees in each plane, see docs/data.md."
)
_CHUNK = 256
_CENTRE = (SIDE - 1) / 2


def load(
    data: Path | None = None,
    seed: int = SEED,
    degrees: float = DEGREES,
    log: Callable[[str], None] = lambda _line: None,
) -> Dataset:
    """60,000 volumes to learn from and 10,000 for the test, uint8 [N, 1, 16, 16, 16].

    `data` and `log` as in `mnist.load`; raises DataError. The volumes take 290 MB.
    """
    digits = mnist.load(data, log)
    train = turned(digits.train, np.random.default_rng([seed, TRAIN]), degrees)
    test = turned(digits.test, np.random.default_rng([seed, TEST]), degrees)
    return Dataset("voxels", train, test, DIGITS, PROVENANCE, mnist.LICENCE)


def turned(digits: Split, random: np.random.Generator, degrees: float = DEGREES) -> Split:
    """The solids of these images, each turned by angles of its own."""
    rotation = turns(random, len(digits), degrees)
    return Split(solids(digits.inputs[..., 0], rotation), digits.labels)


def turns(random: np.random.Generator, count: int, degrees: float = DEGREES) -> NDArray[np.float32]:
    """Random rotations, float32 [count, 3, 3]; equal generators give equal ones."""
    angles = np.radians(random.uniform(-degrees, degrees, (count, 3)))
    return rotations(angles, 3).astype(np.float32)


def reduction(size: int) -> NDArray[np.float32]:
    """The matrix [16, size] that takes means over equal shares of `size` pixels.

    Fractions of a pixel are included.
    """
    edges = np.arange(SIDE + 1) * size / SIDE
    pixels = np.arange(size)
    starts = np.maximum(edges[:-1, np.newaxis], pixels)
    overlap = np.minimum(edges[1:, np.newaxis], pixels + 1) - starts
    shares: NDArray[np.float64] = np.clip(overlap, 0, None) * SIDE / size
    return shares.astype(np.float32)


def solids(images: NDArray[np.uint8], rotation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Volumes, uint8 [N, 1, 16, 16, 16], of images [N, H, W], turned by `rotation` [N, 3, 3]."""
    volumes = np.zeros((len(images), 1, SIDE, SIDE, SIDE), np.uint8)
    down, across = reduction(images.shape[1]), reduction(images.shape[2])
    for start in range(0, len(images), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        faces = down @ images[chunk].astype(np.float32) @ across.T
        volumes[chunk] = _solids(faces, rotation[chunk])
    return volumes


def _solids(faces: NDArray[np.float32], rotation: NDArray[np.float32]) -> NDArray[np.uint8]:
    count = len(faces)
    # To turn by a matrix is to look through its inverse, which is its transpose.
    depth, row, column = np.moveaxis(rotation.transpose(0, 2, 1) @ _VOXELS, 1, 0).reshape(3, -1)
    thickness = HALF_THICKNESS + 0.5 - np.abs(depth)
    inside = np.flatnonzero(thickness > 0)
    # A ring of zeros around each face: what is read beyond it is nothing.
    framed = np.pad(faces, [(0, 0), (1, 1), (1, 1)]).reshape(-1)
    values = _bilinear(
        framed, inside // SIDE**3, row[inside] + _CENTRE + 1, column[inside] + _CENTRE + 1
    )
    volumes = np.zeros(count * SIDE**3, np.uint8)
    volumes[inside] = np.rint(values * np.minimum(thickness[inside], 1))
    return volumes.reshape(count, 1, SIDE, SIDE, SIDE)


def _bilinear(
    framed: NDArray[np.float32],
    image: NDArray[np.intp],
    row: NDArray[np.float32],
    column: NDArray[np.float32],
) -> NDArray[np.float32]:
    side = SIDE + 2
    row, column = np.clip(row, 0, SIDE + 0.999), np.clip(column, 0, SIDE + 0.999)
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = row - top.astype(np.float32), column - left.astype(np.float32)
    corner = image * side**2 + top * side + left
    upper = framed[corner] * (1 - right) + framed[corner + 1] * right
    lower = framed[corner + side] * (1 - right) + framed[corner + side + 1] * right
    values: NDArray[np.float32] = upper * (1 - down) + lower * down
    return values


_VOXELS = (np.indices((SIDE, SIDE, SIDE)).reshape(3, -1) - _CENTRE).astype(np.float32)
