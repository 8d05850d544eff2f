"""Fixtures for the whole repository: the sample photos and the real ImageNet model, built once in a
test run.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from anatomy.model_file import write
from model_build.datasets import mnist, mnist1d, voxels
from model_build.published import imagenet
from model_build.quantising import report

Examples = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample photos: cat, espresso, cameraman (grey), astronaut and rocket, all
    .jpg.
    """
    return Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the service serves it, with the one model `imagenet`, version 1. Not to be
    written to.
    """
    folder = tmp_path_factory.mktemp("models")
    proto, card = imagenet.build()
    write(proto, folder / "imagenet" / "1" / "model.onnx", card)
    return folder


@pytest.fixture(scope="session")
def imagenet_model(models_folder: Path) -> Path:
    """The file of the ImageNet model."""
    return models_folder / "imagenet" / "1" / "model.onnx"


@pytest.fixture(scope="session")
def digit_examples() -> Examples:
    """MNIST's 10,000 test pictures, uint8 [N, 28, 28], and their labels."""
    split = mnist.load_test(Path(__file__).parent / "data" / "mnist")
    return split.inputs[..., 0], split.labels


@pytest.fixture(scope="session")
def int8_folder(tmp_path_factory: pytest.TempPathFactory, digit_examples: Examples) -> Path:
    """A folder with the models `digits` and `digits-int8`, made of it: 256 of the test pictures
    calibrated, the others measured. Not to be written to.
    """
    folder = tmp_path_factory.mktemp("int8")
    shutil.copytree(Path(__file__).parents[1] / "models" / "digits", folder / "digits")
    pictures, labels = digit_examples
    material = report.examples(pictures[:256, ..., None], pictures[256:, ..., None], labels[256:])
    target = folder / "digits-int8" / "1" / "model.onnx"
    report.run(
        folder / "digits" / "1" / "model.onnx", target, lambda _model: material, lambda _line: None
    )
    return folder


@pytest.fixture(scope="session")
def signal_examples() -> Examples:
    """MNIST-1D's 1,000 test signals, float32 [N, 1, 40], and their labels."""
    split = mnist1d.load().test
    return split.inputs, split.labels


@pytest.fixture(scope="session")
def volume_examples(digit_examples: Examples) -> Examples:
    """200 of the solid digits of the test, float32 [N, 1, 16, 16, 16], and their labels."""
    pictures, labels = digit_examples
    random = np.random.default_rng([voxels.SEED, voxels.TEST])
    solid = voxels.solids(pictures[:200], voxels.turns(random, 200))
    return solid.reshape(-1, 1, 16, 16, 16).astype(np.float32), labels[:200]
