"""`GET /models`: what is served, what was refused, and why."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.api.schemas import Models, ModelSummary
from service.settings import Settings
from tests.service.networks import LABELS
from tests.service.runtime.fake_gpu import Gpu

Check = Callable[..., dict[str, Any]]


def test_every_model_is_listed_once_with_all_its_versions(client: httpx.Client) -> None:
    body = client.get("/models").json()
    Models.model_validate(body)
    listed = {model["name"]: model["versions"] for model in body["models"]}
    assert listed == {"decoder": ["1"], "photos": ["1", "2"], "signals": ["1"], "volumes": ["1"]}


def test_the_numbers_of_a_model_are_those_of_its_graph(client: httpx.Client) -> None:
    photos = client.get("/models/photos").json()
    assert photos["layers"] == 4
    assert photos["parameters"] == 8 * 3 * 3 * 3 + 4 * 8 + 4
    assert photos["macs"] == 16 * 16 * 8 * (3 * 3 * 3) + 8 * 4
    assert photos["provider"] == "CPUExecutionProvider"
    assert photos["input"] == {
        "name": "image",
        "type": "uint8",
        "shape": ["N", 32, 32, 3],
        "kind": "image",
    }


def test_on_the_cpu_every_node_runs_there_and_no_gpu_is_told_of(client: httpx.Client) -> None:
    decoder = client.get("/models/decoder").json()
    assert decoder["gpu"] is None
    assert decoder["nodes"] == {"by_provider": {"CPUExecutionProvider": 4}, "fallen_back": []}


def test_on_a_gpu_it_is_told_what_is_in_force_and_what_fell_back(
    settings: Settings, started: Callable[[Settings], httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.runtime.engine._import_ort", Gpu)
    chosen = {
        "device": "cuda",
        "cuda_device": 1,
        "tf32": True,
        "gpu_memory_bytes": 10**9,
        "max_batch": 3,
    }
    body = started(settings.model_copy(update=chosen)).get("/models").json()
    Models.model_validate(body)
    models = {model["name"]: model for model in body["models"]}
    assert models["photos"]["gpu"] == {
        "device": 1,
        "tf32": True,
        "memory_limit_bytes": 10**9,
        "cudnn_search": "heuristic",
        "batch_sizes": [1, 2, 3],
    }
    assert models["decoder"]["nodes"] == {
        "by_provider": {"CUDAExecutionProvider": 0, "CPUExecutionProvider": 4},
        "fallen_back": ["ConvTranspose", "Flatten", "Gemm", "MatMul"],
    }


def test_sizes_that_a_file_leaves_open_leave_its_macs_unknown(client: httpx.Client) -> None:
    signals = client.get("/models/signals").json()
    assert (signals["macs"], signals["parameters"], signals["card"]) == (None, 3 * 2 * 5, None)


def test_the_card_comes_with_the_model(client: httpx.Client) -> None:
    card = client.get("/models/photos").json()["card"]
    assert (card["title"], tuple(card["labels"])) == ("Four animals", LABELS)
    assert card["input"]["size"] == [32, 32]


def test_one_model_is_the_default(client: httpx.Client) -> None:
    assert [
        model["name"] for model in client.get("/models").json()["models"] if model["default"]
    ] == ["photos"]


def test_a_version_of_a_model_can_be_asked_for(client: httpx.Client) -> None:
    newest, first = client.get("/models/photos").json(), client.get("/models/photos:1").json()
    ModelSummary.model_validate(first)
    assert (newest["version"], newest["default"]) == ("2", True)
    assert (first["version"], first["default"]) == ("1", False)


def test_a_default_with_a_version_is_that_version(
    settings: Settings, started: Callable[[Settings], httpx.Client]
) -> None:
    client = started(settings.model_copy(update={"default_model": "photos:1"}))
    assert client.get("/models/photos:1").json()["default"] is True
    assert client.get("/models/photos").json()["default"] is False
    assert client.get("/layers").json()["version"] == "1"


def test_refused_models_are_named_with_the_reason(client: httpx.Client) -> None:
    refused = {
        refusal["name"]: refusal["reason"] for refusal in client.get("/models").json()["refused"]
    }
    assert refused.keys() == {"corrupt", "matrix", "outside"}
    assert "not an ONNX model" in refused["corrupt"]
    assert "not a CNN" in refused["matrix"]
    assert "outside the model's folder" in refused["outside"]


def test_a_model_that_is_unknown_refused_or_of_no_such_version_is_not_found(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(
        client.get("/models/nets"), 404, "unknown-model", "decoder, photos, signals, volumes"
    )
    assert_problem(client.get("/models/corrupt"), 404, "unknown-model", "photos")
    assert_problem(client.get("/models/photos:3"), 404, "unknown-model", "1, 2")
    assert_problem(client.get("/models/" + "x" * 5000), 404, "unknown-model")
    assert client.get("/models/photos").status_code == 200
