"""Photos in, predictions and activations out, through the client, from a real service; the oracle
is ONNX Runtime.
"""

import asyncio
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from service.client import AsyncClient, Client, LayerField, Prediction, ProblemError
from tests.e2e.process import ROOT

PHOTOS = [
    ("cat.jpg", {"tiger cat", "Egyptian cat", "tabby"}, 0.9),
    ("espresso.jpg", {"espresso"}, 0.94),
    ("cameraman.jpg", {"tripod"}, 0.93),
]


def share(prediction: Prediction, labels: set[str]) -> float:
    """What the strongest classes give to these labels; all of them must be there."""
    found = {
        each.label: each.probability or 0.0
        for each in prediction.predictions[: max(1, len(labels))]
    }
    assert set(found) == labels
    return sum(found.values())


@pytest.mark.parametrize(("name", "labels", "least"), PHOTOS)
def test_a_photo_is_recognised(
    client: Client, samples: Path, name: str, labels: set[str], least: float
) -> None:
    prediction = client.predict(samples / name)
    assert share(prediction, labels) > least
    assert prediction.provider == "CPUExecutionProvider"
    assert len(prediction.predictions) == 5


def test_the_photos_are_recognised_by_several_tasks_of_one_asynchronous_client(
    address: str, samples: Path
) -> None:
    async def ask() -> list[Prediction]:
        async with AsyncClient(address) as client:
            return await asyncio.gather(*(client.predict(samples / name) for name, _, _ in PHOTOS))

    for prediction, (_, labels, least) in zip(asyncio.run(ask()), PHOTOS, strict=True):
        assert share(prediction, labels) > least


def test_several_photos_in_one_request_are_answered_in_their_order(
    client: Client, samples: Path
) -> None:
    predictions = client.predict([samples / name for name, _, _ in PHOTOS])
    for prediction, (_, labels, least) in zip(predictions, PHOTOS, strict=True):
        assert share(prediction, labels) > least


def seen_by_the_network(address: str, input_id: str | None) -> np.ndarray:
    """The network's input as the service shows it: uint8, rows, columns, channels."""
    answer = httpx.get(
        f"{address}/inputs/{input_id}", params={"view": "network"}
    ).raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def independent(model: Path, tensors: list[str], pixels: np.ndarray) -> list[np.ndarray]:
    """These tensors of the network, for these pixels: the file's own graph with more outputs, and
    no code of ours.
    """
    proto = onnx.load(model)
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: list[np.ndarray] = session.run(None, {session.get_inputs()[0].name: pixels[None]})
    return found


def test_the_network_sees_the_centre_of_the_photo_resized_by_the_rule_of_its_card(
    client: Client, address: str, samples: Path
) -> None:
    photo = Image.open(samples / "cat.jpg")
    side = min(photo.size) * 224 / 256
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    box = (left, top, left + side, top + side)
    expected = np.asarray(photo.resize((224, 224), Image.Resampling.BICUBIC, box))
    shown = seen_by_the_network(address, client.predict(samples / "cat.jpg").input_id)
    np.testing.assert_array_equal(shown, expected)


def test_the_activations_of_layer_20_are_what_onnx_runtime_computes_for_that_tensor(
    client: Client, address: str, samples: Path, imagenet_model: Path
) -> None:
    layer = client.layers()[20]
    prediction = client.predict(samples / "cat.jpg")
    (expected,) = independent(
        imagenet_model, [layer.tensor], seen_by_the_network(address, prediction.input_id)
    )
    posted = client.activations(20, samples / "cat.jpg")
    assert posted.shape == layer.output_shape == expected.shape[1:]
    assert expected.std() > 0.1
    np.testing.assert_allclose(posted, expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        client.activations(layer.name, input_id=prediction.input_id), posted
    )
    np.testing.assert_array_equal(
        client.activations(20, input_id=prediction.input_id, channel=[7, 3]), posted[[7, 3]]
    )


def test_the_asynchronous_client_gets_the_same_activations_and_fields(
    client: Client, address: str, samples: Path
) -> None:
    async def ask() -> tuple[Any, ...]:
        async with AsyncClient(address) as other:
            maps = other.activations(20, samples / "espresso.jpg")
            return await asyncio.gather(
                maps, other.layers(), other.receptive_field(20), other.receptive_field(20, (3, 5))
            )

    maps, layers, field, unit = asyncio.run(ask())
    np.testing.assert_array_equal(maps, client.activations(20, samples / "espresso.jpg"))
    assert layers == client.layers()
    assert field == client.receptive_field(20)
    assert unit == client.receptive_field(20, (3, 5))


def test_a_refusal_is_raised_with_its_type_status_detail_and_the_id_it_is_logged_under(
    client: Client, address: str, samples: Path
) -> None:
    async def ask() -> None:
        async with AsyncClient(address) as other:
            await other.activations("no.such.layer", samples / "cat.jpg")

    for refused in (
        lambda: client.activations("no.such.layer", samples / "cat.jpg"),
        lambda: asyncio.run(ask()),
    ):
        with pytest.raises(ProblemError, match=r"has no layer 'no\.such\.layer'") as raised:
            refused()
        assert (raised.value.type, raised.value.status) == ("/problems/unknown-layer", 404)
        assert raised.value.request_id
    with pytest.raises(ProblemError) as unknown:
        client.receptive_field(20, (99, 99))
    assert (unknown.value.type, unknown.value.status) == ("/problems/unknown-unit", 422)


def test_every_layer_has_the_shape_of_the_tensor_that_it_names(
    client: Client, imagenet_model: Path
) -> None:
    layers = client.layers()
    tensors = independent(
        imagenet_model, [each.tensor for each in layers], np.zeros((224, 224, 3), np.uint8)
    )
    assert [each.output_shape for each in layers] == [each.shape[1:] for each in tensors]
    assert [each.index for each in layers] == list(range(len(layers)))
    stem = layers[0]
    assert (stem.operator, stem.kernel_shape, stem.strides) == ("Conv", (3, 3), (2, 2))
    assert stem.receptive_field == LayerField("exact", (3, 3), (2, 2), stem.receptive_field.padding)


def test_the_command_line_prints_the_layers_that_the_service_answers(
    address: str, imagenet_model: Path
) -> None:
    command = [sys.executable, "-m", "anatomy", str(imagenet_model), "--json"]
    printed = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    body = httpx.get(f"{address}/layers").json()
    assert onnx.load(imagenet_model).graph.input[0].name == body["input"]["name"]
    assert httpx.Response(200, text=printed).json()["layers"] == body["layers"]


def as_png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


@pytest.mark.parametrize("index", [3, 10, 20])
def test_a_unit_sees_the_rectangle_of_the_photo_that_is_answered_and_nothing_else(
    client: Client, samples: Path, index: int
) -> None:
    photo = np.asarray(Image.open(samples / "cat.jpg").convert("RGB"))
    prediction = client.predict(as_png(photo))
    maps = client.activations(index, input_id=prediction.input_id)
    position = (maps.shape[1] // 3, maps.shape[2] // 2)
    # A value in the middle of ReLU6's range: one that is cut off at 0 or 6 would hide a change.
    channel = int(np.argmin(np.abs(maps[:, *position] - 3)))
    field = client.receptive_field(index, position, input_id=prediction.input_id)
    assert field.picture is not None
    rectangle = tuple(slice(start, stop) for start, stop in field.picture)
    inside = np.zeros(photo.shape[:2], bool)
    inside[rectangle] = True
    assert 0 < inside.mean() < 0.9

    noise = np.random.default_rng(index).integers(0, 256, photo.shape, np.uint8)
    outside_changed = client.activations(index, as_png(np.where(inside[..., None], photo, noise)))
    assert outside_changed[channel, *position] == maps[channel, *position]
    assert not np.array_equal(outside_changed, maps)
    inside_changed = client.activations(index, as_png(np.where(inside[..., None], noise, photo)))
    assert inside_changed[channel, *position] != maps[channel, *position]


def test_users_at_once_never_get_each_others_answers(address: str, samples: Path) -> None:
    names = [name for name, _, _ in PHOTOS]

    def once(name: str) -> tuple[Any, ...]:
        with Client(address) as client:
            prediction = client.predict(samples / name)
            maps = client.activations(20, input_id=prediction.input_id, channel=0)
            posted = client.activations(5, samples / name, channel=1)
            return prediction.input_id, prediction.predictions, maps.tobytes(), posted.tobytes()

    alone = {name: once(name) for name in names}
    assert (
        len({answer[0] for answer in alone.values()})
        == len({answer[2] for answer in alone.values()})
        == 3
    )
    with ThreadPoolExecutor(6) as users:
        for name, answer in zip(names * 8, users.map(once, names * 8), strict=True):
            assert answer == alone[name]
