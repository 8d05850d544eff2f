"""classes.js: how the answers of a network are written."""

from typing import Any

from playwright.sync_api import Page

from tests.e2e.explorer.browser import in_module

WRITTEN = """(classes, values) => {
  const found = values.map((probability, index) => ({ index, label: null, probability }));
  return found.map((each) => [classes.amount(each, found), classes.share(each, found)]);
}"""


def written(page: Page, values: list[float | None]) -> list[Any]:
    found: list[Any] = in_module(page, "classes.js", WRITTEN, values)
    return found


def test_probabilities_are_percent_and_scores_are_numbers(module_page: Page) -> None:
    assert written(module_page, [0.75, 0.0001, 0]) == [
        ["75.0 %", 0.75],
        ["< 0.1 %", 0.0001],
        ["0.0 %", 0],
    ]
    assert written(module_page, [4, 1, -0.5]) == [["4", 1], ["1", 0.25], ["-0.5", 0]]
    assert written(module_page, [-1, -3]) == [["-1", 0], ["-3", 0]]
    assert written(module_page, [None, 0.5])[0] == ["not a number", 0]
