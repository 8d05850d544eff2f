"""Models are loaded and unloaded by requests while a real service answers others."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from anatomy import model_file
from tests.e2e.process import Service, status, until
from tests.service.networks import MATRIX, WAVES, parsed, photo_model

PATIENCE = 60


@pytest.fixture
def models(models_folder: Path, tmp_path: Path) -> Path:
    """A folder with `imagenet` and the small `photos` and `waves`, that a test may change."""
    folder = tmp_path / "models"
    shutil.copytree(models_folder / "imagenet", folder / "imagenet")
    model, card = photo_model()
    model_file.write(model, folder / "photos/1/model.onnx", card)
    model_file.write(parsed(WAVES), folder / "waves/1/model.onnx", None)
    return folder


def ask(address: str, what: str, body: Any = None) -> httpx.Response:
    return httpx.post(
        f"{address}/v2/repository/{what}", json={} if body is None else body, timeout=PATIENCE
    )


def states(address: str) -> dict[str, str]:
    return {
        f"{each['name']}:{each['version']}": each["state"] for each in ask(address, "index").json()
    }


def explicit(tmp_path: Path, models: Path, **variables: str) -> Service:
    return Service(tmp_path, models, FOVEA_MODEL_CONTROL="explicit", **variables)


def test_a_service_without_models_is_ready_and_answers_for_those_that_are_loaded(
    tmp_path: Path, models: Path, samples: Path
) -> None:
    picture = (samples / "espresso.jpg").read_bytes()
    with explicit(tmp_path, models) as service:
        address = service.ready()
        assert status(f"{address}/v2/health/ready") == 200
        assert set(states(address).values()) == {"UNAVAILABLE"}
        assert httpx.post(f"{address}/predict", content=picture).status_code == 503
        assert httpx.post(f"{address}/predict?model=imagenet", content=picture).status_code == 404
        assert httpx.get(f"{address}/models").json()["models"] == []
        assert ask(address, "models/imagenet/load").status_code == 200
        assert states(address) == {
            "imagenet:1": "READY",
            "photos:1": "UNAVAILABLE",
            "waves:1": "UNAVAILABLE",
        }
        answer = httpx.post(f"{address}/predict", content=picture, timeout=PATIENCE)
        assert answer.json()["predictions"][0]["label"] == "espresso"
        assert ask(address, "models/imagenet/unload").status_code == 200
        assert httpx.post(f"{address}/predict?model=imagenet", content=picture).status_code == 404
        assert set(states(address).values()) == {"UNAVAILABLE"}
        events = [line["event"] for line in service.logs if line["event"].startswith("model ")]
        assert events == ["model loaded", "model unloaded"]


def test_loads_at_once_and_unloads_between_them_leave_others_served_without_a_failure(
    tmp_path: Path, models: Path, samples: Path
) -> None:
    picture = (samples / "cat.jpg").read_bytes()
    answers: list[int] = []
    ended = threading.Event()

    def stream(address: str) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            while not ended.is_set():
                answers.append(
                    client.post(f"{address}/predict?model=photos", content=picture).status_code
                )

    with explicit(tmp_path, models, FOVEA_LOAD_MODELS="photos") as service:
        address = service.ready()
        assert [name for name, state in states(address).items() if state == "READY"] == ["photos:1"]
        caller = threading.Thread(target=stream, args=(address,), daemon=True)
        caller.start()
        asked = [
            "imagenet/load",
            "waves/load",
            "imagenet/load",
            "waves/unload",
            "photos/load",
            "waves/load",
        ] * 2
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda what: ask(address, f"models/{what}").status_code, asked))
        ask(address, "models/waves/load")
        until(lambda: len(answers) > 20, "the caller was answered")
        ended.set()
        caller.join(PATIENCE)
        assert set(done) == {200}
        assert set(answers) == {200}
        assert set(states(address).values()) == {"READY"}
        # What is loaded and did not change is left alone.
        loads = [line["model"] for line in service.logs if line["event"] == "model loaded"]
        assert loads.count("imagenet") == 1
        assert loads.count("photos") == 0


def test_a_bad_version_is_told_to_who_asked_and_the_former_one_goes_on(
    tmp_path: Path, models: Path
) -> None:
    with explicit(tmp_path, models, FOVEA_LOAD_MODELS="waves") as service:
        address = service.ready()
        model_file.write(parsed(MATRIX), models / "waves/2/model.onnx", None)
        answer = ask(address, "models/waves/load")
        assert answer.status_code == 400
        assert "version 2: it is not a CNN" in answer.json()["error"]
        assert states(address)["waves:1"] == "READY"
        [bad] = [each for each in ask(address, "index").json() if each["version"] == "2"]
        assert (bad["state"], bad["reason"]) == (
            "UNAVAILABLE",
            answer.json()["error"].partition("version 2: ")[2],
        )
        assert status(f"{address}/readyz") == 200
        assert status(f"{address}/v2/models/waves/ready") == 200


def test_nothing_is_loaded_but_folders_of_the_models_folder(tmp_path: Path, models: Path) -> None:
    asked: list[tuple[str, Any, int]] = [
        ("nothing", None, 404),
        ("..%2Fmodels%2Fphotos", None, 404),
        ("%2Fetc", None, 404),
        ("photos%2F1", None, 404),
        ("photos", {"parameters": {"config": "{}"}}, 400),
        ("photos", {"parameters": {"file:1/model.onnx": "AAAA"}}, 400),
    ]
    with explicit(tmp_path, models) as service:
        address = service.ready()
        for name, body, expected in asked:
            answer = ask(address, f"models/{name}/load", body)
            assert answer.status_code == expected, name
            assert answer.json()["error"]
        assert set(states(address).values()) == {"UNAVAILABLE"}


def test_without_explicit_control_nothing_is_loaded_on_request(
    tmp_path: Path, models: Path
) -> None:
    with Service(tmp_path, models, FOVEA_MODEL_CONTROL="poll") as service:
        address = service.ready()
        for what in ("load", "unload"):
            answer = ask(address, f"models/photos/{what}")
            assert answer.status_code == 403
            assert "explicit" in answer.json()["error"]
        assert states(address)["photos:1"] == "READY"
