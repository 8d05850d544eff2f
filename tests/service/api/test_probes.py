"""DrainState, metrics, request ids, draining, and what happens when the service itself fails."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from service.services import Services
from service.settings import Settings
from service.telemetry import logs
from tests.service.conftest import Start

Check = Callable[..., dict[str, Any]]


def samples(client: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines logged since, as JSON; what logs were before is restored."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    logs.configure("json", "info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_process_that_answers_is_alive_and_with_a_model_ready(client: httpx.Client) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert "corrupt:1" in ready.json()["detail"]


def test_without_a_model_it_is_alive_and_not_ready(
    settings: Settings, started: Start, picture: bytes, assert_problem: Check, tmp_path: Path
) -> None:
    client = started(
        settings.model_copy(update={"models": tmp_path / "none", "default_model": None})
    )
    assert client.get("/livez").status_code == 200
    for response in (
        client.get("/readyz"),
        client.post("/predict", content=picture),
        client.get("/layers"),
    ):
        assert_problem(response, 503, "not-ready", "python -m model_build")
        assert int(response.headers["retry-after"]) > 0
    assert client.get("/models").json() == {"models": [], "refused": []}
    assert client.get("/").status_code == 200


def test_without_its_default_model_it_is_ready_says_so_and_answers_for_the_others(
    settings: Settings, started: Start, picture: bytes, assert_problem: Check
) -> None:
    client = started(
        settings.model_copy(update={"model_control": "poll", "default_model": "later"})
    )
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "the default model 'later' is not served" in ready.json()["detail"]
    assert_problem(
        client.post("/predict", content=picture), 503, "not-ready", "the default model 'later'"
    )
    assert client.post("/predict?model=photos", content=picture).status_code == 200
    assert [
        model["name"] for model in client.get("/models").json()["models"] if model["default"]
    ] == []


def test_requests_are_counted_by_route_not_by_path(client: httpx.Client, picture: bytes) -> None:
    client.post("/predict", content=picture)
    client.get("/layers/0/receptive-field")
    client.get("/layers/1/receptive-field")
    client.get("/layers/99/receptive-field")
    client.get("/nowhere/at/all")
    values = {
        dict(labels)["route"]: value
        for (name, labels), value in samples(client).items()
        if name == "fovea_requests_total" and ("status", "200") in labels
    }
    assert values == {"/predict": 1, "/layers/{n:path}/receptive-field": 2}
    missed = {
        dict(labels)["route"] for (name, labels) in samples(client) if ("status", "404") in labels
    }
    assert missed == {"/layers/{n:path}/receptive-field", "(none)"}


def test_metrics_say_what_runs_the_networks_and_how_long_each_stage_took(
    client: httpx.Client, picture: bytes
) -> None:
    client.post("/predict", content=picture)
    client.post("/layers/0/activations", content=picture)
    values = samples(client)
    info = next(dict(labels) for name, labels in values if name == "fovea_engine_info")
    assert info["provider"] == "CPUExecutionProvider"
    assert values["fovea_models", frozenset({("state", "served")})] == 5
    assert values["fovea_models", frozenset({("state", "refused")})] == 3
    for stage in ("decode", "queue", "run"):
        labels = {"stage": stage, "model": "photos", "version": "2"}
        assert values["fovea_stage_seconds_count", frozenset(labels.items())] == 1
    assert values["fovea_sessions_built_total", frozenset()] == 6


def test_while_draining_probes_are_answered_and_work_is_refused(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    client.app.state.health.draining = True  # type: ignore[attr-defined]
    assert client.get("/livez").status_code == 200
    assert client.get("/metrics").status_code == 200
    assert_problem(client.get("/readyz"), 503, "not-ready", "draining")
    response = client.post("/predict", content=picture)
    assert_problem(response, 503, "not-ready", "another instance")
    assert response.headers["connection"] == "close"
    assert int(response.headers["retry-after"]) > 0


def test_the_callers_request_id_is_in_the_answer_and_in_the_log(
    settings: Settings, log_lines: Callable[[], list[dict[str, Any]]], started: Start
) -> None:
    client = started(settings)
    response = client.get("/layers?model=nets", headers={"X-Request-ID": "trace-7"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "trace-7"
    [line] = [line for line in log_lines() if line["event"] == "request"]
    assert (line["request_id"], line["method"], line["path"], line["status"]) == (
        "trace-7",
        "GET",
        "/layers",
        404,
    )


def test_the_log_names_the_folder_in_which_no_model_was_found(
    settings: Settings,
    tmp_path: Path,
    log_lines: Callable[[], list[dict[str, Any]]],
    started: Start,
) -> None:
    folder = tmp_path / "misspelt"
    started(settings.model_copy(update={"models": folder, "default_model": None}))
    [line] = [line for line in log_lines() if line["event"] == "not ready"]
    assert line["models"] == str(folder)


def test_a_request_without_a_fit_id_gets_one_of_its_own(client: httpx.Client) -> None:
    ids = [
        client.get("/livez", headers=headers).headers["x-request-id"]
        for headers in ({}, {"X-Request-ID": "a b"})
    ]
    assert len({*ids, "a b"}) == 3


def test_a_failure_of_the_service_is_logged_and_tells_nothing_else(
    settings: Settings,
    log_lines: Callable[[], list[dict[str, Any]]],
    started: Start,
    picture: bytes,
    assert_problem: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = Services.start(settings)
    client = started(settings, services)

    def fail(*_: Any) -> None:
        raise RuntimeError("secret of /tmp/x")

    with monkeypatch.context() as patch:
        patch.setattr(services.predictor, "run", fail)
        response = client.post("/predict", content=picture)
    body = assert_problem(response, 500, "internal-error", "request id")
    assert "secret" not in response.text
    [line] = [line for line in log_lines() if line["event"] == "request failed"]
    assert line["request_id"] == body["request_id"]
    assert "secret of" in str(line["exception"])
    assert client.post("/predict", content=picture).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/layers", "/docs-assets/swagger-ui.css"]
)
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_other_origins_may_not_call_unless_they_are_named(
    settings: Settings, started: Start
) -> None:
    origin = {"Origin": "http://page.example"}
    assert (
        "access-control-allow-origin"
        not in started(settings).get("/models", headers=origin).headers
    )
    open_to_one = started(settings.model_copy(update={"cors_origins": ("http://page.example",)}))
    answer = open_to_one.get("/models", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "http://page.example"
    other = open_to_one.get("/models", headers={"Origin": "http://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_wrong_method_is_answered_with_those_of_all_routes_of_the_path(
    client: httpx.Client,
) -> None:
    assert client.delete("/layers/0/activations").headers["allow"] == "GET, POST"
    assert client.get("/predict").headers["allow"] == "POST"
