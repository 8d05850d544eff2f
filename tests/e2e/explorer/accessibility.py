"""Faults of accessibility, found by axe-core in the page itself."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

FAILING = ("serious", "critical")


def violations(page: Page, within: str | None = None) -> list[str]:
    """The serious and critical violations in the page, or in what a CSS selector finds; a paragraph
    for each.
    """
    found: list[dict[str, Any]] = Axe().run(page, context=within).response["violations"]
    return [_told(each) for each in found if each["impact"] in FAILING]


def assert_accessible(page: Page, within: str | None = None) -> None:
    """Fail with a readable list if axe-core finds a serious or critical violation."""
    found = violations(page, within)
    assert not found, "\n" + "\n".join(found)


def _told(violation: dict[str, Any]) -> str:
    lines = [f"{violation['impact']}: {violation['help']} [{violation['id']}]"]
    for node in violation["nodes"]:
        summary = " ".join(node["failureSummary"].split())
        lines.append(f"  {' '.join(map(str, node['target']))}: {summary}\n    {node['html'][:200]}")
    return "\n".join(lines)
