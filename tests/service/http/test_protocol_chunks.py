"""However a stream of requests is cut into pieces, each is answered once, in order, and with its
own body.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, cast

import httptools
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from service.http.fast_path import Connection
from service.http.protocol import HttpProtocol


@dataclass(frozen=True)
class Head:
    length: int
    cacheable: bool = True


class FastPath:
    """Answers bodies to `/known` in capitals, at the next turn of the loop, and refuses those that
    begin with `no`.
    """

    def __init__(self) -> None:
        self.heads: dict[bytes, Head] = {}
        self.taken = 0
        self._waiting: list[tuple[bytes, Connection]] = []

    def parse_head(self, scope: Mapping[str, Any]) -> Head | None:
        lengths = [int(value) for name, value in scope["headers"] if name == b"content-length"]
        own = any(name == b"x-own" for name, _ in scope["headers"])
        return Head(lengths[0], not own) if scope["path"] == "/known" and lengths else None

    def try_handle(self, head: Head, body: bytes, connection: Connection) -> bool:
        if body.startswith(b"no"):
            return False
        self.taken += 1
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.run_batch)
        self._waiting.append((body, connection))
        return True

    def run_batch(self) -> None:
        waiting, self._waiting = self._waiting, []
        for body, connection in waiting:
            connection.reply(200, b"content-length: %d\r\n" % len(body), body)


class App:
    """Echoes a body, a while after it is there as a whole; one to `/early` it does not wait for."""

    def __init__(self, fast_path: FastPath | None) -> None:
        self.fast_path = fast_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await asyncio.sleep(0)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> Any:
        return None

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Bodies:
    """The bodies of answers, read by an HTTP parser."""

    def __init__(self) -> None:
        self.found: list[bytes] = []

    def on_message_begin(self) -> None:
        self.found.append(b"")

    def on_body(self, body: bytes) -> None:
        self.found[-1] += body


def request(path: str, body: bytes, more: str = "") -> bytes:
    return (
        f"POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        + body
    )


async def answers(
    pieces: Sequence[bytes], turns: Sequence[int], fast_path: FastPath | None
) -> list[bytes]:
    config = Config(cast(Any, App(fast_path)), log_config=None, access_log=False)
    loop, transport = asyncio.get_running_loop(), Transport()
    protocol = HttpProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    protocol.connection_made(cast(asyncio.Transport, transport))
    for piece, count in zip(pieces, turns, strict=True):
        protocol.data_received(piece)
        for _ in range(count):
            await asyncio.sleep(0)
    for _ in range(200):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    bodies = Bodies()
    httptools.HttpResponseParser(bodies).feed_data(transport.written)
    return bodies.found


INNER = request("known", b"inner")
BODIES = st.sampled_from(
    [b"", b"x", b"body of it", b"no, thanks", INNER, INNER[:-3], b"\r\n\r\n", b"POST /known HTTP"]
)
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["known", "other"]), BODIES, st.sampled_from(["", "", "X-Own: 1\r\n"])
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(REQUESTS, st.data())
def test_pieces_change_nothing(requests: list[tuple[str, bytes, str]], data: st.DataObject) -> None:
    sent = [request(*parts) for parts in requests]
    stream = b"".join(sent)
    ends = [0, *accumulate(map(len, sent))]
    # Half of the cuts are where requests end, for there the fast path is open.
    cuts = data.draw(
        st.sets(st.one_of(st.sampled_from(ends), st.integers(0, len(stream))), max_size=12)
    )
    places = sorted({0, len(stream), *cuts})
    pieces = [stream[start:stop] for start, stop in pairwise(places)]
    turns = [data.draw(st.sampled_from([0, 0, 1, 30])) for _ in pieces]
    fast_path = FastPath()
    for path, body, header in requests:
        is_plain = path == "known" and not header
        if is_plain and data.draw(st.booleans()):
            fast_path.heads[request(path, body).removesuffix(body)] = Head(len(body))
    bodies = asyncio.run(answers(pieces, turns, fast_path))
    assert bodies == [body for _, body, _ in requests]
    assert not any(b"X-Own" in head for head in fast_path.heads)


def test_the_fast_path_is_really_taken() -> None:
    fast_path = FastPath()
    stream = [request("known", b"body of it")] * 5
    assert asyncio.run(answers(stream, [30] * 5, fast_path)) == [b"body of it"] * 5
    assert fast_path.taken == 5
    assert len(fast_path.heads) == 1
    own = [request("known", b"body of it", "X-Own: 1\r\n")] * 3
    assert asyncio.run(answers(own, [30] * 3, fast_path)) == [b"body of it"] * 3
    assert fast_path.taken == 8
    assert asyncio.run(answers(stream, [30] * 5, None)) == [b"body of it"] * 5


def taught() -> FastPath:
    """A fast path that knows the head of INNER."""
    fast_path = FastPath()
    fast_path.heads[INNER.removesuffix(b"inner")] = Head(5)
    return fast_path


def test_the_rest_of_a_body_that_was_answered_early_is_no_request() -> None:
    fast_path, outer = taught(), request("early", INNER)
    pieces = [outer.removesuffix(INNER), INNER, INNER]
    assert asyncio.run(answers(pieces, [30] * 3, fast_path)) == [b"", b"inner"]
    assert fast_path.taken == 1


def test_a_broken_request_is_answered_after_the_one_before_it() -> None:
    found = asyncio.run(answers([INNER, b"no HTTP\r\n\r\n"], [0, 0], taught()))
    assert found == [b"inner", b"Invalid HTTP request received."]
