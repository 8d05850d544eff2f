"""Starting, refusing to start, losing a worker, and ending: what an operator sees of the
process.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from service.client import Client
from tests.e2e.process import Service, status, until

Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path, models_folder: Path) -> Start:
    """Makes a service with these variables; it starts with its `with` block."""

    def make(models: Path = models_folder, **variables: str) -> Service:
        return Service(tmp_path, models, **variables)

    return make


class Upload:
    """A picture posted in two halves, the second of them only when `finish` is called."""

    def __init__(self, address: str, data: bytes) -> None:
        self._address, self._data = address, data
        self._rest = threading.Event()
        self._answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._post, daemon=True)
        self._thread.start()

    def finish(self) -> httpx.Response:
        self._rest.set()
        self._thread.join(30)
        assert self._answer is not None, "no answer came"
        return self._answer

    def _post(self) -> None:
        self._answer = httpx.post(f"{self._address}/predict", content=self._halves(), timeout=60)

    def _halves(self) -> Iterator[bytes]:
        middle = len(self._data) // 2
        yield self._data[:middle]
        assert self._rest.wait(30)
        yield self._data[middle:]


def in_flight(address: str) -> int:
    """Requests that the service is answering now, by its own metric."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return int(
        float(
            next(line.split()[1] for line in lines if line.startswith("fovea_requests_in_flight "))
        )
    )


def refused(service: Service) -> str:
    """The one line that a service which cannot start ends with; its exit code is 2, and nothing was
    announced.
    """
    with service:
        assert service.wait() == 2
    assert service.output == ""
    [line] = service.errors.splitlines()
    return line


def test_after_sigterm_the_request_in_flight_is_answered_new_ones_are_refused_and_the_code_is_0(
    start: Start, samples: Path
) -> None:
    with start() as service:
        address = service.ready()
        upload = Upload(address, (samples / "espresso.jpg").read_bytes())
        until(lambda: in_flight(address) == 1, "the upload has begun")
        service.signal(signal.SIGTERM)
        until(lambda: status(f"{address}/readyz") == 503, "the service is draining")
        assert status(f"{address}/livez") == 200
        # Another signal is no second one: Ctrl-C reaches a worker twice, once as its parent's
        # SIGTERM.
        service.signal(signal.SIGINT)
        late = httpx.post(f"{address}/predict", content=b"late")
        assert (late.status_code, late.json()["type"], late.headers["retry-after"]) == (
            503,
            "/problems/not-ready",
            "5",
        )
        answer = upload.finish()
        assert answer.json()["predictions"][0]["label"] == "espresso"
        assert service.wait() == 0
    assert "Traceback" not in service.errors


@pytest.mark.parametrize(
    ("seconds", "signals"), [("0", 1), ("20", 2)], ids=["by the setting", "by a second signal"]
)
def test_a_request_that_never_ends_is_cut_off(start: Start, seconds: str, signals: int) -> None:
    with start(FOVEA_SHUTDOWN_SECONDS=seconds) as service:
        address = service.ready()
        with socket.create_connection(
            (httpx.URL(address).host, httpx.URL(address).port or 0)
        ) as stuck:
            stuck.sendall(
                b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nhalf"
            )
            until(lambda: in_flight(address) == 1, "the upload has begun")
            asked = time.monotonic()
            service.signal(signal.SIGTERM)
            if signals == 2:
                until(lambda: status(f"{address}/readyz") == 503, "the service is draining")
                service.signal(signal.SIGTERM)
            assert service.wait() == 0
            assert time.monotonic() - asked < 10
    too_long = [line for line in service.logs if line["event"] == "draining took too long"]
    assert len(too_long) == (1 if signals == 1 else 0)


def test_an_upload_that_stalls_is_told_so_and_its_connection_is_closed(start: Start) -> None:
    with start(FOVEA_DEADLINE_SECONDS="0.5") as service:
        address = service.ready()
        with socket.create_connection(
            (httpx.URL(address).host, httpx.URL(address).port or 0), timeout=20
        ) as stuck:
            stuck.sendall(
                b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nhalf"
            )
            answer = b"".join(iter(lambda: stuck.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"/problems/stalled-upload" in answer
        assert status(f"{address}/readyz") == 200


def test_ctrl_c_during_start_up_ends_it_with_exit_code_0_and_no_traceback(start: Start) -> None:
    with start() as service:
        service.address()
        service.signal(signal.SIGINT)
        assert service.wait() == 0
    assert "Traceback" not in service.errors


def test_a_second_service_on_a_busy_port_says_so_in_one_line(start: Start, address: str) -> None:
    port = str(httpx.URL(address).port)
    line = refused(start(FOVEA_PORT=port))
    assert line.startswith(f"fovea: cannot listen on 127.0.0.1 port {port}: ")
    assert "--port" in line


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA can be had here"
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_cuda_that_cannot_be_had_is_a_failure_at_start_and_no_service_on_the_cpu(
    start: Start, workers: str
) -> None:
    line = refused(start(FOVEA_DEVICE="cuda", FOVEA_WORKERS=workers))
    assert line.startswith("fovea: FOVEA_DEVICE is cuda, but CUDA cannot be had: ")
    assert "fovea[gpu]" in line


def test_an_unknown_variable_is_refused_with_the_nearest_known_one(start: Start) -> None:
    assert refused(start(FOVEA_DEVISE="cpu")) == (
        "fovea: unknown variable FOVEA_DEVISE; the nearest known one is FOVEA_DEVICE"
    )


def test_a_corrupt_model_is_refused_by_name_and_the_others_are_served(
    service: Service, address: str, models_folder: Path
) -> None:
    body = httpx.get(f"{address}/models").json()
    assert [each["name"] for each in body["models"]] == ["imagenet"]
    [told] = body["refused"]
    assert (told["name"], told["version"]) == ("broken", "7")
    assert told["reason"]
    assert str(models_folder) not in told["reason"]
    assert f"broken:7: {told['reason']}" in httpx.get(f"{address}/readyz").json()["detail"]
    [line] = [line for line in service.logs if line["event"] == "model rejected"]
    assert (line["level"], line["model"], line["reason"]) == ("error", "broken", told["reason"])


def test_without_a_model_the_service_lives_and_says_how_to_build_one(
    start: Start, tmp_path: Path
) -> None:
    with start(tmp_path / "nothing") as service:
        address = service.address()
        until(lambda: status(f"{address}/livez") == 200, "the service is alive")
        answer = httpx.get(f"{address}/readyz")
        assert answer.status_code == 503
        assert "python -m model_build imagenet" in answer.json()["detail"]


def test_a_killed_worker_is_replaced_and_the_pictures_posted_before_are_known_to_all(
    start: Start, samples: Path
) -> None:
    with start(FOVEA_WORKERS="2", FOVEA_THREADS="1") as service:
        address = service.ready()
        until(lambda: len(service.started) == 2, "both workers serve")
        with Client(address) as client:
            input_id = client.predict(samples / "cat.jpg").input_id
            before = client.activations(20, input_id=input_id, channel=0)
        first, second = service.started
        os.kill(first, signal.SIGKILL)
        with Client(address) as client:
            np.testing.assert_array_equal(
                client.activations(20, input_id=input_id, channel=0), before
            )
        until(lambda: len(service.started) == 3, "the first worker is replaced")
        os.kill(second, signal.SIGKILL)
        # Neither of the workers that may have seen the picture is left.
        with Client(address) as client:
            np.testing.assert_array_equal(
                client.activations(20, input_id=input_id, channel=0), before
            )
        until(lambda: len(service.started) == 4, "the second worker is replaced")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def test_the_log_has_one_json_line_for_each_request_with_its_id(
    service: Service, address: str, samples: Path
) -> None:
    given = httpx.get(f"{address}/layers", headers={"X-Request-ID": "mine-1"})
    made = httpx.post(f"{address}/predict", content=(samples / "cat.jpg").read_bytes())
    wrong = httpx.get(f"{address}/layers/999/receptive-field")
    ids = [answer.headers["x-request-id"] for answer in (given, made, wrong)]
    assert ids[0] == "mine-1"
    assert wrong.json()["request_id"] == ids[2]

    def lines() -> list[dict[str, Any]] | None:
        found = [line for line in service.logs if line.get("request_id") in ids]
        return found if len(found) >= 3 else None

    logged = until(lines, "the requests are logged")
    assert [
        (line["event"], line["path"], line["status"], line["request_id"]) for line in logged
    ] == [
        ("request", "/layers", 200, "mine-1"),
        ("request", "/predict", 200, ids[1]),
        ("request", "/layers/999/receptive-field", 404, ids[2]),
    ]
    assert all(line["ms"] > 0 for line in logged)
