"""fields.js says of every unit and every pixel what the API says of it alone, and where padding
lies in a picture.
"""

from itertools import product
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.explorer.browser import in_module
from tests.e2e.explorer.given import post

# A centre crop: 4 input pixels of 5 picture pixels each, from 2.5 on; three units, of which the
# outer ones are padded.
AXIS: dict[str, Any] = {
    "follows": 0,
    "size": 4,
    "interval": [[-2, 1], [0, 3], [3, 6]],
    "clipped": [[0, 1], [0, 3], [3, 4]],
    "picture": [[2, 8], [2, 18], [17, 23]],
    "frame": [2.5, 22.5],
}


def table_of(page: Page, model: str, layer: int, input_id: str) -> dict[str, Any]:
    path = f"/layers/{layer}/receptive-fields?model={model}&input_id={input_id}"
    found: dict[str, Any] = page.request.get(path).json()
    return found


def field_of(page: Page, model: str, layer: int, query: str) -> dict[str, Any]:
    found: dict[str, Any] = page.request.get(
        f"/layers/{layer}/receptive-field?model={model}&{query}"
    ).json()
    return found


@pytest.mark.parametrize(
    ("model", "layer"), [("imagenet", 20), ("digits", 2), ("digits1d", 1), ("voxels", 2)]
)
def test_a_unit_sees_what_the_api_says(module_page: Page, model: str, layer: int) -> None:
    input_id = post(module_page, model)
    table = table_of(module_page, model, layer, input_id)
    size = module_page.request.get(f"/layers?model={model}").json()["layers"][layer][
        "output_shape"
    ][1:]
    for unit in product(*({0, each // 2, each - 1} for each in size)):
        seen = in_module(
            module_page,
            "fields.js",
            "(fields, [table, unit]) => fields.seenBy(table, unit)",
            [table, unit],
        )
        field = field_of(
            module_page, model, layer, f"input_id={input_id}&unit={','.join(map(str, unit))}"
        )
        assert {key: seen[key] for key in ("interval", "clipped", "picture")} == {
            key: field[key] for key in ("interval", "clipped", "picture")
        }, unit


@pytest.mark.parametrize(
    ("model", "layer", "pixels"),
    [
        ("imagenet", 20, [(0, 0), (100, 80), (223, 5)]),
        ("digits", 2, [(0, 27), (13, 14)]),
        ("digits1d", 1, [(0,), (21,), (39,)]),
        ("voxels", 2, [(0, 8, 15), (7, 7, 7)]),
    ],
)
def test_a_pixel_is_seen_by_the_units_that_the_api_names(
    module_page: Page, model: str, layer: int, pixels: list[tuple[int, ...]]
) -> None:
    table = table_of(module_page, model, layer, post(module_page, model))
    size = module_page.request.get(f"/layers?model={model}").json()["layers"][layer][
        "output_shape"
    ][1:]
    for pixel in pixels:
        argument = [table, list(pixel), size]
        units = in_module(
            module_page, "fields.js", "(fields, given) => fields.seeing(...given)", argument
        )
        assert (
            units
            == field_of(module_page, model, layer, f"pixel={','.join(map(str, pixel))}")["units"]
        ), pixel


def test_a_pixel_that_was_cropped_away_is_seen_by_no_unit(module_page: Page) -> None:
    table = table_of(module_page, "imagenet", 0, post(module_page, "imagenet"))
    code = "(fields, [table, pixel]) => fields.seeing(table, pixel, [112, 112], 'picture')"
    assert in_module(module_page, "fields.js", code, [table, [150, 20]]) is None
    assert in_module(module_page, "fields.js", code, [table, [150, 200]]) is not None


def test_a_unit_that_sees_padding_only_is_seen_by_nobody_and_outlined_dashed_only(
    module_page: Page,
) -> None:
    axis = AXIS | {"interval": [[-5, -2]], "clipped": [[0, 0]], "picture": [[0, 0]]}
    code = """(fields, axis) => {
      const table = {axes: [axis]};
      const seen = fields.seenBy(table, [0]);
      return [seen.nothing, fields.drawnOn(table, seen, "picture"), fields.seeing(table, [0], [1])];
    }"""
    nothing, drawn, units = in_module(module_page, "fields.js", code, axis)
    assert (nothing, units) == (True, None)
    assert drawn == {"solid": None, "whole": [[-22.5, -7.5]]}


@pytest.mark.parametrize(
    ("unit", "solid", "whole"),
    [(0, [2, 8], [-7.5, 8]), (1, [2, 18], [2, 18]), (2, [17, 23], [17, 32.5])],
)
def test_padding_lies_beside_the_frame_of_the_picture_on_the_side_where_it_is(
    module_page: Page, unit: int, solid: list[int], whole: list[float]
) -> None:
    code = """(fields, [axis, unit]) => {
      const table = {axes: [axis]};
      return fields.drawnOn(table, fields.seenBy(table, [unit]), "picture");
    }"""
    assert in_module(module_page, "fields.js", code, [AXIS, unit]) == {
        "solid": [solid],
        "whole": [whole],
    }


@pytest.mark.parametrize(
    ("interval", "expected"),
    [([-2, 1], [2, 0]), ([0, 4], [0, 0]), ([3, 6], [0, 2]), ([-1, 9], [1, 5]), ([-5, -2], [3, 0])],
)
def test_padding_is_counted_on_either_side(
    module_page: Page, interval: list[int], expected: list[int]
) -> None:
    code = "(fields, interval) => fields.padding(interval, 4)"
    assert in_module(module_page, "fields.js", code, interval) == expected


def test_intervals_are_written_as_the_api_gives_them(module_page: Page) -> None:
    code = "(fields, intervals) => fields.asText(intervals)"
    assert (
        in_module(module_page, "fields.js", code, [[166, 249], [-3, 169]])
        == "[166, 249) × [-3, 169)"
    )
