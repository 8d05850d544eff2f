"""Hot routes are answered past the framework, in the framework's own words."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.responses import Response

from service.http import fast_infer as direct_infer
from service.http import fast_layers, fast_predict
from service.http.dispatch import FastDispatch, FastRoute
from tests.service.oip.requests import binary

INFER = "/v2/models/photos/infer"
NPY = {"Accept": "application/x-npy"}
PAGE = {"Origin": "http://page"}
PIXELS = np.random.default_rng(3).integers(0, 256, (1, 32, 32, 3), np.uint8)


def answered_by(method: str, path: str, headers: dict[str, str]) -> str:
    """The route that takes a request, or `framework`."""
    answers = []

    def noted(route: Any) -> Any:
        def taken(scope: Any) -> FastRoute | None:
            plain: FastRoute | None = route(scope)
            return plain and FastRoute(plain.path, answer(plain.path))

        return taken

    def answer(path: str) -> Any:
        async def note(*_: Any) -> Response:
            answers.append(path)
            return Response()

        return note

    async def framework(*_: Any) -> None:
        answers.append("framework")

    async def ignored(*_: Any) -> Any:
        pass

    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": pairs,
    }
    scope["state"] = {"services": None}
    routes = map(noted, (fast_predict.route, fast_layers.route, direct_infer.route))
    asyncio.run(FastDispatch(framework, *routes)(scope, ignored, ignored))
    (one,) = answers
    return one


@pytest.mark.parametrize(
    ("method", "path", "headers", "by"),
    [
        ("POST", "/predict", {}, "/predict"),
        ("POST", "/layers/a/b/activations", NPY, "/layers/{n:path}/activations"),
        ("POST", INFER, {}, "/v2/models/{name}/infer"),
        (
            "POST",
            "/v2/models/photos/versions/2/infer",
            {},
            "/v2/models/{name}/versions/{version}/infer",
        ),
        ("GET", INFER, {}, "framework"),
        ("POST", "/v2/models/a/b/infer", {}, "framework"),
        ("POST", "/v2/models/photos/infer/", {}, "framework"),
        ("POST", "/predict", PAGE, "framework"),
        ("POST", "/layers/0/activations", NPY | PAGE, "framework"),
        ("POST", INFER, PAGE, "framework"),
    ],
)
def test_plain_requests_are_taken_and_those_of_other_pages_are_not(
    method: str, path: str, headers: dict[str, str], by: str
) -> None:
    assert answered_by(method, path, headers) == by


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
