"""A client that goes away takes its work along: from the queue, from the network's run, and half
way through an upload.

The network here counts to a thousand million if its input says so, which takes minutes: what these
tests see within a minute was ended by nobody else than the service.
"""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import onnx
import pytest

from anatomy import model_file
from tests.e2e.process import Service, until

COUNTING = """<ir_version: 8, opset_import: ["" : 18]>
counting (float[N,1,4] x) => (float[N,4] y) <float[1,1,1] w = {1}> {
  layer = Conv(x, w)
  largest = ReduceMax<keepdims=0>(x)
  million = Constant<value = float {1e9}>()
  product = Mul(largest, million)
  times = Cast<to=7>(product)
  go = Constant<value = bool {1}>()
  counted = Loop(times, go, layer) <body =
  turn (int64 i, bool on, float[a,b,c] v) => (bool still, float[a,b,c] w1) {
    still = Identity(on)
    negative = Neg(v)
    w1 = Relu(negative)
  }>
  y = Flatten(counted)
}"""
ONE_BY_ONE = {
    "FOVEA_DEADLINE_SECONDS": "600",
    "FOVEA_QUEUE_SIZE": "2",
    "FOVEA_INSTANCES": "1",
    "FOVEA_WORKERS": "1",
}
# JSON, which always goes to a thread.
LONG = json.dumps({"inputs": [[1.0, 0.0, 0.0, 0.0]]}).encode()
SHORT = json.dumps({"inputs": [[0.0, 0.0, 0.0, 0.0]]}).encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("counting")
    model_file.write(
        onnx.parser.parse_model(COUNTING), folder / "models/counting/1/model.onnx", None
    )
    with Service(folder, folder / "models", **ONE_BY_ONE) as service:
        service.ready()
        yield service


def send(
    service: Service, path: str, body: bytes, length: int | None = None, method: str = "POST"
) -> socket.socket:
    """A connection on which a request was sent, with so many bytes promised."""
    address = urlsplit(service.address())
    connection = socket.create_connection((address.hostname, address.port), timeout=30)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: "
    )
    connection.sendall(
        f"{head}sent\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode()
        + body
    )
    return connection


def answered(service: Service, path: str = "/predict") -> list[int]:
    """The statuses of the requests that `send` sent, oldest first."""
    own = [
        each
        for each in service.logs
        if each.get("request_id") == "sent" and each.get("path") == path
    ]
    return [each["status"] for each in own if "status" in each]


def queued(service: Service) -> int:
    """How many pieces of work run or wait."""
    lines = httpx.get(f"{service.address()}/metrics").text.splitlines()
    return int(
        float(next(line.split()[-1] for line in lines if line.startswith("fovea_queue_length")))
    )


def ask(service: Service) -> httpx.Response:
    return httpx.post(
        f"{service.address()}/predict", content=SHORT, headers={"Content-Type": "application/json"}
    )


def test_a_run_is_ended_when_its_client_goes(service: Service) -> None:
    before = len(answered(service))
    connection = send(service, "/predict", LONG)
    until(lambda: queued(service) == 1, "it runs")
    connection.close()
    until(lambda: queued(service) == 0, "the thread is free")
    assert answered(service)[before:] == [499]
    assert ask(service).status_code == 200


@pytest.mark.parametrize("padding", [0, 70_000, 3_000_000])
def test_a_run_is_ended_however_large_the_body_was(service: Service, padding: int) -> None:
    before = len(answered(service))
    connection = send(service, "/predict", LONG + b" " * padding)
    until(lambda: queued(service) == 1, "it runs")
    connection.close()
    until(lambda: queued(service) == 0, "the thread is free")
    assert answered(service)[before:] == [499]


def test_who_goes_while_it_waits_frees_its_place(service: Service) -> None:
    before = len(answered(service))
    running = send(service, "/predict", LONG)
    # Else they might share its run.
    until(lambda: queued(service) == 1, "it runs")
    waiting = [send(service, "/predict", LONG) for _ in range(2)]
    until(lambda: queued(service) == 3, "one runs and two wait")
    assert ask(service).status_code == 429
    for each in waiting:
        each.close()
    until(lambda: queued(service) == 1, "the places are free")
    running.close()
    until(lambda: queued(service) == 0, "the thread is free")
    assert answered(service)[before:] == [499] * 3
    assert ask(service).status_code == 200


def test_who_stays_is_answered_though_the_one_before_went(service: Service) -> None:
    running = send(service, "/predict", LONG)
    until(lambda: queued(service) == 1, "it runs")
    staying = send(service, "/predict", SHORT)
    until(lambda: queued(service) == 2, "the other waits")
    running.close()
    assert staying.recv(100).startswith(b"HTTP/1.1 200")
    staying.close()


def test_a_client_that_goes_half_way_through_its_upload_leaves_nothing(service: Service) -> None:
    before = len(answered(service))
    connection = send(service, "/predict", LONG, length=1_000_000)
    connection.close()
    until(lambda: len(answered(service)) > before, "it is logged")
    assert answered(service)[before:] == [499]
    assert queued(service) == 0


def test_what_goes_through_the_framework_is_ended_too(service: Service) -> None:
    path = "/layers/0/activations"
    # Everything before the layer is short, so a long run holds the thread while this one waits.
    running = send(service, "/predict", LONG)
    until(lambda: queued(service) == 1, "it runs")
    waiting = send(service, path, LONG)
    until(lambda: queued(service) == 2, "the other waits")
    waiting.close()
    until(lambda: queued(service) == 1, "its place is free")
    assert answered(service, path) == [499]
    running.close()
    until(lambda: queued(service) == 0, "the thread is free")


def test_nothing_of_it_is_an_error_in_the_log(service: Service) -> None:
    assert [each for each in service.logs if each["level"] in ("error", "critical")] == []
