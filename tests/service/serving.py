"""A service in this process, as a context manager that gives its client."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from anatomy import model_file
from service.app import create_app
from service.services import Services
from service.settings import Settings
from tests.service import networks

with warnings.catch_warnings():
    # Starlette would have another HTTP library than the one that this project's own client is built
    # on.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient


@contextmanager
def serving(settings: Settings, services: Services | None = None) -> Iterator[httpx.Client]:
    """Serves with these settings, with services of its own unless they are given; what fails in it
    is answered 500.
    """
    with TestClient(create_app(settings, services), raise_server_exceptions=False) as client:
        yield client


def fill(folder: Path) -> Path:
    """`photos` (versions 1 and 2), others without a card, and one of each file that is to be
    refused.
    """
    model, card = networks.photo_model()
    model_file.write(model, folder / "photos/1/model.onnx", card)
    model_file.write(model, folder / "photos/2/model.onnx", card)
    (folder / "photos/2/samples").mkdir()
    (folder / "photos/2/samples/grey.png").write_bytes(
        networks.encoded(np.full((40, 60), 128, np.uint8))
    )
    for name in ("SIGNALS", "VOLUMES", "DECODER", "MATRIX"):
        text = getattr(networks, name)
        model_file.write(networks.parsed(text), folder / name.lower() / "1/model.onnx", None)
    model_file.write(networks.reading_outside(), folder / "outside/1/model.onnx", None)
    (folder / "corrupt/1").mkdir(parents=True)
    (folder / "corrupt/1/model.onnx").write_bytes(b"no ONNX file at all")
    return folder
