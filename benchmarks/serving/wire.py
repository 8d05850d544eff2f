"""HTTP on one kept connection, as little of it as measuring needs: a call is bytes, and so is the
answer's body.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

Address = tuple[str, int]
TIMEOUT = 60


class WireError(Exception):
    """The connection broke, or what came back is not an answer with a length."""


@dataclass(frozen=True)
class Answer:
    """An answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Call:
    """A request, and how to tell that its answer is right: `wrong` says what is not, or nothing."""

    target: str
    wrong: Callable[[Answer], str]
    body: bytes = b""
    media_type: str = ""
    accept: str = "application/json"

    @property
    def method(self) -> str:
        """POST where there is a body."""
        return "POST" if self.body else "GET"

    @property
    def headers(self) -> Mapping[str, str]:
        """Those that the call itself asks for."""
        headers = {"Accept": self.accept}
        if self.media_type:
            headers["Content-Type"] = self.media_type
        return headers

    def bytes(self) -> bytes:
        """The whole request, as it goes over the wire."""
        headers = {"Host": "fovea", "Content-Length": str(len(self.body)), **self.headers}
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


class Connection:
    """One connection, kept open from call to call; raises WireError where it breaks."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection(address, TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> Answer:
        """Send a request and read its answer to the end."""
        try:
            self._socket.sendall(request)
            head, _, body = self._until_head_ends()
            status, headers = _head(head)
            missing = int(headers["content-length"]) - len(body)
            parts = [body]
            while missing > 0:
                parts.append(self._received())
                missing -= len(parts[-1])
        except (OSError, KeyError, ValueError) as error:
            raise WireError(f"no whole answer: {type(error).__name__} {error}") from error
        return Answer(status, headers, b"".join(parts))

    def _until_head_ends(self) -> tuple[bytes, bytes, bytes]:
        data = self._received()
        while b"\r\n\r\n" not in data:
            data += self._received()
        return data.partition(b"\r\n\r\n")

    def _received(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise WireError("the server closed the connection")
        return data


def _head(head: bytes) -> tuple[int, Mapping[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}
