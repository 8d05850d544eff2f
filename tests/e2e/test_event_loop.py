"""The event loop stays free: a network whose time depends on its data never runs on it."""

import json
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import onnx
import pytest

from anatomy import model_file
from tests.e2e.process import Service
from tests.e2e.test_gone_clients import COUNTING
from tests.service.networks import npy

QUICK_REQUESTS = 30
TURNS = 0.0004
"""Times a thousand million: some hundred thousand turns, which take most of a second."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("loop")
    path = folder / "models" / "counting" / "1" / "model.onnx"
    model_file.write(onnx.parser.parse_model(COUNTING), path, None)
    with Service(folder, folder / "models") as service:
        yield service.ready()


def body(path: str, turns: float) -> tuple[bytes, dict[str, str]]:
    """An input for which the loop of the network is gone through so often."""
    values = np.array([[[turns, 0, 0, 0]]], np.float32)
    if path.startswith("/v2"):
        tensor = {"name": "x", "shape": [1, 1, 4], "datatype": "FP32", "data": values.tolist()}
        return json.dumps({"inputs": [tensor]}).encode(), {"Content-Type": "application/json"}
    return npy(values), {"Content-Type": "application/x-npy"}


def post(client: httpx.Client, path: str, turns: float) -> float:
    """The seconds that the answer took."""
    content, headers = body(path, turns)
    started = time.monotonic()
    assert client.post(path, content=content, headers=headers).status_code == 200
    return time.monotonic() - started


def slowest_probe(address: str, until: threading.Event) -> float:
    """The longest that /livez took before that, in seconds."""
    slowest = 0.0
    with httpx.Client(base_url=address) as client:
        while not until.is_set():
            started = time.monotonic()
            assert client.get("/livez").status_code == 200
            slowest = max(slowest, time.monotonic() - started)
            until.wait(0.005)
    return slowest


@pytest.mark.parametrize("path", ["/predict", "/v2/models/counting/infer"])
def test_a_run_that_takes_long_once_does_not_hold_up_a_probe(address: str, path: str) -> None:
    """Quick requests first: they must not make the network pass for a quick one."""
    with httpx.Client(base_url=address, timeout=60) as client:
        for _ in range(QUICK_REQUESTS):
            post(client, path, 0.0)
        answered, seconds = threading.Event(), []

        def slow() -> None:
            seconds.append(post(client, path, TURNS))
            answered.set()

        thread = threading.Thread(target=slow)
        thread.start()
        slowest = slowest_probe(address, answered)
        thread.join()
    assert seconds[0] > 0.3, "the network is too quick on this machine for the test to tell"
    assert slowest < seconds[0] / 3
