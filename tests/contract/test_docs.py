"""The reference pages name everything that there is, and nothing that there is not; their links
lead somewhere.
"""

import re
from pathlib import Path

import pytest

from service.api.problems import FRAMEWORK, KINDS
from service.app import create_app
from service.settings import Settings
from service.settings_sources import variable
from service.telemetry.metrics import Metrics
from service.telemetry.prometheus import Snapshot, render
from service.telemetry.statistics import Statistics

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part == "models" for part in path.relative_to(ROOT).parts[:-1]
    )
)
DOCUMENTATION = {"/", "/docs", "/openapi.json"}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """What stands in backticks at the head of each row of the tables."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def test_every_setting_is_documented_once_and_no_other() -> None:
    assert sorted(first_cells(page("settings.md"))) == sorted(map(variable, Settings.model_fields))


def test_every_default_that_is_a_plain_value_is_the_documented_one() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page("settings.md"), re.MULTILINE))
    for name, field in Settings.model_fields.items():
        if field.default_factory is None:
            default = field.default
            assert rows[variable(name)] == ("none" if default in (None, ()) else f"`{default}`"), (
                name
            )


@pytest.mark.parametrize("name", ["README.md", "docs"])
def test_no_document_names_a_variable_that_does_not_exist(name: str) -> None:
    known = {variable(field) for field in Settings.model_fields}
    # The environment of a pod, which the page on operations warns of.
    known.add("FOVEA_SERVICE_HOST")
    for path in [ROOT / name] if name.endswith(".md") else sorted((ROOT / name).rglob("*.md")):
        assert (
            set(re.findall(r"\bFOVEA_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8"))) <= known
        ), path


def routes() -> dict[tuple[str, str], set[str]]:
    """Each operation of the service with the names of its query parameters."""
    document = create_app(Settings()).openapi()
    return {
        (method.upper(), path): {
            each["name"] for each in operation.get("parameters", []) if each["in"] == "query"
        }
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def sections() -> dict[str, str]:
    """The sections of the pages on the API, by their headings without backticks."""
    pages = [
        re.split(r"^## (.+)\n", page(name), flags=re.MULTILINE)[1:] for name in ("api.md", "v2.md")
    ]
    parts = [part for each in pages for part in each]
    return {
        heading.replace("`", ""): text
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_route_has_a_section_with_an_example_and_there_is_no_other() -> None:
    documented = {heading for heading in sections() if heading.split()[0] in ("GET", "POST")}
    assert documented == {f"{method} {path}" for method, path in routes()}
    for heading in documented:
        assert "```sh\ncurl " in sections()[heading], heading


def test_every_query_parameter_is_in_the_section_of_its_route() -> None:
    for (method, path), parameters in routes().items():
        text = sections()[f"{method} {path}"]
        if "those of the POST" in text:
            text += sections()[f"POST {path}"]
        assert {name for name in parameters if f"`{name}`" not in text} == set(), path


def test_the_pages_that_are_served_are_documented() -> None:
    paths = {getattr(route, "path", "") for route in create_app(Settings()).routes}
    assert "/openapi.json" in paths
    for path in DOCUMENTATION:
        assert f"`GET {path}`" in sections()["Pages"]


def test_every_problem_type_is_documented_under_its_status_and_no_other() -> None:
    documented: dict[str, set[int]] = {}
    for heading, text in zip(
        *[iter(re.split(r"^## (.+)\n", page("problems.md"), flags=re.MULTILINE)[1:])] * 2,
        strict=True,
    ):
        for uri in first_cells(text):
            assert uri not in documented
            documented[uri] = set(map(int, re.findall(r"\d{3}", heading)))
    kinds = {kind.uri: kind.status for kind in (*KINDS.values(), *FRAMEWORK)}
    assert set(documented) == set(kinds)
    assert all(status in documented[uri] for uri, status in kinds.items())


def test_every_metric_is_documented_and_no_other() -> None:
    metrics = Metrics()
    text = render(metrics, Statistics(metrics), Snapshot()).decode()
    exposed = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    named = {name for name in exposed if name.startswith("fovea_")}
    assert "fovea_requests_total" in named
    assert {
        cell for cell in first_cells(page("operations.md")) if cell.startswith("fovea_")
    } == named
    assert set(re.findall(r"\bfovea_\w+", page("operations.md"))) == named | {"fovea_inference"}


def test_every_event_that_the_service_logs_is_documented() -> None:
    calls = re.compile(r"(?:\blog\.\w+\(\s*|\"event\": )\"([^\"]+)\"")
    logged = {
        event
        for path in (ROOT / "service").rglob("*.py")
        for event in calls.findall(path.read_text())
    }
    assert {"request", "draining", "model rejected"} <= logged
    assert logged <= set(first_cells(page("operations.md")))


def anchors(text: str) -> set[str]:
    """The fragments that the headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", link):
            target, _, fragment = link.partition("#")
            found = (path.parent / target).resolve() if target else path
            assert found.exists(), link
            assert found.is_relative_to(ROOT), link
            assert not fragment or fragment in anchors(found.read_text(encoding="utf-8")), link


def test_the_pages_were_found() -> None:
    assert {"README.md", "docs/api.md", "docs/operations.md"} <= {
        str(path.relative_to(ROOT)) for path in PAGES
    }
