"""Load: what is told to wrk and read of its answer, wrk itself where it is installed, and who
watches meanwhile.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.serving import wrk
from benchmarks.serving.load import PAUSE, Watcher, refusals
from benchmarks.serving.wire import Address, Answer, Call, Connection, WireError

OUTPUT = """Running 2s test @ http://127.0.0.1:8000
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
fovea-figures {"requests": 14231, "micros": 2010000, "p50": 2204, "p90": 3050, "p99": 5120, \
"connect": 1, "read": 2, "write": 3, "status": 4, "timeout": 5}
"""
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def test_the_figures_are_read_with_latencies_in_milliseconds() -> None:
    counted = wrk.parse(OUTPUT)
    assert (counted.answers, counted.seconds) == (14231, 2.01)
    assert (counted.p50, counted.p90, counted.p99) == (2.204, 3.05, 5.12)
    assert counted.errors == {"connect": 1, "read": 2, "write": 3, "status": 4, "timeout": 5}


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused"])
def test_output_without_figures_is_an_error_that_shows_it(output: str) -> None:
    with pytest.raises(wrk.WrkError, match=output or "nothing at all"):
        wrk.parse(output)


def test_without_wrk_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(wrk.WrkError, match="apt-get install wrk"):
        wrk.ensure_wrk()


class Counting(BaseHTTPRequestHandler):
    """Answers 200 to bodies that begin with "good", 503 to others, and keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.command, self.path, self.headers["Content-Type"], body))
        self._answer(200 if body.startswith(b"good") else 503)

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers["Accept"], b""))
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def counting() -> Iterator[tuple[Address, list[tuple[str, str, str, bytes]]]]:
    """A server on loopback, and the list of what it is sent."""
    seen: list[tuple[str, str, str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Counting,), {"seen": seen}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ("127.0.0.1", server.server_address[1]), seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(body: bytes) -> Call:
    return Call("/predict?top_k=2", lambda _: "", body, "image/png")


@needs_wrk
def test_wrk_sends_the_calls_in_turn_as_they_are() -> None:
    binary = b'good \x00\r\n\xff "quoted" %d'
    calls = [post(binary), Call("/layers", lambda _: "", accept="application/x-npy")]
    with counting() as (address, seen):
        counted = wrk.load(address, calls, 1, 1)
    sent = [
        ("POST", "/predict?top_k=2", "image/png", binary),
        ("GET", "/layers", "application/x-npy", b""),
    ]
    # wrk asks its script for one request before it begins, so either may be the first.
    turns = sent if seen[0] == sent[0] else sent[::-1]
    assert len(seen) > 2
    assert seen == (turns * len(seen))[: len(seen)]
    # The request that is under way at the end was sent and is not counted.
    assert counted.answers in (len(seen), len(seen) - 1)
    assert 0 < counted.p50 <= counted.p90 <= counted.p99
    assert not any(counted.errors.values())


@needs_wrk
def test_answers_that_refuse_are_counted_as_errors() -> None:
    with counting() as (address, _):
        counted = wrk.load(address, [post(b"good"), post(b"bad")], 1, 1)
    assert counted.errors["status"] == pytest.approx(counted.answers / 2, abs=1)


@needs_wrk
def test_fresh_bodies_are_never_the_same_and_begin_with_the_picture() -> None:
    with counting() as (address, seen):
        wrk.load(address, [post(b"good picture"), post(b"good other")], 2, 1, "0000000007")
    bodies = [body for *_, body in seen]
    assert len(set(bodies)) == len(bodies) > 2
    assert all(
        len(body) in (len(b"good picture") + wrk.FRESH, len(b"good other") + wrk.FRESH)
        for body in bodies
    )
    assert all(
        body.startswith((b"good picture0000000007", b"good other0000000007")) for body in bodies
    )


def test_a_connection_reads_one_answer_after_another() -> None:
    with counting() as (address, _), Connection(address) as connection:
        answers = [connection.ask(post(body).bytes()) for body in (b"good", b"bad", b"good")]
    assert [(answer.status, answer.body) for answer in answers] == [
        (200, b"ok"),
        (503, b"ok"),
        (200, b"ok"),
    ]
    assert isinstance(answers[0], Answer)
    assert answers[0].headers["content-length"] == "2"


def test_a_connection_that_is_closed_is_an_error_and_no_answer() -> None:
    with counting() as (address, _), Connection(address) as connection, pytest.raises(WireError):
        connection.ask(b"nonsense\r\n\r\n")


def test_a_watcher_counts_what_it_is_told_and_keeps_what_is_wrong() -> None:
    calls = [post(b"good"), Call("/layers", lambda answer: f"{answer.status}, wrong")]
    with counting() as (address, seen):
        with Watcher(address, calls) as watcher:
            time.sleep(5 * PAUSE)
        assert 2 <= watcher.answers == len(seen)
    assert set(watcher.complaints) == {"/layers: 200, wrong"}


def test_refusals_are_summed_by_status_over_routes() -> None:
    labels = (
        '/predict",status="429"',
        '/layers",status="429"',
        '/predict",status="200"',
        '/predict",status="503"',
    )
    lines = [
        f'fovea_requests_total{{method="GET",route="{label}}} {3 + index}.0'
        for index, label in enumerate(labels)
    ]
    assert refusals("\n".join(["# TYPE fovea_requests_total counter", *lines])) == {
        "429": 7,
        "503": 6,
    }


def test_a_script_names_each_body_by_a_file_of_its_own(tmp_path: Path) -> None:
    text = wrk.script([post(b"one"), post(b"two")], tmp_path)
    assert [(tmp_path / f"{number}.body").read_bytes() for number in (0, 1)] == [b"one", b"two"]
    assert text.count(str(tmp_path)) == 2
