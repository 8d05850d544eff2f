"""palette.js: which colour a number has."""

import json
from itertools import pairwise
from typing import Any

from playwright.sync_api import Page

from tests.e2e.explorer.browser import in_module

SEQUENTIAL = ["viridis", "cividis", "grey"]
DIVERGING = ["blue–orange", "purple–green"]
CHOSEN = {"sequential": "viridis", "diverging": "blue–orange"}
SCALE = "(palette, [range, signed]) => palette.scaleFor(range, CHOSEN, ...signed)".replace(
    "CHOSEN", json.dumps(CHOSEN)
)
COLOURS = """(palette, [values, scale]) => values.map(value => {
  const [pixel] = [palette.pixels([value], 1, 1, scale).data];
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = palette.cssColour(value, scale);
  canvas.fillRect(0, 0, 1, 1);
  const css = [...canvas.getImageData(0, 0, 1, 1).data];
  return { pixel: [...pixel], css, ink: palette.inkOn(value, scale) };
})"""


def colours(page: Page, values: list[float], scale: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = in_module(page, "palette.js", COLOURS, [values, scale])
    return found


def luminance(colour: list[int]) -> float:
    """Relative luminance after WCAG 2."""
    linear = [
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in colour
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_begin_at_zero_or_are_centred_on_it(module_page: Page) -> None:
    for numbers, signed, palette, low, high in [
        ([0, 6], [], "viridis", 0, 6),
        ([2, 6], [], "viridis", 0, 6),
        ([-1, 3], [], "blue–orange", -3, 3),
        ([-5, -2], [], "blue–orange", -5, 5),
        ([0, 3], [True], "blue–orange", -3, 3),
    ]:
        found = in_module(module_page, "palette.js", SCALE, [numbers, signed])
        assert found == {"palette": palette, "low": low, "high": high}, numbers


def test_of_a_sequential_palette_a_larger_number_is_lighter(module_page: Page) -> None:
    for palette in SEQUENTIAL:
        found = colours(
            module_page,
            [step / 20 for step in range(21)],
            {"palette": palette, "low": 0, "high": 1},
        )
        lights = [luminance(each["pixel"][:3]) for each in found]
        assert all(dark < light for dark, light in pairwise(lights)), palette


def test_of_a_diverging_palette_zero_is_the_lightest_and_grey(module_page: Page) -> None:
    for palette in DIVERGING:
        scale = {"palette": palette, "low": -2, "high": 2}
        found = [each["pixel"][:3] for each in colours(module_page, [-2, -1, 0, 1, 2], scale)]
        lights = [luminance(each) for each in found]
        assert lights[0] < lights[1] < lights[2] > lights[3] > lights[4], palette
        assert max(found[2]) - min(found[2]) <= 3, palette
        assert found[0] != found[4], palette


def test_pixels_and_css_agree_clamp_and_are_legible(module_page: Page) -> None:
    for palette in [*SEQUENTIAL, *DIVERGING]:
        values = [-9, *(step / 50 - 1 for step in range(101)), 9]
        found = colours(module_page, values, {"palette": palette, "low": -1, "high": 1})
        assert found[0]["pixel"] == found[1]["pixel"]
        assert found[-1]["pixel"] == found[-2]["pixel"]
        for each in found:
            assert each["pixel"] == each["css"]
            lights = sorted([luminance(each["pixel"][:3]), 0.0 if each["ink"] == "#000" else 1.0])
            assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, palette


def test_what_is_not_finite_has_a_colour_of_no_palette(module_page: Page) -> None:
    for palette in [*SEQUENTIAL, *DIVERGING]:
        scale = {"palette": palette, "low": -1, "high": 1}
        odd = colours(module_page, [float("nan"), float("inf"), float("-inf")], scale)
        assert {tuple(each["pixel"]) for each in odd} == {(255, 46, 196, 255)}
        finite = colours(module_page, [step / 127.5 - 1 for step in range(256)], scale)
        for each in finite:
            assert (
                max(
                    abs(one - other)
                    for one, other in zip(each["pixel"], odd[0]["pixel"], strict=True)
                )
                > 60
            )


def test_a_map_of_one_value_alone_has_one_colour(module_page: Page) -> None:
    first, second = colours(module_page, [0, 0], {"palette": "viridis", "low": 0, "high": 0})
    assert first == second
