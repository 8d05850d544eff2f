"""Fixtures for the whole repository: the sample photos and the real ImageNet model, built once in a test run."""

from pathlib import Path

import pytest

from anatomy.model_file import write
from model_build import imagenet


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample photos: cat, espresso, cameraman (grey), astronaut and rocket, all .jpg."""
    return Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the service serves it, with the one model `imagenet`, version 1. Not to be written to."""
    folder = tmp_path_factory.mktemp("models")
    proto, card = imagenet.build()
    write(proto, folder / "imagenet" / "1" / "model.onnx", card)
    return folder


@pytest.fixture(scope="session")
def imagenet_model(models_folder: Path) -> Path:
    """The file of the ImageNet model."""
    return models_folder / "imagenet" / "1" / "model.onnx"
