"""Connected components of a mask, and ink without the small ones: specks of dust, not strokes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Components are looked for on a grid of so many cells.
CELLS = 64
# A component with less than this part of the largest one's ink is small.
SMALL_COMPONENT = 0.05


def without_small_components(ink: Array) -> Array:
    """The ink [h, w] without its small components, which are told apart on a grid of cells."""
    cell = max(1, math.ceil(max(ink.shape) / CELLS))
    weights = _sums(_sums(ink, cell).T, cell).T
    components = list(connected_components(weights > 0))
    masses = [float(weights[cells_of(bits, weights.shape)].sum()) for bits in components]
    least = SMALL_COMPONENT * max(masses)
    large = [bits for bits, mass in zip(components, masses, strict=True) if mass >= least]
    if len(large) == len(components):
        return ink
    mask = cells_of(sum(large), weights.shape).repeat(cell, axis=0).repeat(cell, axis=1)
    clean: Array = ink * mask[: ink.shape[0], : ink.shape[1]]
    return clean


def _sums(ink: Array, count: int) -> Array:
    """The sums of each `count` rows, the last ones perhaps of fewer."""
    if count == 1:
        return ink
    complete = len(ink) // count * count
    sums: Array = ink[:complete].reshape(-1, count, ink.shape[1]).sum(axis=1)
    return sums if complete == len(ink) else np.vstack([sums, ink[complete:].sum(axis=0)])


def connected_components(cells: Array) -> Iterator[int]:
    """The connected components of cells [h, w] (diagonals connect), with a bit for each cell; see
    `cells_of`.

    A number of many bits is moved by one cell in one step: that is how a component grows into its
    neighbours.
    """
    width = cells.shape[1] + 1
    # The empty column keeps the ends of neighbouring rows apart.
    packed = np.packbits(np.pad(cells, ((0, 0), (0, 1))), bitorder="little")
    left = int.from_bytes(packed.tobytes(), "little")
    while left:
        component, grown = 0, left & -left
        while grown != component:
            component = grown
            wide = component | component << 1 | component >> 1
            grown = (wide | wide << width | wide >> width) & left
        yield component
        left ^= component


def cells_of(component: int, shape: tuple[int, ...]) -> Array:
    """Where the bits of a component lie: bool [h, w]."""
    height, width = shape[0], shape[1] + 1
    packed = np.frombuffer(component.to_bytes((height * width + 7) // 8, "little"), np.uint8)
    bits = np.unpackbits(packed, count=height * width, bitorder="little")
    return bits.view(bool).reshape(height, width)[:, :-1]
