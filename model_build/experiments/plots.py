"""Plots of a training as PNG files: the curve, the confusion matrix, the learned kernels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from model_build.evaluate import Scores

Array = NDArray[Any]
MOST_TILES = 1024
_LEARNED, _HELD_OUT, _RATE, _QUIET = "#1f6f8b", "#d1495b", "#6c757d", "#b8bec4"
_DPI = 150


class PlotError(ValueError):
    """There is nothing to draw, or no way to draw it; the message says what was expected."""


@dataclass(frozen=True)
class Curve:
    """Loss and learning rate of a training at `epochs`, and scores on held-out examples.

    `epochs` and `scored` count passes over the data and may be fractions; `accuracy` is a share
    from 0 to 1.
    """

    epochs: Sequence[float]
    loss: Sequence[float]
    learning_rate: Sequence[float]
    scored: Sequence[float] = ()
    accuracy: Sequence[float] = ()
    held_out_loss: Sequence[float] = ()

    def __post_init__(self) -> None:
        moments, scores = len(self.epochs), len(self.scored)
        if not moments or {len(self.loss), len(self.learning_rate)} != {moments}:
            raise PlotError(
                f"expected a loss and a rate for each of {moments} moments, and at least one"
            )
        if len(self.accuracy) != scores or len(self.held_out_loss) not in (0, scores):
            raise PlotError(
                f"expected an accuracy, and a loss or none, for each of {scores} scores"
            )


def training_curve(curve: Curve, title: str, path: Path) -> None:
    """Loss, error on held-out examples and learning rate over the epochs, one below the other."""
    figure = _figure(7, 6.4, title)
    loss, error, rate = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
    loss.plot(curve.epochs, curve.loss, color=_QUIET, linewidth=0.8)
    loss.plot(curve.epochs, _smooth(curve.loss), color=_LEARNED, label="training")
    if len(curve.held_out_loss):
        loss.plot(curve.scored, curve.held_out_loss, color=_HELD_OUT, marker=".", label="held out")
    _logarithmic(loss, [*curve.loss, *curve.held_out_loss])
    loss.set_ylabel("loss")
    loss.legend(frameon=False)
    _error(error, curve)
    rate.plot(curve.epochs, curve.learning_rate, color=_RATE)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("epoch")
    rate.set_ylim(bottom=0)
    for axes in (loss, error, rate):
        _plain(axes)
    figure.align_ylabels()
    figure.savefig(path, dpi=_DPI, bbox_inches="tight", metadata={"Software": None})


def _error(axes: Axes, curve: Curve) -> None:
    axes.set_ylabel("error, %")
    if not len(curve.scored):
        axes.text(
            0.5, 0.5, "nothing was held out", ha="center", va="center", transform=axes.transAxes
        )
        return
    errors = 100 * (1 - np.asarray(curve.accuracy))
    axes.plot(curve.scored, errors, color=_HELD_OUT, marker=".")
    best = int(errors.argmin())
    axes.axhline(errors[best], color=_QUIET, linewidth=0.8, linestyle=":")
    axes.plot(curve.scored[best], errors[best], "o", color=_HELD_OUT)
    axes.set_title(
        f"least error {errors[best]:.2f} % at epoch {curve.scored[best]:.4g}",
        loc="right",
        fontsize=9,
    )
    _logarithmic(axes, errors)


def confusion_matrix(scores: Scores, classes: Sequence[str], title: str, path: Path) -> None:
    """How many examples of each class (down) were taken for which (across).

    Only the errors are coloured.
    """
    matrix, count = scores.confusion, len(scores.confusion)
    if len(classes) != count:
        raise PlotError(f"expected {count} names of classes, got {len(classes)}")
    side = max(4.5, 0.52 * count + 1.2)
    figure = _figure(side, side + 0.3, title)
    axes = figure.subplots()
    wrong = np.where(np.eye(count, dtype=bool), 0, matrix)
    axes.imshow(wrong, cmap="Reds", vmin=0, vmax=max(1.3 * wrong.max(), 10))
    for true, answer in np.argwhere(matrix > 0):
        colour = "#555" if true == answer else "#000"
        axes.text(
            answer,
            true,
            str(matrix[true, answer]),
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
        )
    shares = zip(classes, scores.recall, strict=True)
    axes.set_xticks(range(count), classes)
    axes.set_yticks(range(count), [f"{name}  {recall:.1%}" for name, recall in shares])
    axes.set_xlabel("answer")
    axes.set_ylabel("true class, and the share of it that was found")
    low, high = scores.interval
    right = f"{scores.accuracy:.2%} right ({low:.2%} to {high:.2%})"
    axes.set_title(f"{right}, {scores.errors} of {scores.examples:,} wrong", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def kernel_sheet(kernels: Array, title: str, path: Path) -> None:
    """The kernels of one layer, [out, in, spatial...], of one to three axes.

    Red is positive, blue negative, white 0.
    A kernel of a signal is drawn as a line, one of a volume as its slices beside each other; each
    on a scale of its own. Kernels that read three channels of a picture are drawn in colour, other
    channels follow each other.
    """
    axes_count = kernels.ndim - 2
    if axes_count not in (1, 2, 3) or not kernels.size:
        raise PlotError(
            "expected kernels [out, in, spatial...] of one to three axes, got shape "
            f"{list(kernels.shape)}"
        )
    coloured = axes_count == 2 and kernels.shape[1] == 3
    tiles = np.moveaxis(kernels, 1, -1) if coloured else kernels.reshape(-1, *kernels.shape[2:])
    if len(tiles) > MOST_TILES:
        raise PlotError(f"{len(tiles)} kernels are more than a sheet holds, {MOST_TILES}")
    columns, wide = _columns(len(tiles), axes_count, tiles.shape[1:])
    lines = -(-len(tiles) // columns)
    figure = _figure(
        columns * wide + 0.3, lines * 0.75 + 0.7, title, gap=0.1 if axes_count == 3 else 0.02
    )
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, tile in zip(grid, tiles, strict=False):
        _DRAW[axes_count](axes, np.asarray(tile, np.float64), coloured)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _columns(tiles: int, axes: int, shape: Sequence[int]) -> tuple[int, float]:
    """How many tiles lie beside each other, and how wide one is in inches."""
    wide = {1: 1.4, 2: 0.75, 3: 0.62 * shape[0]}[axes]
    most = {1: 8, 2: 16, 3: max(1, int(10 // wide))}[axes]
    divisors = [count for count in range(1, most + 1) if tiles % count == 0]
    if max(divisors) <= 2:
        return min(most, tiles), wide
    square = min(most, max(1, round((1.2 * tiles / wide) ** 0.5)))
    return min(divisors, key=lambda count: (abs(count - square), -count)), wide


def _line(axes: Axes, kernel: Array, _coloured: bool) -> None:
    positions = np.arange(len(kernel))
    axes.axhline(0, color=_QUIET, linewidth=0.8)
    axes.bar(
        positions, kernel, color=np.where(kernel > 0, "#b2182b", "#2166ac").tolist(), width=0.8
    )
    axes.set_ylim(-1.1 * _largest(kernel), 1.1 * _largest(kernel))


def _picture(axes: Axes, kernel: Array, coloured: bool) -> None:
    if coloured:
        axes.imshow(kernel / (2 * _largest(kernel)) + 0.5, interpolation="nearest")
    else:
        axes.imshow(
            kernel,
            cmap="RdBu_r",
            vmin=-_largest(kernel),
            vmax=_largest(kernel),
            interpolation="nearest",
        )


def _slices(axes: Axes, kernel: Array, _coloured: bool) -> None:
    # Enlarged, so that the gap between slices is narrower than a voxel.
    large = kernel.repeat(4, axis=1).repeat(4, axis=2)
    gap = np.full((large.shape[1], 1), np.nan)
    parts = [part for plane in large for part in (plane, gap)]
    _picture(axes, np.concatenate(parts[:-1], axis=1), coloured=False)


_DRAW = {1: _line, 2: _picture, 3: _slices}


def _largest(kernel: Array) -> float:
    return float(np.nanmax(np.abs(kernel))) or 1.0


def _figure(width: float, height: float, title: str, gap: float = 0.02) -> Figure:
    # Without pyplot: no window system, nothing that is kept for the whole process.
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=gap))
    figure.suptitle(title, fontsize=11)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8ea", linewidth=0.6)
    axes.margins(x=0.01)


def _logarithmic(axes: Axes, values: Sequence[float] | Array) -> None:
    """A logarithmic axis where there is no zero and the values span enough to need one."""
    finite = np.asarray(values)[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 5 * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _smooth(values: Sequence[float]) -> Array:
    """A moving mean over a fiftieth of the curve, shorter at its ends."""
    reach = len(values) // 100
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64))])
    indices = np.arange(len(values))
    start = np.maximum(indices - reach, 0)
    stop = np.minimum(indices + reach + 1, len(values))
    smooth: Array = (sums[stop] - sums[start]) / (stop - start)
    return smooth
