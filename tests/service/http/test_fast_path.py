"""Plain requests are answered past the parser and the framework, and nobody can tell but by the
time it takes.
"""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
import uvicorn

from service.app import App, create_app
from service.errors import QueueFull
from service.http import protocol
from service.http.fast_path import Connection, FastPath, PredictHead
from service.runtime.ort_errors import RunFailed
from service.server import server_of
from service.settings import Settings
from tests.service.networks import encoded, npy

PATIENCE = 20.0
# A header of which the fast path knows nothing.
ODD = "X-Other: 1\r\n"
VOLATILE = {"date", "x-request-id", "server-timing", "content-length"}


@dataclass
class Running:
    """A server on a thread, and what its fast path was offered."""

    app: App
    port: int
    taken: list[bool]

    @property
    def fast_path(self) -> FastPath:
        assert self.app.fast_path is not None
        return self.app.fast_path

    @contextlib.contextmanager
    def connection(self) -> Iterator["Wire"]:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
            wire = Wire(sock)
            try:
                yield wire
            finally:
                wire.close()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.body))


class Wire:
    """A connection of which every byte is known."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = sock.makefile("rb")

    def close(self) -> None:
        self._file.close()

    def send(self, *parts: bytes) -> None:
        for index, part in enumerate(parts):
            if index:
                time.sleep(0.05)
            self._sock.sendall(part)

    def reply(self) -> Reply:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return Reply(status, headers, self._file.read(int(headers["content-length"])))

    def ask(self, *parts: bytes) -> Reply:
        self.send(*parts)
        return self.reply()

    @property
    def closed(self) -> bool:
        """Whether the server has closed it; waits for something to come."""
        return self._file.read(1) == b""


def post(body: bytes, kind: str = "image/png", query: str = "", more: str = "") -> bytes:
    lines = f"Host: fovea\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"POST /predict{query} HTTP/1.1\r\n{lines}{more}\r\n".encode() + body


def picture(seed: int = 0) -> bytes:
    """A PNG of 30 x 20 pixels, always of as many bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    return encoded(pixels).ljust(2200, b"\0")


@pytest.fixture
def alter() -> Callable[[uvicorn.Server], None]:
    return lambda server: None


@pytest.fixture
def running(settings: Settings, alter: Callable[[uvicorn.Server], None]) -> Iterator[Running]:
    app = create_app(settings)
    assert isinstance(app, App)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = server_of(app)
        alter(server)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until = time.monotonic() + PATIENCE
            while not server.started and time.monotonic() < until:
                time.sleep(0.01)
            taken: list[bool] = []
            served = Running(app, listener.getsockname()[1], taken)
            try_handle = served.fast_path.try_handle

            def noted(head: PredictHead, body: bytes, connection: Connection) -> bool:
                taken.append(try_handle(head, body, connection))
                return taken[-1]

            served.fast_path.try_handle = noted  # type: ignore[method-assign]
            yield served
        finally:
            server.should_exit = True
            thread.join()


GOOD: dict[str, tuple[bytes, str, str]] = {
    "a picture": (picture(), "image/png", ""),
    "numbers": (npy(np.full((1, 32, 32, 3), 7, np.uint8)), "application/x-npy", ""),
    "one class": (picture(), "image/png", "?top_k=1"),
    "a version": (picture(), "application/octet-stream", "?model=photos:1"),
}
BAD = {
    "no picture": ((b"no picture", "image/png", ""), 415),
    "half a picture": ((picture()[:900], "image/png", ""), 400),
    "too many classes": ((picture(), "image/png", "?top_k=9999"), 422),
    "a wrong shape": ((npy(np.zeros((2, 2), np.uint8)), "application/x-npy", ""), 422),
}


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("timings_ms", "request_id")}


@pytest.mark.parametrize("name", GOOD)
def test_the_fast_path_gives_the_same_answer_as_the_ordinary_way(
    running: Running, name: str
) -> None:
    with running.connection() as wire:
        first, second = wire.ask(post(*GOOD[name], ODD)), wire.ask(post(*GOOD[name]))
        assert running.taken == [True]
        # Now the head is known.
        assert without_times(wire.ask(post(*GOOD[name])).json()) == without_times(second.json())
    assert running.taken == [True, True]
    assert (first.status, second.status) == (200, 200)
    assert without_times(first.json()) == without_times(second.json())
    assert first.json()["timings_ms"].keys() == second.json()["timings_ms"].keys()
    assert first.headers.keys() == second.headers.keys()
    for header in first.headers.keys() - VOLATILE:
        assert first.headers[header] == second.headers[header]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    stages = r"decode;dur=[\d.]+, queue;dur=[\d.]+, run;dur=[\d.]+"
    assert re.fullmatch(stages, second.headers["server-timing"])


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_is_refused_in_the_same_words(running: Running, name: str) -> None:
    request, status = BAD[name]
    with running.connection() as wire:
        first, second = wire.ask(post(*request, ODD)), wire.ask(post(*request))
        assert wire.ask(post(picture())).status == 200
    assert running.taken == [name != "no picture", True]
    assert (first.status, second.status) == (status, status)
    assert without_times(first.json()) == without_times(second.json())
    assert second.json()["request_id"] == second.headers["x-request-id"]
    assert first.headers.keys() == second.headers.keys()


@pytest.mark.parametrize(
    "more", [ODD, "Origin: http://a\r\n", "Connection: close\r\n", "X-Request-ID: a\r\n" * 2]
)
def test_a_head_with_more_to_it_goes_the_ordinary_way(running: Running, more: str) -> None:
    for _ in range(2):
        with running.connection() as wire:
            assert wire.ask(post(picture(), more=more)).status == 200
    assert running.taken == []


def test_a_connection_that_lives_on_is_said_to_and_others_know_its_heads(running: Running) -> None:
    request = post(picture(), more="Connection: keep-alive\r\n")
    for _ in range(3):
        with running.connection() as wire:
            assert wire.ask(request).status == 200
    assert running.taken == [True, True, True]
    assert len(running.fast_path.heads) == 1


def test_a_head_of_its_own_takes_the_fast_path_and_is_not_remembered(running: Running) -> None:
    with running.connection() as wire:
        for number in range(3):
            reply = wire.ask(
                post(
                    picture(),
                    more=f"X-Request-ID: mine-{number}\r\nTraceparent: 00-a-b-{number}\r\n",
                )
            )
            assert (reply.status, reply.headers["x-request-id"]) == (200, f"mine-{number}")
        assert (
            wire.ask(post(picture(), more="X-Request-ID: not fit for a log\r\n"))
            .headers["x-request-id"]
            .isalnum()
        )
    assert running.taken == [True] * 4
    assert running.fast_path.heads == {}


def test_requests_sent_without_waiting_are_answered_in_their_order(running: Running) -> None:
    with running.connection() as wire:
        ids = [wire.ask(post(picture(seed))).json()["input_id"] for seed in range(4)]
        get = b"GET /livez HTTP/1.1\r\nHost: fovea\r\n\r\n"
        wire.send(b"".join(post(picture(seed)) for seed in range(4)) + get + post(picture(0)))
        assert [wire.reply().json()["input_id"] for _ in range(4)] == ids
        assert wire.reply().status == 200
        assert wire.reply().json()["input_id"] == ids[0]
        for seed in range(4):
            wire.send(post(picture(seed)))
        assert [wire.reply().json()["input_id"] for _ in range(4)] == ids


def test_a_request_in_pieces_takes_the_fast_path_all_the_same(running: Running) -> None:
    request = post(picture())
    at = request.index(b"\r\n\r\n") + 4
    with running.connection() as wire:
        for _ in range(2):
            assert wire.ask(request[:at], request[at:]).status == 200
            assert wire.ask(request[:at], request[at : at + 10], request[at + 10 :]).status == 200
            assert wire.ask(request[:30], request[30:]).status == 200
            wire.ask(request)
    assert running.taken == [True] * 8


def test_a_request_whose_rest_is_slow_goes_the_ordinary_way(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_WAIT_SECONDS", 0.01)
    request = post(picture())
    with running.connection() as connection:
        assert connection.ask(request[:500], request[500:]).status == 200
        connection.ask(request)
        assert running.taken == [True]
        assert connection.ask(request[:500], request[500:]).status == 200
        assert running.taken == [True]
        assert connection.ask(request).status == 200
    assert running.taken == [True, True]


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(running: Running) -> None:
    request = post(picture())
    with running.connection() as wire:
        wire.ask(request)
    with running.connection() as wire:
        wire.send(request[:500])
    with running.connection() as wire:
        assert wire.ask(request).status == 200


def test_a_body_that_looks_like_a_known_request_is_a_body(running: Running) -> None:
    request = post(picture())
    carrier = post(request, more="X-Other: 1\r\n")
    with running.connection() as wire:
        wire.ask(request)
        reply = wire.ask(carrier[: -len(request)], request)
        assert reply.status == 415
        assert running.taken == [True]
        assert wire.ask(request).status == 200
    assert running.taken == [True, True]


def test_the_rest_of_a_request_that_was_refused_early_is_no_request(running: Running) -> None:
    request = post(picture())
    with running.connection() as wire:
        wire.ask(request)
        lines = "Host: fovea\r\nContent-Type: image/png\r\nContent-Length: 99999999\r\n\r\n"
        head = f"POST /predict HTTP/1.1\r\n{lines}".encode()
        assert wire.ask(head, b"some of it").status == 413
        with contextlib.suppress(OSError):
            wire.send(request)
            assert wire.closed
    assert running.taken == [True]


def test_lines_that_end_otherwise_are_never_remembered(running: Running) -> None:
    with running.connection() as wire:
        wire.send(post(picture()).replace(b"\r\n", b"\n", 4))
        with contextlib.suppress(OSError, IndexError):
            wire.reply()
    assert running.fast_path.heads == {}


def test_so_many_heads_are_remembered_and_no_more(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_CACHED_HEADS", 3)
    with running.connection() as connection:
        for count in range(1, 8):
            assert (
                connection.ask(
                    post(picture(), query=f"?top_k={count % 3 + 1}", more="Accept: */*\r\n")
                ).status
                == 200
            )
            assert connection.ask(post(picture() + b"\0" * count)).status == 200
            assert 0 < len(running.fast_path.heads) <= 3


def test_while_draining_nothing_is_taken(running: Running) -> None:
    with running.connection() as wire:
        wire.ask(post(picture()))
        running.app.state.health.draining = True
        assert wire.ask(post(picture())).status == 503
    assert not any(running.taken[1:])


def test_a_failing_run_is_a_problem_of_its_own_request(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = running.fast_path._services.predictor
    predict_all = predictor.predict_all
    fatal = post(picture(13))

    def failing(model: Any, items: Any) -> Any:
        if any(post(item.source.data) == fatal for item in items):
            raise RunFailed("no memory left at 0x7f")
        return predict_all(model, items)

    monkeypatch.setattr(
        type(predictor), "predict_all", lambda _, model, items: failing(model, items)
    )
    with running.connection() as one, running.connection() as other:
        one.ask(post(picture()))
        one.send(fatal)
        other.send(post(picture(1)))
        reply = one.reply()
        assert (reply.status, reply.json()["type"]) == (500, "/problems/internal-error")
        assert "0x7f" not in reply.body.decode()
        assert other.reply().status == 200
    assert running.taken == [True, True, True]


def test_a_refusal_keeps_the_headers_that_belong_to_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise QueueFull("full", 3.2)

    with running.connection() as wire:
        wire.ask(post(picture()))
        monkeypatch.setattr(type(running.fast_path._services.predictor), "predict_all", full)
        reply = wire.ask(post(picture()))
    assert (reply.status, reply.headers["retry-after"]) == (429, "4")
    assert running.taken == [True, True]


class TestAnIdleConnection:
    @pytest.fixture
    def alter(self) -> Callable[[uvicorn.Server], None]:
        def shorten(server: uvicorn.Server) -> None:
            server.config.timeout_keep_alive = 1

        return shorten

    def test_is_closed_after_a_while_but_not_while_the_fast_path_answers(
        self, running: Running
    ) -> None:
        with running.connection() as wire:
            for _ in range(16):
                assert wire.ask(post(picture())).status == 200
                time.sleep(0.1)
            assert wire.closed
        assert running.taken == [True] * 16
