"""The pages need nothing but this service: every link and every asset is its own."""

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from service.explorer import assets
from service.explorer.assets import STATIC

Check = Callable[..., dict[str, Any]]
OWN = "http://testserver"


class References(HTMLParser):
    """Every address that a page refers to, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        linking = {"src", "href", "action", "data", "poster", "srcset"}
        self.addresses += [value for name, value in attrs if name in linking and value]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_refers_to_no_other_host_and_all_it_refers_to_is_there(
    client: httpx.Client, path: str
) -> None:
    page = client.get(path)
    assert page.headers["content-type"].startswith("text/html")
    addresses = [
        entry for entry in References(page.text).addresses if not entry.startswith("data:")
    ]
    assert addresses
    for address in addresses:
        target = urljoin(OWN + path, address)
        assert target.startswith(OWN + "/")
        assert (
            client.get(urlsplit(target)._replace(scheme="", netloc="").geturl()).status_code == 200
        )


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_names_no_other_host_in_scripts_and_styles_either(
    client: httpx.Client, path: str
) -> None:
    hosts = {
        urlsplit(url).hostname
        for url in re.findall(r"https?://[^\s'\"<>)]+", client.get(path).text)
    }
    # The namespace of SVG is a name, not an address.
    assert hosts <= {"testserver", "www.w3.org"}


def test_the_assets_of_the_documentation_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    style = client.get("/docs-assets/swagger-ui.css").text
    assert not re.findall(r"(?:url\(|@import\s*)['\"]?(?:https?:)?//", style)
    assert (
        client.get("/docs-assets/swagger-ui-bundle.js")
        .headers["content-type"]
        .startswith("text/javascript")
    )


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_may_live_behind_a_prefix_that_the_service_does_not_know(
    client: httpx.Client, path: str
) -> None:
    addresses = [
        address
        for address in References(client.get(path).text).addresses
        if not address.startswith("data:")
    ]
    assert not [address for address in addresses if address.startswith("/")]


def test_the_documentation_shows_the_document_of_this_service(client: httpx.Client) -> None:
    assert "url: 'openapi.json'" in client.get("/docs").text
    assert client.get("/openapi.json").json()["info"]["title"] == "Fovea"


def test_the_explorer_runs_its_own_scripts_only_and_may_be_framed_by_nobody(
    client: httpx.Client,
) -> None:
    for path in ("/", "/explorer/main.js", "/explorer/style.css"):
        policy = client.get(path).headers["content-security-policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == "'none'"
        assert (
            directives["script-src"]
            == directives["style-src"]
            == directives["connect-src"]
            == "'self'"
        )
        assert directives["frame-ancestors"] == "'none'"


def test_the_explorer_is_asked_for_anew_and_sent_again_only_when_it_changed(
    client: httpx.Client,
) -> None:
    for path in ("/", "/explorer/main.js"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_what_the_page_itself_loads_may_be_kept_for_ever_for_its_address_changes_with_it(
    client: httpx.Client,
) -> None:
    addresses = [
        entry
        for entry in References(client.get("/").text).addresses
        if entry.startswith("explorer/")
    ]
    assert addresses
    for address in addresses:
        response = client.get("/" + address)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
    stale = addresses[0].replace(addresses[0].split("/")[1], "0" * 16)
    assert client.get("/" + stale).status_code == 404


def test_files_that_change_while_the_service_runs_get_another_address(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "static")
    before = assets.load(tmp_path / "static")
    (tmp_path / "static/main.js").write_text("// changed")
    assert assets.newest(tmp_path / "static") != before.newest
    after = assets.load(tmp_path / "static")
    assert after.digest != before.digest
    assert after.digest.encode() in after.page


def test_the_modules_of_the_explorer_load_only_modules_that_are_there(client: httpx.Client) -> None:
    waiting, seen = ["/explorer/main.js"], set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        script = client.get(path)
        assert script.headers["content-type"].startswith("text/javascript"), path
        found = re.findall(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""", script.text)
        assert all(item.startswith(".") for item in found), path
        waiting += [target for item in found if (target := urljoin(path, item)) not in seen]
    assert len(seen) > 10


def test_nothing_of_the_explorer_names_another_host(client: httpx.Client) -> None:
    for file in STATIC.rglob("*.*"):
        text = client.get(f"/explorer/{file.relative_to(STATIC).as_posix()}").text
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^\s'\"<>)]+", code)}
        assert hosts <= {"www.w3.org"}, file


def test_every_problem_type_has_a_page_that_says_what_it_means(
    client: httpx.Client, assert_problem: Check
) -> None:
    body = assert_problem(client.get("/layers?model=nets"), 404, "unknown-model")
    explained = client.get(body["type"]).json()
    assert (explained["type"], explained["title"], explained["status"]) == (
        body["type"],
        body["title"],
        404,
    )
    assert_problem(client.get("/problems/nothing"), 404, "not-found", "nothing")


def test_a_route_that_there_is_not_points_to_the_documentation(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(client.get("/predictions"), 404, "no-such-route", "/docs")
    assert_problem(client.get("/docs-assets/nothing.js"), 404, "no-such-route")
    assert_problem(client.get("/models/"), 404, "no-such-route")


def test_a_method_that_a_route_has_not_is_told_the_one_it_has(
    client: httpx.Client, assert_problem: Check
) -> None:
    response = client.get("/predict")
    assert_problem(response, 405, "method-not-allowed", "POST")
    assert response.headers["allow"] == "POST"
    assert_problem(client.delete("/layers"), 405, "method-not-allowed", "GET")
