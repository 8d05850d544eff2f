"""Plots show the numbers that they are given: read back from the pixels, or from what was put on
the axes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from model_build.evaluate import Scores
from model_build.experiments.plots import (
    Curve,
    PlotError,
    confusion_matrix,
    kernel_sheet,
    training_curve,
)

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)
CURVE = Curve(
    [0.5, 1, 1.5, 2], [2.0, 1.0, 0.3, 0.2], [0.1, 0.2, 0.1, 0.0], [1, 2], [0.9, 0.975], [1.1, 0.25]
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved, which are written all the same."""
    figures: list[Figure] = []
    save = Figure.savefig

    def noted(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", noted)
    return figures


def pixels(path: Path) -> Array:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def test_the_curve_holds_every_number_and_names_the_least_error(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    training_curve(CURVE, "a title", tmp_path / "curve.png")
    loss, error, rate = drawn[0].axes
    lines = [
        np.asarray(line.get_ydata(), float) for line in (*loss.lines, error.lines[0], rate.lines[0])
    ]
    expected = [[2, 1, 0.3, 0.2], [2, 1, 0.3, 0.2], [1.1, 0.25], [10, 2.5], [0.1, 0.2, 0.1, 0]]
    assert [list(line) for line in lines] == [pytest.approx(line) for line in expected]
    assert error.get_title("right") == "least error 2.50 % at epoch 2"
    assert min(pixels(tmp_path / "curve.png").shape[:2]) > 500


def test_a_long_noisy_curve_is_shown_with_its_moving_mean(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    count = 1000
    noisy = 1 + RANDOM.normal(0, 0.1, count)
    training_curve(
        Curve(list(range(count)), list(noisy), [0.1] * count), "", tmp_path / "curve.png"
    )
    smooth = np.asarray(drawn[0].axes[0].lines[1].get_ydata(), float)
    assert smooth[500] == pytest.approx(noisy[490:511].mean())
    assert smooth[0] == pytest.approx(noisy[:11].mean())


def test_training_that_held_nothing_out_or_went_wrong_is_drawn_too(tmp_path: Path) -> None:
    training_curve(Curve([1], [0.0], [0.1]), "", tmp_path / "one.png")
    training_curve(
        Curve([1, 2], [1.0, float("nan")], [0.1, 0.1], [1, 2], [1, 1]), "", tmp_path / "two.png"
    )
    assert pixels(tmp_path / "one.png").std() > 5
    assert pixels(tmp_path / "two.png").std() > 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Curve([], [], []),
        lambda: Curve([1], [1, 2], [1]),
        lambda: Curve([1], [1], [1], [1], []),
        lambda: Curve([1], [1], [1], [1, 2], [1, 1], [1]),
    ],
)
def test_a_curve_whose_numbers_do_not_belong_together_is_refused(make: Callable[[], Curve]) -> None:
    with pytest.raises(PlotError, match="expected a"):
        make()


def test_the_matrix_names_every_count_and_colours_errors_only(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    scores = Scores(np.array([[90, 10, 0], [0, 50, 0], [1, 0, 49]]), loss=0.1)
    confusion_matrix(scores, ["cat", "dog", "owl"], "pets", tmp_path / "matrix.png")
    (axes,) = drawn[0].axes
    written = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert written == {
        ((0, 0), "90"),
        ((1, 0), "10"),
        ((1, 1), "50"),
        ((0, 2), "1"),
        ((2, 2), "49"),
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "cat  90.0%",
        "dog  100.0%",
        "owl  98.0%",
    ]
    assert axes.get_title().startswith("94.50% right (")
    assert axes.get_title().endswith("11 of 200 wrong")
    assert np.array_equal(
        np.asarray(axes.images[0].get_array()), [[0, 10, 0], [0, 0, 0], [1, 0, 0]]
    )
    assert pixels(tmp_path / "matrix.png").std() > 5


def test_a_matrix_needs_a_name_for_every_class(tmp_path: Path) -> None:
    with pytest.raises(PlotError, match="expected 2 names of classes, got 1"):
        confusion_matrix(Scores(np.eye(2, dtype=int), 0), ["a"], "", tmp_path / "x.png")


def test_kernels_of_pictures_are_red_where_positive_and_blue_where_negative(tmp_path: Path) -> None:
    kernels = np.array([[[[1.0, -1.0]]], [[[-3.0, 3.0]]]])
    kernel_sheet(kernels, "", tmp_path / "sheet.png")
    image = pixels(tmp_path / "sheet.png").astype(int)
    red, blue = image[..., 0] - image[..., 2] > 60, image[..., 2] - image[..., 0] > 60
    # Each on a scale of its own: as much of one colour as of the other, on both kernels.
    columns = np.flatnonzero(red.any(axis=0) | blue.any(axis=0))
    middle = (columns[0] + columns[-1]) // 2
    assert red.sum() == pytest.approx(blue.sum(), rel=0.05)
    assert red[:, :middle].any()
    assert red[:, middle:].any()
    assert (
        np.flatnonzero(red[:, :middle].any(axis=0)).mean()
        < np.flatnonzero(blue[:, :middle].any(axis=0)).mean()
    )
    assert (
        np.flatnonzero(red[:, middle:].any(axis=0)).mean()
        > np.flatnonzero(blue[:, middle:].any(axis=0)).mean()
    )


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [
        ((16, 1, 9), 16),
        ((6, 2, 5), 12),
        ((32, 1, 5, 5), 32),
        ((7, 1, 3, 3), 7),
        ((32, 3, 3, 3), 32),
        ((4, 2, 3, 3), 8),
        ((16, 1, 3, 3, 3), 16),
        ((1, 1, 1, 1), 1),
    ],
)
def test_every_kernel_has_its_tile_whatever_its_axes(
    shape: tuple[int, ...], tiles: int, tmp_path: Path, drawn: list[Figure]
) -> None:
    kernel_sheet(RANDOM.normal(size=shape), "layer", tmp_path / "sheet.png")
    filled = [axes for axes in drawn[0].axes if axes.images or axes.patches]
    assert len(filled) == tiles
    height, width = pixels(tmp_path / "sheet.png").shape[:2]
    assert 100 < height < 3000
    assert 100 < width < 3000


def test_the_slices_of_a_volume_lie_beside_each_other(tmp_path: Path, drawn: list[Figure]) -> None:
    kernel = np.arange(12.0).reshape(1, 1, 3, 2, 2)
    kernel_sheet(kernel, "", tmp_path / "sheet.png")
    shown: Array = np.ma.filled(np.ma.asarray(drawn[0].axes[0].images[0].get_array()), np.nan)
    assert shown[0].tolist()[:8:4] == [0, 1]
    assert shown[-1].tolist()[-8::4] == [10, 11]
    assert np.isnan(shown[:, [8, 17]]).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 4), r"one to three axes, got shape \[4, 4\]"),
        ((1, 1, 1, 1, 1, 1), "one to three axes"),
        ((0, 1, 3, 3), r"got shape \[0, 1, 3, 3\]"),
        ((64, 64, 3, 3), "4096 kernels are more than a sheet holds, 1024"),
    ],
)
def test_what_is_no_sheet_of_kernels_is_refused(
    shape: tuple[int, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PlotError, match=message):
        kernel_sheet(np.zeros(shape), "", tmp_path / "x.png")


def test_equal_numbers_give_equal_files(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        training_curve(CURVE, "t", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
