"""A service in this process, with small models, and the one check of every failing route."""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import pytest
import structlog

from service.api.problems import FRAMEWORK, KINDS, MEDIA_TYPE, Problem
from service.repository.loader import Loader
from service.runtime.engine import Engine
from service.services import Services
from service.settings import Settings
from tests.service.networks import encoded
from tests.service.repository.changing_folders import Events, put
from tests.service.serving import fill, serving


@pytest.fixture(scope="session")
def repository_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several small models and files that are to be refused; not to be written to."""
    return fill(tmp_path_factory.mktemp("repository") / "models")


@pytest.fixture
def settings(repository_folder: Path, tmp_path: Path) -> Settings:
    return Settings(
        models=repository_folder,
        default_model="photos",
        device="cpu",
        threads=1,
        input_store=tmp_path / "inputs",
    )


class Start(Protocol):
    """Starts an app in this process, with services of its own unless they are given."""

    def __call__(self, settings: Settings, services: Services | None = None) -> httpx.Client: ...


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts apps; all are shut down at the end of the test."""
    with ExitStack() as stack:
        yield lambda settings, services=None: stack.enter_context(serving(settings, services))


@pytest.fixture
def client(settings: Settings, started: Start) -> httpx.Client:
    return started(settings)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", 1)


@pytest.fixture
def loader(engine: Engine) -> Loader:
    return Loader(engine)


@pytest.fixture
def events() -> Iterator[Events]:
    """What is logged during the test."""
    with structlog.testing.capture_logs() as found:
        yield found  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good model, `signals`."""
    put(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A JPEG of 60 x 40 pixels."""
    return encoded(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8), "JPEG")


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """A PNG whose header promises 100000 x 100000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def assert_problem() -> Check:
    """Asserts that a response is a problem of this status and type that says something, and returns
    its body.
    """
    statuses = {kind.uri: kind.status for kind in (*KINDS.values(), *FRAMEWORK)}

    def check(response: httpx.Response, status: int, slug: str, says: str = "") -> dict[str, Any]:
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == MEDIA_TYPE
        body: dict[str, Any] = response.json()
        Problem.model_validate(body)
        assert body["type"] == f"/problems/{slug}"
        assert body["status"] == status == statuses[body["type"]]
        assert body["request_id"] == response.headers["x-request-id"]
        assert says in body["detail"]
        assert len(body["detail"]) > 10
        for secret in ("Traceback", "/tmp", ".py", "onnxruntime", "site-packages"):
            assert secret not in response.text
        return body

    return check
