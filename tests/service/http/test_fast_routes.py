"""Fast routes answer in front of the framework, in the framework's own words."""

from typing import Any

import httpx
import numpy as np
import pytest

from service.http.fast_routes import match
from tests.service.oip.requests import binary

INFER = "/v2/models/photos/infer"
NPY = {"Accept": "application/x-npy"}
PAGE = {"Origin": "http://page"}
PIXELS = np.random.default_rng(3).integers(0, 256, (1, 32, 32, 3), np.uint8)


def route_of(method: str, path: str, headers: dict[str, str]) -> str | None:
    """The path of the fast route that matches a request; None if the framework is to answer it."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": pairs,
    }
    route = match(scope)
    return None if route is None else route.path


@pytest.mark.parametrize(
    ("method", "path", "headers", "route"),
    [
        ("POST", "/predict", {}, None),
        ("POST", "/layers/a/b/activations", NPY, "/layers/{n:path}/activations"),
        ("POST", INFER, {}, "/v2/models/{name}/infer"),
        (
            "POST",
            "/v2/models/photos/versions/2/infer",
            {},
            "/v2/models/{name}/versions/{version}/infer",
        ),
        ("GET", INFER, {}, None),
        ("POST", "/v2/models/a/b/infer", {}, None),
        ("POST", "/v2/models/photos/infer/", {}, None),
        ("POST", "/predict", PAGE, None),
        ("POST", "/layers/0/activations", NPY | PAGE, None),
        ("POST", INFER, PAGE, None),
    ],
)
def test_plain_requests_match_and_those_of_other_pages_do_not(
    method: str, path: str, headers: dict[str, str], route: str | None
) -> None:
    assert route_of(method, path, headers) == route


BODIES: dict[str, tuple[bytes, dict[str, str]]] = {
    "good": binary([("image", "UINT8", PIXELS)]),
    "a wrong shape": binary([("image", "UINT8", PIXELS[:, :5])]),
    "an unknown input": binary([("picture", "UINT8", PIXELS)]),
    "no JSON": (b"{", {}),
    "nothing": (b"", {}),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("model", ["photos", "photos/versions/1", "nobody", "photos/versions/9"])
def test_an_inference_is_answered_alike_past_the_framework_and_by_it(
    client: httpx.Client, name: str, model: str
) -> None:
    content, headers = BODIES[name]
    url = f"/v2/models/{model}/infer"
    plain, framed = (
        client.post(url, content=content, headers=headers | more) for more in ({}, PAGE)
    )
    assert plain.status_code == framed.status_code
    assert (plain.status_code == 200) == (
        name == "good" and model in ("photos", "photos/versions/1")
    )
    assert plain.content == framed.content
    assert plain.headers.keys() == framed.headers.keys()
