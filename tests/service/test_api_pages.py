"""The pages need nothing but this service: every link and every asset is its own."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

Check = Callable[..., dict[str, Any]]
OWN = "http://testserver"


class References(HTMLParser):
    """Every address that a page refers to, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"src", "href", "action", "data", "poster", "srcset"}
        self.addresses += [value for name, value in attrs if name in wanted and value]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_refers_to_no_other_host_and_all_it_refers_to_is_there(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.headers["content-type"].startswith("text/html")
    addresses = [each for each in References(page.text).addresses if not each.startswith("data:")]
    assert addresses
    for address in addresses:
        target = urljoin(OWN + path, address)
        assert target.startswith(OWN + "/")
        assert client.get(urlsplit(target)._replace(scheme="", netloc="").geturl()).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_names_no_other_host_in_scripts_and_styles_either(client: httpx.Client, path: str) -> None:
    hosts = {urlsplit(each).hostname for each in re.findall(r"https?://[^\s'\"<>)]+", client.get(path).text)}
    # The namespace of SVG is a name, not an address.
    assert hosts <= {"testserver", "www.w3.org"}


def test_the_assets_of_the_documentation_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    style = client.get("/docs-assets/swagger-ui.css").text
    assert not re.findall(r"(?:url\(|@import\s*)['\"]?(?:https?:)?//", style)
    assert client.get("/docs-assets/swagger-ui-bundle.js").headers["content-type"].startswith("text/javascript")


def test_the_documentation_shows_the_document_of_this_service(client: httpx.Client) -> None:
    assert "/openapi.json" in client.get("/docs").text
    assert client.get("/openapi.json").json()["info"]["title"] == "Fovea"


def test_the_landing_page_lists_what_is_served_and_what_was_refused(client: httpx.Client) -> None:
    text = client.get("/").text
    assert "Four animals" in text
    assert "models/photos%3A2" in text
    assert "refused: it is not a CNN" in text
    assert "CPUExecutionProvider" in text


def test_a_host_header_cannot_put_markup_into_the_page(client: httpx.Client) -> None:
    assert "<script" not in client.get("/", headers={"Host": "a<script>alert(1)</script>"}).text


def test_every_problem_type_has_a_page_that_says_what_it_means(client: httpx.Client, assert_problem: Check) -> None:
    body = assert_problem(client.get("/layers?model=nets"), 404, "unknown-model")
    explained = client.get(body["type"]).json()
    assert (explained["type"], explained["title"], explained["status"]) == (body["type"], body["title"], 404)
    assert_problem(client.get("/problems/nothing"), 404, "not-found", "nothing")


def test_a_route_that_there_is_not_points_to_the_documentation(client: httpx.Client, assert_problem: Check) -> None:
    assert_problem(client.get("/predictions"), 404, "no-such-route", "/docs")
    assert_problem(client.get("/docs-assets/nothing.js"), 404, "no-such-route")
    assert_problem(client.get("/models/"), 404, "no-such-route")


def test_a_method_that_a_route_has_not_is_told_the_one_it_has(client: httpx.Client, assert_problem: Check) -> None:
    response = client.get("/predict")
    assert_problem(response, 405, "method-not-allowed", "POST")
    assert response.headers["allow"] == "POST"
    assert_problem(client.delete("/layers"), 405, "method-not-allowed", "GET")
