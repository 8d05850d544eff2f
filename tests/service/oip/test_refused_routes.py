"""What is refused under /v2 whatever the tensors: routes, models, deadlines, and a service that
cannot answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from service.errors import FoveaError, QueueFull
from service.runtime.ort_errors import RunFailed
from service.services import Services
from service.settings import Settings
from tests.service.conftest import Start
from tests.service.oip.bad_requests import (
    IMAGE,
    PHOTOS,
    PIXELS,
    SIGNALS,
    X,
    asked,
    assert_error,
    with_small_limits,
)
from tests.service.oip.requests import HEAD, in_bytes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with with_small_limits(tmp_path_factory.mktemp("v2")) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/v2/models/nothing", 404),
        ("GET", "/v2/models/nothing/ready", 404),
        ("GET", "/v2/models/nothing/config", 404),
        ("GET", "/v2/models/nothing/stats", 404),
        ("GET", "/v2/models/photos/versions/9", 404),
        ("GET", "/v2/models/photos/versions/v10/ready", 404),
        ("GET", "/v2/models/corrupt", 404),
        ("POST", "/v2/models/nothing/infer", 404),
        ("GET", "/v2/", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/photos/nothing", 404),
        ("POST", "/v2/models/photos/generate", 404),
        ("GET", "/v2/systemsharedmemory/status", 404),
        ("GET", "/v2/models/photos/infer", 405),
        ("DELETE", "/v2/models/photos", 405),
        ("POST", "/v2", 405),
        ("GET", "/v2/repository/index", 405),
        ("POST", "/v2/repository/models/photos/load", 403),
        ("POST", "/v2/repository/models/photos/unload", 403),
    ],
)
def test_errors_of_routes_and_of_the_framework_are_the_protocols(
    served: httpx.Client, method: str, url: str, status: int
) -> None:
    allowed = (
        {"infer": "POST", "index": "POST"}.get(url.rpartition("/")[2], "GET")
        if status == 405
        else None
    )
    refused = served.request(method, url)
    assert_error(refused, status)
    assert refused.headers.get("allow") == allowed


def test_a_name_that_only_begins_alike_has_problems_as_everywhere(served: httpx.Client) -> None:
    assert served.get("/v22").json()["type"] == "/problems/no-such-route"


@pytest.mark.parametrize(
    ("url", "body", "says"),
    [
        ("/v2/repository/index", b"[]", "must be a JSON object"),
        ("/v2/repository/index", b"{", "not JSON"),
        ("/v2/repository/index", b'{"ready": 1}', "true or false"),
        (
            "/v2/repository/models/photos/load",
            b'{"parameters": {"config": "{}"}}',
            "no 'config' is taken",
        ),
        (
            "/v2/repository/models/photos/load",
            b'{"parameters": {"file:1/model.onnx": "AAAA"}}',
            "is taken",
        ),
        (
            "/v2/repository/models/photos/load",
            b'{"parameters": {"url": "http://x/"}}',
            "no 'url' is taken",
        ),
        (
            "/v2/repository/models/photos/unload",
            b'{"parameters": {"unload_dependents": 1}}',
            "true or false",
        ),
    ],
)
def test_the_repository_takes_no_model_and_no_nonsense(
    served: httpx.Client, url: str, body: bytes, says: str
) -> None:
    assert_error(served.post(url, content=body), 400, says)


def test_a_deadline_of_the_request_is_504(served: httpx.Client) -> None:
    for inputs in (X, IMAGE):
        url = SIGNALS if inputs is X else PHOTOS
        assert_error(served.post(url, **asked(inputs, parameters={"timeout": 1})), 504)
        assert (
            served.post(url, **asked(inputs, parameters={"timeout": 30_000_000})).status_code == 200
        )
        assert served.post(url, **asked(inputs, parameters={"timeout": 0})).status_code == 200


@pytest.fixture
def failing(
    settings: Settings, started: Start, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Exception], httpx.Client]:
    """A service whose queue fails in this way."""

    def start(error: Exception) -> httpx.Client:
        services = Services.start(settings)

        async def run(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(services.batcher, "run", run)
        return started(settings, replace(services))

    return start


def test_a_full_queue_is_429_with_the_time_to_try_again(
    failing: Callable[[Exception], httpx.Client],
) -> None:
    client = failing(QueueFull("128 requests are running or waiting already; try again later", 2.2))
    refused = client.post(PHOTOS, **asked(IMAGE))
    assert_error(refused, 429, "try again later")
    assert refused.headers["retry-after"] == "3"
    assert counted(client)["fail"]["count"] == 1


@pytest.mark.parametrize(
    "error", [RunFailed("secret of site-packages"), FoveaError("/tmp/x"), ValueError("x.py")]
)
def test_a_failure_of_the_service_is_500_and_says_nothing(
    failing: Callable[[Exception], httpx.Client], error: Exception
) -> None:
    assert_error(failing(error).post(PHOTOS, **asked(IMAGE)), 500, "the service failed")


def counted(client: httpx.Client) -> dict[str, Any]:
    stats: dict[str, Any] = client.get("/v2/models/photos/stats").json()["model_stats"][-1][
        "inference_stats"
    ]
    return stats


def test_a_service_without_models_is_not_ready(tmp_path: Any, started: Start) -> None:
    client = started(
        Settings(models=tmp_path / "none", device="cpu", input_store=tmp_path / "inputs")
    )
    assert_error(client.get("/v2/health/ready"), 503, "no model is served")
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2").status_code == 200
    refused = client.post("/v2/models/photos/infer", content=in_bytes(PIXELS), headers={HEAD: "0"})
    assert_error(refused, 503)
    assert refused.headers["retry-after"]


def test_a_service_that_shuts_down_is_alive_not_ready_and_refuses(
    settings: Settings, started: Start
) -> None:
    client = started(settings)
    client.app.state.health.draining = True  # type: ignore[attr-defined]
    assert_error(client.get("/v2/health/ready"), 503, "shutting down")
    assert client.get("/v2/health/live").status_code == 200
    assert_error(client.post(PHOTOS, **asked(IMAGE)), 503, "shutting down")
