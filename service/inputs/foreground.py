"""Foreground segmentation: which grey levels of a picture are paper, and where on it the ink is.

The paper's tone is a plane fitted to the picture's border, so that a photograph may be brighter on
one side. What differs from it by more than its grain is ink; small components count as paper. The
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

# Least contrast of ink, in grey levels and in standard deviations of the paper's grain.
LEAST_CONTRAST = 16
GRAIN = 6
# Ink begins at this part of the strongest contrast: low, for the faint rim of a stroke is part of
# its width. In a picture of a few pixels even the faintest of them is as wide as one that the
# network sees.
RIM = 0.2
FAINT = 0.01
FEW_PIXELS = 64
# Positions with a larger condition number than this lie on a line, and many planes go through it.
LINE = 1e6
# Less grain than this, in grey levels, is rounding.
EVEN = 1e-6


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
    """A picture as ink on paper: `sign` is 1 where ink is lighter than paper, -1 where it is
    darker.
    """

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
    paper, grain = fit_paper(grey, rows, columns)
    ink = contrast(grey, paper, 1, rows, columns)
    sign = _sign(ink, grain, polarity)
    if sign < 0:
        np.negative(ink, out=ink)
    return Foreground(paper, sign, float(ink.max()), _ink(ink, grain, rows, columns, factor))


def contrast(grey: Array, paper: Paper, sign: Sign, rows: Array, columns: Array) -> Array:
    """How far the levels are from the paper's tone in the direction of ink."""
    tone = paper.tone(rows, columns)
    difference: Array = (
        np.subtract(grey, tone, out=tone) if sign > 0 else np.subtract(tone, grey, out=tone)
    )
    return difference


def fit_paper(grey: Array, rows: Array, columns: Array) -> tuple[Paper, float]:
    """The plane through the border by least squares without outliers, and the standard deviation of
    its grain.
    """
    levels = _border(grey).astype(np.float64)
    if not levels.any():
        return Paper(0.0, 0.0, 0.0), 0.0
    down_terms = _border(np.broadcast_to(rows[:, None], grey.shape))
    across_terms = _border(np.broadcast_to(columns, grey.shape))
    terms = np.stack([np.ones(len(levels)), down_terms, across_terms])
    residual = levels - _median(levels)
    grain, plane, previous = _deviation(residual), np.zeros(3), None
    for _ in range(3):
        # Ink that reaches the border is no paper, and the plane must not lean on it.
        inliers = np.abs(residual) <= max(3 * grain, 2)
        if previous is not None and np.array_equal(inliers, previous):
            break
        plane, previous = _plane(terms, levels, inliers, grain), inliers
        residual = levels - np.einsum("i,in->n", plane, terms)
        grain = _deviation(residual)
    level, down, across = plane.tolist()
    return Paper(level, down, across), grain


def _plane(terms: Array, levels: Array, inliers: Array, grain: float) -> Array:
    """The coefficients of `terms` [3, n] that come nearest to the inliers of `levels` [n].

    By the normal equations, which is quick, unless the positions lie on a line or the paper is
    perfectly even: then levels may equal a threshold, and the last bit decides.
    """
    if grain >= EVEN:
        weighted = terms * inliers
        # Not `@`, which wakes threads that then wait for more, at the cost of others.
        normal = np.einsum("in,jn->ij", weighted, terms)
        scale = 1 / np.sqrt(np.diag(normal))
        normal = normal * scale * scale[:, None]
        if np.linalg.cond(normal) < LINE:
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


def _sign(lighter: Array, grain: float, polarity: Polarity) -> Sign:
    if polarity != "auto":
        return -1 if polarity == "dark_on_light" else 1
    size = np.abs(lighter)
    beyond = size > GRAIN * grain
    return -1 if np.sum(lighter[beyond] * size[beyond]) < 0 else 1


def _ink(ink: Array, grain: float, rows: Array, columns: Array, factor: int) -> Ink | None:
    strongest = float(ink.max())
    if strongest < max(LEAST_CONTRAST, GRAIN * grain):
        return None
    rim = RIM if max(ink.shape) > FEW_PIXELS else FAINT
    threshold = min(max(rim * strongest, (GRAIN - 1) * grain), strongest / 2)
    shown = without_small_components(ink * (ink > threshold))
    spans, masses = [], []
    for positions, weights in ((rows, shown.sum(axis=1)), (columns, shown.sum(axis=0))):
        (inked,) = np.nonzero(weights)
        spans.append((float(inked[0] * factor), float((inked[-1] + 1) * factor)))
        masses.append(float(positions @ weights / weights.sum()))
    return Ink((spans[0], spans[1]), (masses[0], masses[1]))
