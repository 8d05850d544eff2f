"""maps.js, statistics.js and tiling.js: tensors as maps, their statistics, and where they lie in
a sheet.
"""

from itertools import product
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.e2e.explorer.browser import in_module

SHEETS: list[tuple[list[int], int]] = [
    ([14, 14], 480),
    ([112, 112], 96),
    ([7, 7], 1152),
    ([20], 64),
    ([], 1000),
    ([], 10),
    ([1, 1], 1),
]
MAPS = """({ Maps, offset, positionOf }, [shape, axis, data]) => {
  const maps = new Maps({ shape, data: Float32Array.from(data) }, axis);
  const last = maps.size.map(length => length - 1);
  return {
    size: maps.size, channels: maps.channels, all: [...maps.data], range: maps.range(),
    maps: Array.from({ length: maps.channels }, (_, channel) => [...maps.map(channel)]),
    corner: maps.at(maps.channels - 1, last),
    walked: Array.from({ length: maps.length }, (_, place) =>
      offset(positionOf(place, maps.size), maps.size)),
  };
}"""
STATISTICS = """async ({ statisticsOf, orderOf }, [shape, data]) => {
  const { Maps } = await import("/explorer/maps.js");
  const found = statisticsOf(new Maps({ shape, data: Float32Array.from(data) }, 0));
  return { ...found, order: orderOf(found, "largest") };
}"""
TILING = """({ planFor, boxOf, placeAt, visible }, [size, channels, room]) => {
  const plan = planFor(size, channels, room);
  const boxes = Array.from({ length: channels }, (_, place) => boxOf(plan, place));
  const found = boxes.map(({ left, top, width, height }) => [
    placeAt(plan, channels, left + 0.5, top + 0.5),
    placeAt(plan, channels, left + width - 0.5, top + height - 0.5)]);
  const all = visible(plan, channels, 0, plan.total);
  return { plan, boxes, found, all, outside: placeAt(plan, channels, -5, 5) };
}"""


def test_the_channel_axis_is_moved_first_as_numpy_moves_it(module_page: Page) -> None:
    for shape, axis in [
        ((4, 3, 5), 0),
        ((3, 5, 4), 2),
        ((3, 4, 5), 1),
        ((2, 3, 4, 5), 3),
        ((7,), 0),
        ((6, 9), 1),
    ]:
        array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        expected = np.moveaxis(array, axis, 0)
        found = in_module(module_page, "maps.js", MAPS, [list(shape), axis, array.ravel().tolist()])
        assert found["size"] == list(expected.shape[1:])
        assert found["channels"] == expected.shape[0]
        assert found["maps"] == expected.reshape(expected.shape[0], -1).tolist(), (shape, axis)
        assert found["range"] == [expected.min(), expected.max()]
        assert found["corner"] == expected[(-1,) * expected.ndim]
        assert found["walked"] == list(range(expected[0].size))


def test_a_tensor_without_a_channel_axis_is_one_map(module_page: Page) -> None:
    found = in_module(module_page, "maps.js", MAPS, [[2, 2], None, [1, 2, 3, 4]])
    assert (found["size"], found["channels"], found["maps"]) == ([2, 2], 1, [[1, 2, 3, 4]])


def statistics(page: Page, array: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = in_module(
        page, "statistics.js", STATISTICS, [list(array.shape), array.ravel().tolist()]
    )
    return found


def test_the_statistics_are_those_that_numpy_gives(module_page: Page) -> None:
    array = np.maximum(np.random.default_rng(1).normal(size=(5, 7, 6)), 0).astype(np.float32)
    found = statistics(module_page, array)
    for channel, values in zip(found["channels"], array.astype(float), strict=True):
        assert (channel["low"], channel["high"]) == (values.min(), values.max())
        assert channel["mean"] == pytest.approx(values.mean(), rel=1e-9)
        assert channel["zeros"] == (values == 0).mean()
    assert found["range"] == [array.min(), array.max()]
    places = np.argsort(-array.ravel(), kind="stable")[:8]
    expected = [[int(index) for index in np.unravel_index(place, array.shape)] for place in places]
    assert [[unit["channel"], *unit["unit"]] for unit in found["strongest"]] == expected
    assert found["order"] == np.argsort(-array.max(axis=(1, 2)), kind="stable").tolist()


def test_what_is_not_finite_is_counted_and_left_out_of_the_statistics(module_page: Page) -> None:
    array = np.array([[1, np.nan, 3, np.inf], [np.nan] * 4, [-np.inf, -2, 0, 0]], dtype=np.float32)
    found = statistics(module_page, array)
    assert found["nonFinite"] == np.sum(~np.isfinite(array))
    assert found["range"] == [-2, 3]
    assert [channel["nonFinite"] for channel in found["channels"]] == [2, 4, 1]
    assert found["channels"][0]["mean"] == 2
    assert [unit["value"] for unit in found["strongest"]] == [3, 1, 0, 0, -2]
    assert found["order"] == [0, 2, 1]


def test_tiles_lie_side_by_side_within_the_room_and_are_found_again(module_page: Page) -> None:
    for (size, channels), room in product(SHEETS, [280, 700, 1400]):
        found = in_module(module_page, "views/layer/tiling.js", TILING, [size, channels, room])
        plan = found["plan"]
        for place, (box, places) in enumerate(zip(found["boxes"], found["found"], strict=True)):
            assert places == [place, place]
            assert 0 <= box["left"] <= box["left"] + box["width"] <= room, (size, channels, room)
            assert 0 <= box["top"] <= box["top"] + box["height"] <= plan["total"]
        assert found["all"] == [0, channels]
        assert found["outside"] is None
        if plan["kind"] == "pixels":
            assert 32 <= max(plan["width"], plan["height"]) <= 112, (size, channels)
