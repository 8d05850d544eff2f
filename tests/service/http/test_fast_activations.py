"""`/layers/{n}/activations` as .npy goes past the framework, and answers every request as the
framework does.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.http import fast_routes
from service.settings import Settings

Check = Callable[..., dict[str, Any]]
NPY = {"Accept": "application/x-npy"}
# Means the same, and is left to the framework.
THROUGH = {"Accept": "application/x-npy;q=1"}
QUERIES = [
    "",
    "tap=pre",
    "tap=input",
    "tap=input&operand=0",
    "tap=input&operand=7",
    "operand=1",
    "tap=sideways",
    "operand=-1",
    "operand=x",
    "channel=1",
    "channel=2&channel=0&channel=2",
    "channel=99",
    "channel=-1",
    "channel=",
    "strongest=2",
    "strongest=0",
    "strongest=1000",
    "strongest=1001",
    "strongest=99999999999",
    "strongest=1&channel=1",
    "strongest=1&strongest=2",
    "units=3",
    "units=-1",
    "full=maybe",
    "model=photos:1",
    "model=photos:7",
    "model=nothing",
    "model=",
    "model=signals",
    "unknown=1",
    "tap=%70re",
]


@pytest.fixture
def input_id(client: httpx.Client, picture: bytes) -> str:
    return str(client.post("/predict", content=picture).json()["input_id"])


def told(response: httpx.Response) -> tuple[Any, ...]:
    """Everything of a response that the request alone decides."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    if response.is_success:
        return response.status_code, headers, response.content
    headers.pop("content-length")
    return (
        response.status_code,
        headers,
        {k: v for k, v in response.json().items() if k != "request_id"},
    )


@pytest.mark.parametrize("query", QUERIES)
def test_the_way_past_the_framework_answers_as_the_framework_does(
    client: httpx.Client, picture: bytes, input_id: str, query: str
) -> None:
    path = "/layers/0/activations"
    for body in (picture, picture[:50], b""):
        past, through = (
            client.post(f"{path}?{query}", content=body, headers=headers)
            for headers in (NPY, THROUGH)
        )
        assert told(past) == told(through)
    past, through = (
        client.get(f"{path}?{query}&input_id={input_id}", headers=headers)
        for headers in (NPY, THROUGH)
    )
    assert told(past) == told(through)


@pytest.mark.parametrize(
    "n", ["0", "1", "-1", "99", "stem", "no/such", "%30", " 0", "00", "", "0/activations"]
)
def test_so_it_is_with_every_reference_to_a_layer(
    client: httpx.Client, input_id: str, n: str
) -> None:
    url = f"/layers/{n}/activations?input_id={input_id}"
    assert told(client.get(url, headers=NPY)) == told(client.get(url, headers=THROUGH))
    assert (
        client.head(url, headers=NPY).status_code == client.head(url, headers=THROUGH).status_code
    )


@pytest.mark.parametrize("unknown_id", ["", "x", "0" * 64, "../../etc/passwd"])
def test_so_it_is_with_every_input_that_is_not_there(client: httpx.Client, unknown_id: str) -> None:
    url = f"/layers/0/activations?input_id={unknown_id}"
    past, through = (told(client.get(url, headers=headers)) for headers in (NPY, THROUGH))
    assert past == through
    assert past[0] == 404


def test_without_an_input_the_framework_says_what_is_missing(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(
        client.get("/layers/0/activations", headers=NPY), 422, "invalid-parameter", "input_id"
    )


def test_other_methods_and_other_sites_are_left_to_the_framework(
    settings: Settings,
    started: Callable[[Settings], httpx.Client],
    picture: bytes,
    assert_problem: Check,
) -> None:
    client = started(settings.model_copy(update={"cors_origins": ("http://page",)}))
    assert_problem(client.put("/layers/0/activations", headers=NPY), 405, "method-not-allowed")
    response = client.post(
        "/layers/0/activations", content=picture, headers=NPY | {"Origin": "http://page"}
    )
    assert response.headers["access-control-allow-origin"] == "http://page"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "taken"),
    [
        ("POST", "/layers/0/activations", "", NPY, True),
        ("GET", "/layers/a/b/activations", "input_id=x&channel=1&channel=2&strongest=3", NPY, True),
        ("GET", "/layers/0/activations", "", NPY, False),
        ("POST", "/layers/0/activations", "input_id=x", NPY, False),
        ("POST", "/layers/0/activations", "units=1", NPY, False),
        ("POST", "/layers/0/activations", "", {"Accept": "*/*"}, False),
        ("POST", "/layers/0/kernels", "", NPY, False),
        ("PUT", "/layers/0/activations", "", NPY, False),
        ("POST", "/layers//activations", "", NPY, False),
        ("POST", "/layers/activations", "", NPY, False),
    ],
)
def test_plain_requests_are_taken_and_no_others(
    method: str, path: str, query: str, headers: dict[str, str], taken: bool
) -> None:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": pairs,
    }
    assert (fast_routes.parse_activations(scope) is not None) == taken


def test_what_was_posted_to_a_layer_can_be_asked_of_another_by_its_id(
    client: httpx.Client, picture: bytes
) -> None:
    posted = client.post("/layers/0/activations", content=picture, headers=NPY)
    url = f"/layers/0/activations?input_id={posted.headers['x-input-id']}"
    assert client.get(url, headers=NPY).content == posted.content


def test_the_posted_input_is_decoded_for_the_other_model_too(
    client: httpx.Client, picture: bytes
) -> None:
    posted = client.post("/layers/0/activations?model=photos:1", content=picture, headers=NPY)
    url = f"/layers/0/activations?model=photos:2&input_id={posted.headers['x-input-id']}"
    assert client.get(url, headers=NPY).content == posted.content
