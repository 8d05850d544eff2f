"""Random motions of images, signals and volumes, as the few numbers that a graph moves a batch by.

A motion is a table of rows [1 + axes + knots ** axes, axes]: which combination of a constant, of
the coordinates and of smooth bumps tells a unit of the result where in the input it looks.
Coordinates run from -1 to 1 between the outer edges of an axis; the rows' columns are in
GridSample's order, last axis first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def rotations(angles: Floats, axes: int) -> NDArray[np.float64]:
    """Rotation matrices [N, axes, axes] from angles [N, planes] in radians.

    There is one angle for each plane (i, j), i < j. In an array's coordinates, (row, column) and
    (depth, row, column); in an image a positive angle turns counter-clockwise. The planes are
    (0, 1), (0, 2), (1, 2); the last one turns first.
    """
    result = np.tile(np.eye(axes), (len(angles), 1, 1))
    for angle, (i, j) in zip(np.transpose(angles), combinations(range(axes), 2), strict=True):
        turn = np.tile(np.eye(axes), (len(angles), 1, 1))
        turn[:, i, i] = turn[:, j, j] = np.cos(angle)
        turn[:, i, j], turn[:, j, i] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def rows(
    matrix: Floats, shift: Floats, size: Sequence[int], bend: Floats | None = None
) -> NDArray[np.float32]:
    """The motion by `matrix` [N, axes, axes] about the centre, then by `shift` [N, axes] units.

    `bend` [N, knots ** axes, axes] adds how far, in units, the result looks aside near each knot.
    """
    inverse = np.linalg.inv(matrix)
    sides = np.asarray(size, float)
    constant = -(inverse @ shift[:, :, np.newaxis]).transpose(0, 2, 1)
    # Row j, column k: how far along axis k the input is read for one half-side along axis j.
    linear = inverse.transpose(0, 2, 1) * (sides / 2)[:, np.newaxis]
    parts = [constant, linear] if bend is None else [constant, linear, bend]
    return (np.concatenate(parts, axis=1) * (2 / sides))[:, :, ::-1].astype(np.float32)


def basis(size: Sequence[int], knots: int = 0) -> NDArray[np.float32]:
    """What the rows are combined from, at each unit: [units, 1 + axes + knots ** axes].

    The bumps are products of cubic B-splines around `knots` evenly spaced points of each axis.
    """
    centres = [(2 * np.arange(side) + 1) / side - 1 for side in size]
    grids = np.meshgrid(*centres, indexing="ij")
    coordinates = np.stack([grid.ravel() for grid in grids], axis=1)
    columns = [np.ones((len(coordinates), 1)), coordinates]
    if knots:
        axes = range(len(size))
        positions = np.linspace(-1, 1, knots)
        per_axis = _spline((coordinates[:, :, np.newaxis] - positions) * (knots - 1) / 2)
        bumps = [
            per_axis[:, axes, knot].prod(axis=1) for knot in product(range(knots), repeat=len(size))
        ]
        columns.append(np.stack(bumps, axis=1))
    return np.concatenate(columns, axis=1).astype(np.float32)


def _spline(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cubic B-spline: 2/3 at 0, 1/6 at ±1, 0 from ±2 on."""
    far = np.abs(x)
    near = 2 / 3 - far**2 + far**3 / 2
    return np.where(far < 1, near, np.clip(2 - far, 0, None) ** 3 / 6)


@dataclass(frozen=True)
class Motions:
    """The ranges from which motions are drawn, evenly between the negative of a number and itself.

    `turn` in degrees for every plane; `zoom` and `stretch` as fractions (0.1: from 1 / 1.1 to 1.1
    times), the first for all axes alike, the second for each on its own; `shear` units sideways per
    unit; `shift` in units. `bend` is the standard deviation, in units, of normally distributed
    displacements of `knots` points along each axis.
    """

    turn: float = 0.0
    zoom: float = 0.0
    stretch: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    bend: float = 0.0
    knots: int = 0

    def __post_init__(self) -> None:
        if self.bend and self.knots < 2:
            raise ValueError(f"bend {self.bend} needs at least 2 knots, got {self.knots}")

    def draw(
        self, random: np.random.Generator, count: int, size: Sequence[int]
    ) -> NDArray[np.float32]:
        """The rows of `count` motions of arrays of `size`.

        float32 [count, 1 + axes + knots ** axes, axes].
        """
        axes = len(size)
        planes = axes * (axes - 1) // 2
        turned = rotations(np.radians(self.turn) * random.uniform(-1, 1, (count, planes)), axes)
        sheared = np.tile(np.eye(axes), (count, 1, 1))
        above = np.triu_indices(axes, 1)
        sheared[:, above[0], above[1]] = self.shear * random.uniform(-1, 1, (count, planes))
        zoomed = np.log1p(self.zoom) * random.uniform(-1, 1, (count, 1))
        stretched = np.log1p(self.stretch) * random.uniform(-1, 1, (count, axes))
        matrix = turned @ sheared * np.exp(zoomed + stretched)[:, np.newaxis]
        shift = self.shift * random.uniform(-1, 1, (count, axes))
        bend = None
        if self.knots:
            bend = self.bend * random.standard_normal((count, self.knots**axes, axes))
        return rows(matrix, shift, size, bend)
