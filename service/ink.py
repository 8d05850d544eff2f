"""Ink on paper: which grey levels of a picture are paper, and where on it the ink is.

The paper's tone is a plane fitted to the picture's border, so that a photograph may be brighter on one side. What
differs from it by more than its grain is ink; specks count as paper. All of it is found in a reduced copy, in which
noise is averaged away; places are given in pixels of the whole picture.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, Any]
Polarity = Literal["as_is", "light_on_dark", "dark_on_light", "auto"]
Sign = Literal[-1, 1]
Span = tuple[float, float]

# The reduced copy has at most so many pixels along either side; specks are looked for on a grid of so many cells.
REDUCED = 512
CELLS = 64
# Least contrast of ink, in grey levels and in standard deviations of the paper's grain.
LEAST = 16
GRAIN = 6
# Ink begins at this part of the strongest contrast: low, for the faint rim of a stroke is part of its width. In a
# picture of a few pixels even the faintest of them is as wide as one that the network sees.
RIM = 0.2
FAINT = 0.01
SMALL = 64
# A connected piece with less than this part of the largest one's ink is a speck.
SPECK = 0.05


@dataclass(frozen=True)
class Paper:
    """The tone of the empty sheet in grey levels: `level` at the picture's corner, and its slopes per pixel."""

    level: float
    down: float
    across: float

    def tone(self, rows: Array, columns: Array) -> Array:
        """The tone at these places, [len(rows), len(columns)]; pixel i lies at i + 0.5."""
        tone: Array = self.level + self.down * rows[:, None] + self.across * columns[None, :]
        return tone


@dataclass(frozen=True)
class Ink:
    """The bounding box of the ink, rows then columns, and its centre of mass, in pixels of the picture."""

    box: tuple[Span, Span]
    mass: tuple[float, float]


@dataclass(frozen=True)
class Sheet:
    """A picture as ink on paper: `sign` is 1 where ink is lighter than paper, -1 where it is darker."""

    paper: Paper
    sign: Sign
    strongest: float
    """The largest contrast of ink to paper, in grey levels."""
    ink: Ink | None
    """None for a blank sheet."""


@dataclass(frozen=True)
class Tones:
    """The straight line from grey levels to ink: the paper's tone becomes 0, `white` levels from it become 255."""

    paper: Paper
    sign: Sign
    white: float

    def applied(self, grey: Array, rows: Array, columns: Array) -> Array:
        """The ink in grey levels [H, W] taken at these rows and columns: uint8, each pixel for itself."""
        ink = contrast(grey, self.paper, self.sign, rows, columns)
        levels: Array = np.rint(np.clip(ink * (255 / self.white), 0, 255)).astype(np.uint8)
        return levels


def factor_of(height: int, width: int) -> int:
    """By how much a picture of this size is to be reduced before `look`."""
    return max(1, math.ceil(max(height, width) / REDUCED))


def look(grey: Array, factor: int, polarity: Polarity) -> Sheet:
    """The sheet shown by these grey levels [h, w], each the mean of `factor` x `factor` pixels of the picture."""
    rows, columns = ((np.arange(count) + 0.5) * factor for count in grey.shape)
    paper, grain = _paper(grey.astype(np.float64), rows, columns)
    lighter = contrast(grey, paper, 1, rows, columns)
    sign = _sign(lighter, grain, polarity)
    ink = lighter * sign
    return Sheet(paper, sign, float(ink.max()), _ink(ink, grain, rows, columns, factor))


def tones(sheet: Sheet, grey: Array, rows: Array, columns: Array) -> Tones:
    """The tones by which the strongest ink of these grey levels [H, W], resized ones, becomes 255.

    Thin strokes pale when they are resized, so it is theirs that counts; but what a kernel adds at an edge is no ink.
    """
    resized = contrast(grey, sheet.paper, sheet.sign, rows, columns).max(initial=0)
    return Tones(sheet.paper, sheet.sign, max(min(float(resized), sheet.strongest), LEAST))


def contrast(grey: Array, paper: Paper, sign: Sign, rows: Array, columns: Array) -> Array:
    """How far the levels are from the paper's tone in the direction of ink."""
    difference: Array = (grey - paper.tone(rows, columns)) * sign
    return difference


def _paper(grey: Array, rows: Array, columns: Array) -> tuple[Paper, float]:
    """The plane through the border by least squares without outliers, and the standard deviation of its grain."""
    border = _border(grey.shape)
    levels, places = grey[border], np.argwhere(border)
    terms = np.stack([np.ones(len(places)), rows[places[:, 0]], columns[places[:, 1]]], axis=1)
    residual = levels - np.median(levels)
    plane = np.zeros(3)
    for _ in range(3):
        # Ink that reaches the border is no paper, and the plane must not lean on it.
        kept = np.abs(residual) <= max(3 * _deviation(residual), 2)
        plane = np.linalg.lstsq(terms[kept], levels[kept])[0]
        residual = levels - terms @ plane
    level, down, across = plane.tolist()
    return Paper(level, down, across), _deviation(residual)


def _border(shape: tuple[int, ...]) -> Array:
    width = max(1, min(shape) // 25)
    border = np.ones(shape, bool)
    border[width:-width, width:-width] = False
    return border


def _deviation(residual: Array) -> float:
    """The standard deviation of a normal distribution with this median of absolute values."""
    return 1.4826 * float(np.median(np.abs(residual)))


def _sign(lighter: Array, grain: float, polarity: Polarity) -> Sign:
    if polarity != "auto":
        return -1 if polarity == "dark_on_light" else 1
    beyond = np.where(np.abs(lighter) > GRAIN * grain, lighter, 0)
    return -1 if np.sum(beyond * np.abs(beyond)) < 0 else 1


def _ink(ink: Array, grain: float, rows: Array, columns: Array, factor: int) -> Ink | None:
    strongest = float(ink.max())
    if strongest < max(LEAST, GRAIN * grain):
        return None
    rim = RIM if max(ink.shape) > SMALL else FAINT
    threshold = min(max(rim * strongest, (GRAIN - 1) * grain), strongest / 2)
    shown = np.where(_without_specks(np.where(ink > threshold, ink, 0)), ink, 0)
    shown[ink <= threshold] = 0
    spans, masses = [], []
    for places, weights in ((rows, shown.sum(axis=1)), (columns, shown.sum(axis=0))):
        (inked,) = np.nonzero(weights)
        spans.append((float(inked[0] * factor), float((inked[-1] + 1) * factor)))
        masses.append(float(places @ weights / weights.sum()))
    return Ink((spans[0], spans[1]), (masses[0], masses[1]))


def _without_specks(ink: Array) -> Array:
    """Where the pieces of ink lie that are no specks, [h, w]; pieces are told apart on a grid of cells."""
    cell = max(1, math.ceil(max(ink.shape) / CELLS))
    starts = [np.arange(0, count, cell) for count in ink.shape]
    weights = np.add.reduceat(np.add.reduceat(ink, starts[0], axis=0), starts[1], axis=1)
    labels = _labels(weights > 0)
    pieces = np.bincount(labels.ravel(), weights.ravel())
    large = (pieces >= SPECK * pieces.max())[labels]
    kept: Array = large.repeat(cell, axis=0).repeat(cell, axis=1)[: ink.shape[0], : ink.shape[1]]
    return kept


def _labels(cells: Array) -> Array:
    """A number for each connected piece of cells (diagonals connect), 0 for the rest: its largest spreads."""
    labels = np.where(cells, np.arange(1, cells.size + 1).reshape(cells.shape), 0)
    while True:
        padded = np.pad(labels, 1)
        wide = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
        spread = np.where(cells, np.maximum(np.maximum(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:]), 0)
        if np.array_equal(spread, labels):
            return labels
        labels = spread
