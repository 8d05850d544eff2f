"""Foreground segmentation: which grey levels of a picture are paper, and where on it the ink is.

The paper's tone is a plane fitted to the picture's border, so that a photograph may be brighter on
one side. What differs from it by more than its noise is ink; small components count as paper. The
segmentation works on a reduced copy, in which noise is averaged away; positions are in pixels of
the picture itself.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from service.inputs.connected_components import without_small_components

Array = np.ndarray[Any, Any]
Polarity = Literal["as_is", "light_on_dark", "dark_on_light", "auto"]
Sign = Literal[-1, 1]
Span = tuple[float, float]

# Least contrast of ink, in grey levels and in standard deviations of the paper's noise.
LEAST_CONTRAST = 16
NOISE_FACTOR = 6
# The threshold of ink, as a part of the strongest contrast: low, for the faint rim of a stroke is
# part of its width. In a picture of a few pixels even the faintest of them is as wide as one that
# the network sees.
THRESHOLD = 0.2
SMALL_THRESHOLD = 0.01
SMALL_SIDE = 64
# Positions with a larger condition number than this lie on a line, and many planes go through it.
MAX_CONDITION = 1e6
# Less noise than this, in grey levels, is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Paper:
    """The tone of the empty sheet in grey levels: `level` at the picture's corner, and its slopes
    per pixel.
    """

    level: float
    down: float
    across: float

    def tone(self, rows: Array, columns: Array) -> Array:
        """The tone at these positions, [len(rows), len(columns)]; pixel i lies at i + 0.5."""
        tone: Array = self.level + self.down * rows[:, None] + self.across * columns[None, :]
        return tone


@dataclass(frozen=True)
class Ink:
    """The bounding box of the ink, rows then columns, and its centre of mass, in pixels of the
    picture.
    """

    box: tuple[Span, Span]
    mass: tuple[float, float]


@dataclass(frozen=True)
class Foreground:
    """A picture as ink on paper: `sign` is 1 where ink is lighter, -1 where it is darker."""

    paper: Paper
    sign: Sign
    strongest: float
    """The largest contrast of ink to paper, in grey levels."""
    ink: Ink | None
    """None for a blank sheet."""


def segment(grey: Array, factor: int, polarity: Polarity) -> Foreground:
    """The foreground of these grey levels [h, w], each the mean of `factor` x `factor` pixels of
    the picture.
    """
    rows, columns = ((np.arange(count) + 0.5) * factor for count in grey.shape)
    paper, noise = fit_paper(grey, rows, columns)
    ink = contrast(grey, paper, 1, rows, columns)
    sign = _sign(ink, noise, polarity)
    if sign < 0:
        np.negative(ink, out=ink)
    return Foreground(paper, sign, float(ink.max()), _ink(ink, noise, rows, columns, factor))


def contrast(grey: Array, paper: Paper, sign: Sign, rows: Array, columns: Array) -> Array:
    """How far the levels are from the paper's tone in the direction of ink."""
    tone = paper.tone(rows, columns)
    difference: Array = (
        np.subtract(grey, tone, out=tone) if sign > 0 else np.subtract(tone, grey, out=tone)
    )
    return difference


def fit_paper(grey: Array, rows: Array, columns: Array) -> tuple[Paper, float]:
    """The plane through the border by least squares without outliers, and the standard deviation of
    its noise.
    """
    levels = _border(grey).astype(np.float64)
    if not levels.any():
        return Paper(0.0, 0.0, 0.0), 0.0
    down_terms = _border(np.broadcast_to(rows[:, None], grey.shape))
    across_terms = _border(np.broadcast_to(columns, grey.shape))
    terms = np.stack([np.ones(len(levels)), down_terms, across_terms])
    residual = levels - _median(levels)
    noise, plane, previous = _deviation(residual), np.zeros(3), None
    for _ in range(3):
        # Ink that reaches the border is no paper, and the plane must not lean on it.
        inliers = np.abs(residual) <= max(3 * noise, 2)
        if previous is not None and np.array_equal(inliers, previous):
            break
        plane, previous = _plane(terms, levels, inliers, noise), inliers
        residual = levels - np.einsum("i,in->n", plane, terms)
        noise = _deviation(residual)
    level, down, across = plane.tolist()
    return Paper(level, down, across), noise


def _plane(terms: Array, levels: Array, inliers: Array, noise: float) -> Array:
    """The coefficients of `terms` [3, n] that come nearest to the inliers of `levels` [n].

    By the normal equations, which is quick, unless the positions lie on a line or the paper is
    perfectly even: then levels may equal a threshold, and the last bit decides.
    """
    if noise >= ROUNDING:
        weighted = terms * inliers
        # Not `@`, which wakes threads that then wait for more, at the cost of others.
        normal = np.einsum("in,jn->ij", weighted, terms)
        scale = 1 / np.sqrt(np.diag(normal))
        normal = normal * scale * scale[:, None]
        if np.linalg.cond(normal) < MAX_CONDITION:
            return scale * np.linalg.solve(normal, scale * np.einsum("in,n->i", weighted, levels))
    return np.linalg.lstsq(terms[:, inliers].T, levels[inliers])[0]


def _border(grey: Array) -> Array:
    """The values [n] along the four sides of [h, w], row by row."""
    width = max(1, min(grey.shape) // 25)
    if min(grey.shape) <= 2 * width:
        return grey.ravel()
    inside = grey[width:-width]
    sides = np.hstack([inside[:, :width], inside[:, -width:]])
    return np.concatenate([grey[:width].ravel(), sides.ravel(), grey[-width:].ravel()])


def _deviation(residual: Array) -> float:
    """The standard deviation of a normal distribution with this median of absolute values."""
    return 1.4826 * _median(np.abs(residual))


def _median(values: Array) -> float:
    """As numpy's, which also looks for what is not a number."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    below, above = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1].tolist()
    return float(below + above) / 2


def _sign(lighter: Array, noise: float, polarity: Polarity) -> Sign:
    if polarity != "auto":
        return -1 if polarity == "dark_on_light" else 1
    size = np.abs(lighter)
    significant = size > NOISE_FACTOR * noise
    balance = np.sum(lighter[significant] * size[significant])
    return -1 if balance < 0 else 1


def _ink(ink: Array, noise: float, rows: Array, columns: Array, factor: int) -> Ink | None:
    strongest = float(ink.max())
    if strongest < max(LEAST_CONTRAST, NOISE_FACTOR * noise):
        return None
    share = THRESHOLD if max(ink.shape) > SMALL_SIDE else SMALL_THRESHOLD
    threshold = min(max(share * strongest, (NOISE_FACTOR - 1) * noise), strongest / 2)
    strokes = without_small_components(ink * (ink > threshold))
    row_span, row_mass = _extent(strokes.sum(axis=1), rows, factor)
    column_span, column_mass = _extent(strokes.sum(axis=0), columns, factor)
    return Ink((row_span, column_span), (row_mass, column_mass))


def _extent(weights: Array, positions: Array, factor: int) -> tuple[Span, float]:
    """Where the ink begins and ends along an axis, and its centre of mass."""
    (inked,) = np.nonzero(weights)
    span = float(inked[0] * factor), float((inked[-1] + 1) * factor)
    return span, float(positions @ weights / weights.sum())
