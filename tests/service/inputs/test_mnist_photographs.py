"""Photographs of MNIST's own digits become MNIST's own pictures again, near enough for a
classifier.
"""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anatomy.cards.card import ImageInput, Resize
from service.inputs.decode import decode
from service.inputs.resize import prepare

Array = np.ndarray[Any, Any]
DATA = Path(__file__).parents[2] / "data/mnist"
DIGITS = ImageInput((28, 28), "L", Resize("digit", box=20), "auto")
COUNT = 60


def read(name: str, offset: int) -> Array:
    with gzip.open(DATA / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


@pytest.fixture(scope="module")
def images() -> Array:
    return read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)


@pytest.fixture(scope="module")
def labels() -> Array:
    return read("t10k-labels-idx1-ubyte.gz", 8)


def photograph(digit: Array, random: np.random.Generator, light: bool) -> Image.Image:
    """The digit 8 to 15 times as large, anywhere on noisy paper with shade, as a JPEG of any
    aspect.
    """
    side = 28 * int(random.integers(8, 16))
    ink = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)) / 255
    height, width = (side + int(random.integers(50, 400)) for _ in range(2))
    top, left = int(random.integers(height - side)), int(random.integers(width - side))
    paper, pen = random.uniform(170, 235), random.uniform(20, 80)
    levels = np.full((height, width), paper)
    levels[top : top + side, left : left + side] += (pen - paper) * ink
    for axis, count in enumerate(levels.shape):
        levels += random.uniform(-25, 25) * np.expand_dims(np.linspace(-0.5, 0.5, count), 1 - axis)
    levels += random.normal(0, random.uniform(2, 10), levels.shape)
    stream = io.BytesIO()
    Image.fromarray(
        np.clip(np.rint(255 - levels if light else levels), 0, 255).astype(np.uint8)
    ).save(stream, "JPEG", quality=80)
    return decode(stream.getvalue(), 10**8)


def test_a_photographed_digit_comes_out_as_it_went_in(images: Array, labels: Array) -> None:
    random = np.random.default_rng(11)
    photographs = [
        photograph(digit, random, light=number % 2 == 1)
        for number, digit in enumerate(images[:COUNT])
    ]
    seen = np.stack([prepare(picture, DIGITS).array[:, :, 0] for picture in photographs])
    difference = np.abs(seen.astype(int) - images[:COUNT]).mean()
    assert difference < 10
    means = np.stack([images[COUNT:][labels[COUNT:] == digit].mean(axis=0) for digit in range(10)])

    def correct(pictures: Array) -> float:
        distance = ((pictures[:, None] - means) ** 2).sum(axis=(2, 3))
        return float((distance.argmin(axis=1) == labels[:COUNT]).mean())

    assert correct(seen) >= correct(images[:COUNT]) - 0.03


def test_mnists_own_pictures_are_taken_as_they_are(images: Array) -> None:
    seen = [prepare(Image.fromarray(digit), DIGITS).array[:, :, 0] for digit in images[:COUNT]]
    differences = [
        np.abs(one.astype(int) - other).mean()
        for one, other in zip(seen, images[:COUNT], strict=True)
    ]
    assert np.mean(np.array(differences) == 0) > 0.8
    assert np.mean(differences) < 0.5
