"""Models come, change and go while a real service answers: no request fails, and what is bad
changes nothing.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from anatomy import model_file
from tests.e2e.process import Service, status, until
from tests.service.networks import WAVES, encoded, parsed, photo_model

Start = Callable[..., Service]
PATIENCE = 60


@pytest.fixture
def models(models_folder: Path, tmp_path: Path) -> Path:
    """A folder with `imagenet` and the small `photos`, both version 1, that a test may change."""
    folder = tmp_path / "models"
    (folder / "imagenet/1").mkdir(parents=True)
    shutil.copy(models_folder / "imagenet/1/model.onnx", folder / "imagenet/1/model.onnx")
    model, card = photo_model()
    model_file.write(model, folder / "photos/1/model.onnx", card)
    return folder


@pytest.fixture
def start(tmp_path: Path, models: Path) -> Start:
    """Makes a service of these models that looks at them often; it starts with its `with` block."""

    def make(**variables: str) -> Service:
        return Service(
            tmp_path,
            models,
            **{"FOVEA_MODEL_CONTROL": "poll", "FOVEA_POLL_SECONDS": "0.2"} | variables,
        )

    return make


def copy(models: Path, name: str, version: str, before: str = "1") -> None:
    shutil.copytree(models / name / before, models / name / version)


def versions(address: str, name: str) -> list[str]:
    found = [
        each["versions"]
        for each in httpx.get(f"{address}/models").json()["models"]
        if each["name"] == name
    ]
    return found[0] if found else []


def lines(service: Service, event: str, model: str) -> list[dict[str, Any]]:
    return [line for line in service.logs if line["event"] == event and line.get("model") == model]


class Stream:
    """One caller that posts the same picture again and again on one connection; what it was
    answered, in order.
    """

    def __init__(self, address: str, model: str, picture: bytes) -> None:
        self.answers: list[tuple[int, str]] = []
        self._url = f"{address}/predict?model={model}"
        self._picture = picture
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._post, daemon=True)
        self._thread.start()

    def end(self) -> list[tuple[int, str]]:
        self._ended.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.answers

    def _post(self) -> None:
        end = time.monotonic() + PATIENCE
        with httpx.Client(timeout=30, headers={"Content-Type": "image/png"}) as client:
            while not self._ended.is_set() and time.monotonic() < end:
                answer = client.post(self._url, content=self._picture)
                self.answers.append((answer.status_code, answer.json().get("version", answer.text)))


@contextmanager
def streams(address: str, pictures: dict[str, bytes], callers: int = 2) -> Iterator[list[Stream]]:
    """Callers of each of these models, all of whom have been answered once when the block
    begins.
    """
    found = [
        Stream(address, model, picture)
        for model, picture in pictures.items()
        for _ in range(callers)
    ]
    try:
        until(lambda: all(stream.answers for stream in found), "every caller has an answer")
        yield found
    finally:
        for stream in found:
            stream.end()


def answered_again(callers: list[Stream]) -> None:
    """Wait until every caller has been answered five more times."""
    counts = [len(stream.answers) for stream in callers]
    until(
        lambda: all(len(s.answers) > n + 5 for s, n in zip(callers, counts, strict=True)),
        "every caller goes on",
    )


def changes(answers: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The answers without those that are as the one before."""
    return [each for place, each in enumerate(answers) if not place or answers[place - 1] != each]


@pytest.fixture
def pictures(samples: Path) -> dict[str, bytes]:
    """A photograph for `imagenet`, and for `photos` one so small that the event loop itself
    answers.
    """
    small = encoded(np.full((32, 32, 3), 128, np.uint8))
    return {"imagenet": (samples / "espresso.jpg").read_bytes(), "photos": small}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_under_a_steady_stream_of_requests_a_new_version_takes_over_and_none_fails(
    start: Start, models: Path, pictures: dict[str, bytes], workers: str
) -> None:
    with start(FOVEA_WORKERS=workers, FOVEA_THREADS="1") as service:
        address = service.ready()
        until(lambda: len(service.started) == int(workers), "all workers serve")
        with streams(address, pictures) as callers:
            for name in pictures:
                copy(models, name, "2")
            until(
                lambda: all(
                    len(lines(service, "model swapped", name)) == int(workers) for name in pictures
                ),
                "both are swapped",
            )
            answered_again(callers)
        for stream in callers:
            assert changes(stream.answers) == [(200, "1"), (200, "2")]
        swapped = lines(service, "model swapped", "imagenet")
        assert {(line["version"], line["before"]) for line in swapped} == {("2", "1")}
        assert versions(address, "imagenet") == ["1", "2"]


def test_under_a_steady_stream_a_file_that_is_replaced_and_a_version_that_goes_fail_no_request(
    start: Start, models: Path, pictures: dict[str, bytes]
) -> None:
    with start() as service:
        address = service.ready()
        with streams(address, pictures) as callers:
            model, card = photo_model()
            model.producer_version = "another"
            model_file.write(model, models / "photos/1/model.onnx", card)
            (models / "imagenet/1").rename(models / "imagenet/2")
            until(lambda: lines(service, "model swapped", "photos"), "the file is swapped")
            until(
                lambda: lines(service, "model unloaded", "imagenet"), "the renamed version is gone"
            )
            answered_again(callers)
        by_model = [changes(stream.answers) for stream in callers]
        assert by_model == [[(200, "1"), (200, "2")]] * 2 + [[(200, "1")]] * 2
        assert versions(address, "imagenet") == ["2"]


def test_a_bad_new_version_leaves_the_former_one_and_is_told_everywhere(
    start: Start, models: Path, pictures: dict[str, bytes]
) -> None:
    whole = (models / "imagenet/1/model.onnx").read_bytes()
    with start() as service:
        address = service.ready()
        with streams(address, pictures) as callers:
            (models / "imagenet/2").mkdir()
            (models / "imagenet/2/model.onnx").write_bytes(whole[:100_000])
            [line] = until(
                lambda: lines(service, "model rejected", "imagenet"), "the bad version is refused"
            )
            answered_again(callers)
        assert all(changes(stream.answers) == [(200, "1")] for stream in callers)
        assert (line["version"], line["level"]) == ("2", "error")
        assert str(models) not in line["reason"]
        ready = httpx.get(f"{address}/readyz")
        assert ready.status_code == 200
        assert f"imagenet:2: {line['reason']}" in ready.json()["detail"]
        assert httpx.get(f"{address}/models").json()["refused"] == [
            {"name": "imagenet", "version": "2", "reason": line["reason"]}
        ]
        assert 'fovea_models{state="refused"} 1.0' in httpx.get(f"{address}/metrics").text
        (models / "imagenet/2/model.onnx").write_bytes(whole)
        until(lambda: versions(address, "imagenet") == ["1", "2"], "the mended version is served")
        assert httpx.get(f"{address}/readyz").json() == {"status": "ready"}
        assert len(lines(service, "model rejected", "imagenet")) == 1


def test_a_file_that_is_copied_slowly_is_served_when_it_is_whole(
    start: Start, models: Path, pictures: dict[str, bytes]
) -> None:
    whole = (models / "imagenet/1/model.onnx").read_bytes()
    with start() as service:
        address = service.ready()
        with streams(address, pictures) as callers:
            (models / "imagenet/2").mkdir()
            with (models / "imagenet/2/model.onnx").open("wb") as file:
                # Each pause is shorter than that between two looks.
                for begin in range(0, len(whole), 4_000_000):
                    file.write(whole[begin : begin + 4_000_000])
                    file.flush()
                    assert versions(address, "imagenet") == ["1"]
                    time.sleep(0.1)
            until(lambda: lines(service, "model swapped", "imagenet"), "the whole file is served")
            answered_again(callers)
        assert [changes(stream.answers) for stream in callers[:2]] == [[(200, "1"), (200, "2")]] * 2


def test_a_model_whose_folder_is_deleted_ends_the_requests_that_it_has_and_is_unknown_then(
    start: Start, models: Path, pictures: dict[str, bytes]
) -> None:
    rest = threading.Event()
    answers: list[httpx.Response] = []

    def halves() -> Iterator[bytes]:
        yield pictures["imagenet"][:1000]
        assert rest.wait(PATIENCE)
        yield pictures["imagenet"][1000:]

    with start() as service:
        address = service.ready()
        url = f"{address}/predict?model=imagenet"
        upload = threading.Thread(
            target=lambda: answers.append(httpx.post(url, content=halves(), timeout=PATIENCE))
        )
        upload.start()
        until(
            lambda: "fovea_requests_in_flight 1.0" in httpx.get(f"{address}/metrics").text,
            "the upload has begun",
        )
        shutil.rmtree(models / "imagenet")
        until(lambda: lines(service, "model unloaded", "imagenet"), "the model is unloaded")
        assert httpx.post(url, content=pictures["imagenet"]).status_code == 404
        rest.set()
        upload.join(PATIENCE)
        assert answers[0].json()["predictions"][0]["label"] == "espresso"
        assert 'fovea_models{state="served"} 1.0' in httpx.get(f"{address}/metrics").text
        # What is left answers where no model is named.
        assert (
            httpx.post(f"{address}/predict", content=pictures["photos"]).json()["model"] == "photos"
        )


def test_the_first_model_of_an_empty_folder_makes_the_service_ready(
    start: Start, models: Path
) -> None:
    models.rename(models.with_name("aside"))
    with start() as service:
        address = service.address()
        until(lambda: status(f"{address}/readyz") == 503, "the service lives")
        models.mkdir()
        model_file.write(parsed(WAVES), models / "waves/1/model.onnx", None)
        until(lambda: status(f"{address}/readyz") == 200, "the service is ready")
        assert versions(address, "waves") == ["1"]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"FOVEA_WORKERS": "2"},
            "fovea: FOVEA_WORKERS is '2': with FOVEA_MODEL_CONTROL=explicit it must be 1",
        ),
        (
            {"FOVEA_LOAD_MODELS": "imagent"},
            "fovea: FOVEA_LOAD_MODELS names 'imagent', which cannot be loaded",
        ),
    ],
)
def test_what_explicit_control_cannot_do_is_a_failure_at_start(
    start: Start, variables: dict[str, str], says: str
) -> None:
    with start(FOVEA_MODEL_CONTROL="explicit", **variables) as service:
        assert service.wait() == 2
    [line] = service.errors.splitlines()
    assert line.startswith(says)
