"""The models as the README's command builds them, and one service that the tests of answers
share.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Client
from tests.e2e.process import ROOT, Service


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `imagenet`, and with `broken`, version 7, the beginning of the same file. Not
    to be written to.
    """
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-m", "model_build", "imagenet", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    broken = folder / "broken/7/model.onnx"
    broken.parent.mkdir(parents=True)
    broken.write_bytes((folder / "imagenet/1/model.onnx").read_bytes()[:100_000])
    return folder


@pytest.fixture(scope="session")
def service(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that all tests share: none stops it or changes its settings."""
    with Service(tmp_path_factory.mktemp("service"), models_folder) as service:
        service.ready()
        yield service


@pytest.fixture(scope="session")
def address(service: Service) -> str:
    """The address of the service that all tests share."""
    return service.address()


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client
