"""The parts of foreground segmentation against plain ways to the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.inputs.connected_components import cells_of, connected_components
from service.inputs.foreground import fit_paper

Array = np.ndarray[Any, Any]


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 20))))
def test_components_are_what_can_be_reached_over_sides_and_corners(cells: Array) -> None:
    left = {(int(y), int(x)) for y, x in np.argwhere(cells)}
    for component in connected_components(cells):
        positions = {(int(y), int(x)) for y, x in np.argwhere(cells_of(component, cells.shape))}
        reached, rim = set(), [min(positions)]
        while rim:
            y, x = rim.pop()
            reached.add((y, x))
            around = {(y + down, x + across) for down in (-1, 0, 1) for across in (-1, 0, 1)}
            rim += (around & left) - reached - set(rim)
        assert positions == reached
        left -= positions
    assert not left


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (28, 28), (77, 130), (1, 40)])
@pytest.mark.parametrize("grain", [0.0, 5.0])
def test_the_paper_is_the_plane_of_least_squares_through_the_border(
    shape: tuple[int, int], grain: float
) -> None:
    random = np.random.default_rng(5)
    rows, columns = (np.arange(count) + 0.5 for count in shape)
    grey = np.rint(120 + random.uniform(-grain, grain, shape)).astype(np.uint8)
    border = np.ones(shape, bool)
    width = max(1, min(shape) // 25)
    border[width:-width, width:-width] = False
    y, x = np.nonzero(border)
    terms = np.stack([np.ones(len(y)), rows[y], columns[x]], axis=1)
    expected = (terms @ np.linalg.lstsq(terms, grey[border].astype(float))[0]).tolist()
    paper, spread = fit_paper(grey, rows, columns)
    assert paper.tone(rows, columns)[border].tolist() == pytest.approx(expected, abs=1e-9)
    assert spread == pytest.approx(
        1.4826 * np.median(np.abs(grey[border] - np.array(expected))), abs=1e-9
    )
