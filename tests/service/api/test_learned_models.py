"""The learned models of the repository, served: digits as pictures, signals and volumes get their
names.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import Settings

ROOT = Path(__file__).parents[3]
COUNT = 60
Start = Callable[[Settings], httpx.Client]


@pytest.fixture
def learned(started: Start, tmp_path: Path) -> httpx.Client:
    """A service of the models that the repository holds."""
    return started(
        Settings(models=ROOT / "models", device="cpu", threads=1, input_store=tmp_path / "inputs")
    )


def strongest(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["predictions"][0]["label"])


def named(service: httpx.Client, model: str, bodies: Sequence[bytes], kind: str) -> list[str]:
    """What the model calls each of these bodies."""
    address, headers = f"/predict?model={model}", {"Content-Type": kind}
    return [strongest(service.post(address, content=body, headers=headers)) for body in bodies]


def right(names: Sequence[str], labels: np.ndarray) -> int:
    return sum(int(name) == label for name, label in zip(names, labels[: len(names)], strict=True))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def photograph(digit: np.ndarray) -> bytes:
    """Dark ink on light paper, ten times as large, off the centre."""
    large = Image.fromarray(255 - digit).resize((280, 280), Image.Resampling.BICUBIC)
    paper = Image.new("L", (420, 360), 255)
    paper.paste(large, (110, 30))
    stream = io.BytesIO()
    paper.save(stream, "JPEG")
    return stream.getvalue()


def test_photographed_digits_are_named(
    learned: httpx.Client, digit_examples: tuple[np.ndarray, np.ndarray]
) -> None:
    pictures, labels = digit_examples
    names = named(
        learned, "digits", [photograph(picture) for picture in pictures[:COUNT]], "image/jpeg"
    )
    assert right(names, labels) >= COUNT - 1


def test_signals_are_named_however_they_are_sent(
    learned: httpx.Client, signal_examples: tuple[np.ndarray, np.ndarray]
) -> None:
    signals, labels = signal_examples
    names = named(
        learned, "digits1d", [npy(signal) for signal in signals[:COUNT]], "application/x-npy"
    )
    assert right(names, labels) >= 0.93 * COUNT
    first = signals[0]
    as_json = learned.post("/predict?model=digits1d", json={"inputs": first[0].tolist()})
    row = ",".join(repr(float(value)) for value in first[0])
    as_csv = learned.post(
        "/predict?model=digits1d", content=row, headers={"Content-Type": "text/csv"}
    )
    assert {strongest(as_json), strongest(as_csv)} == {names[0]}


def test_volumes_are_named(
    learned: httpx.Client, volume_examples: tuple[np.ndarray, np.ndarray]
) -> None:
    volumes, labels = volume_examples
    names = named(
        learned, "voxels", [npy(volume) for volume in volumes[:COUNT]], "application/x-npy"
    )
    assert right(names, labels) >= 0.93 * COUNT


@pytest.mark.parametrize(("model", "axes"), [("digits", 2), ("digits1d", 1), ("voxels", 3)])
def test_layers_and_fields_have_as_many_axes_as_the_input(
    learned: httpx.Client, model: str, axes: int
) -> None:
    layers = learned.get(f"/layers?model={model}").json()["layers"]
    assert len(layers[0]["kernel_shape"]) == axes
    assert layers[0]["receptive_field"]["status"] == "exact"
    unit = ",".join(["1"] * axes)
    field = learned.get(f"/layers/1/receptive-field?model={model}&unit={unit}").json()
    assert len(field["interval"]) == len(field["clipped"]) == axes
    assert (
        learned.get(f"/layers/0/kernels?model={model}").json()["shape"][2:]
        == layers[0]["kernel_shape"]
    )


@pytest.mark.parametrize("model", ["digits", "digits1d", "voxels"])
def test_samples_are_named_rightly_except_for_the_hard_ones(
    learned: httpx.Client, model: str
) -> None:
    listed = learned.get(f"/models/{model}/samples").json()["samples"]
    assert {entry["name"] for entry in listed} >= set("0123456789")
    for entry in listed:
        data = learned.get(f"/models/{model}/samples/{entry['file']}").content
        response = learned.post(
            f"/predict?model={model}", content=data, headers={"Content-Type": entry["media_type"]}
        )
        hard, label = entry["name"].startswith("hard"), entry["name"][-1]
        assert (strongest(response) == label) != hard, entry["name"]


@pytest.mark.parametrize("model", ["digits", "digits1d", "voxels"])
def test_samples_come_with_credits_that_are_not_served(learned: httpx.Client, model: str) -> None:
    assert "MNIST" in (ROOT / "models" / model / "1" / "samples" / "README.md").read_text()
    assert learned.get(f"/models/{model}/samples/README.md").status_code == 404


def test_the_digits_are_pictures_of_the_test_under_their_labels(
    digit_examples: tuple[np.ndarray, np.ndarray],
) -> None:
    pictures, labels = digit_examples
    files = sorted((ROOT / "models" / "digits" / "1" / "samples").glob("*.png"))
    assert len(files) == 12
    for file in files:
        pixels = np.asarray(Image.open(file))
        [index] = np.flatnonzero((pictures == pixels).all(axis=(1, 2)))
        assert file.stem[-1] == str(labels[index])
