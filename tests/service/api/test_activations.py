"""Activations as JSON, .npy and PNG; the oracle is ONNX Runtime with that tensor declared an
output.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from service.api.schemas import Activations
from tests.service.networks import (
    CONVOLUTION,
    SIGNALS,
    VOLUMES,
    Array,
    loaded,
    npy,
    parsed,
    photo_model,
    pixels_of,
    tensors,
)

Check = Callable[..., dict[str, Any]]
NPY = {"Accept": "application/x-npy"}
PNG = {"Accept": "image/png"}
ARRAY = {"Content-Type": "application/x-npy"}
TAPS = [
    ("0", "post", "rectified"),
    ("0", "pre", "convolved"),
    ("1", "post", "pooled"),
    ("2", "post", "averaged"),
]


@pytest.fixture
def input_id(client: httpx.Client, picture: bytes) -> str:
    return str(client.post("/predict", content=picture).json()["input_id"])


@pytest.fixture
def seen(client: httpx.Client, input_id: str) -> Array:
    """What the network is given for the picture, with the batch axis."""
    return pixels_of(client.get(f"/inputs/{input_id}?view=network").content)[None]


@pytest.mark.parametrize(("layer", "tap", "tensor"), [*TAPS, ("3", "post", "logits")])
def test_the_array_is_that_tensor_of_the_graph(
    client: httpx.Client, picture: bytes, seen: Array, layer: str, tap: str, tensor: str
) -> None:
    response = client.post(f"/layers/{layer}/activations?tap={tap}", content=picture, headers=NPY)
    assert response.headers["content-type"] == "application/x-npy"
    [expected] = tensors(photo_model()[0], [tensor], seen)
    np.testing.assert_allclose(loaded(response.content), expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("layer", "tap", "tensor"), TAPS)
def test_the_statistics_are_those_of_each_channel(
    client: httpx.Client, picture: bytes, seen: Array, layer: str, tap: str, tensor: str
) -> None:
    body = client.post(f"/layers/{layer}/activations?tap={tap}", content=picture).json()
    Activations.model_validate(body)
    [expected] = tensors(photo_model()[0], [tensor], seen)
    maps = expected[0].reshape(8, -1)
    for name, values in {
        "channel": np.arange(8),
        "min": maps.min(axis=1),
        "max": maps.max(axis=1),
        "mean": maps.mean(axis=1),
        "zeros": (maps == 0).mean(axis=1),
    }.items():
        np.testing.assert_allclose(
            [channel[name] for channel in body["channels"]], values, rtol=1e-5, atol=1e-6
        )
    assert body["layer"]["output_shape"] == list(expected[0].shape)
    assert "values" not in body


def test_a_picture_posted_before_gives_the_same_without_an_upload(
    client: httpx.Client, picture: bytes, input_id: str
) -> None:
    posted = client.post("/layers/0/activations", content=picture)
    again = client.get(f"/layers/0/activations?input_id={input_id}")
    assert again.json() == posted.json()
    assert posted.json()["input_id"] == again.headers["x-input-id"] == input_id
    arrays = [
        client.get(f"/layers/0/activations?input_id={input_id}", headers=NPY).content
        for _ in range(2)
    ]
    assert (
        arrays[0]
        == arrays[1]
        == client.post("/layers/0/activations", content=picture, headers=NPY).content
    )


def test_a_layer_whose_name_holds_slashes_and_spaces_is_reached_by_it(
    client: httpx.Client, picture: bytes
) -> None:
    by_name = client.post(
        f"/layers/{quote(CONVOLUTION, safe='')}/activations", content=picture
    ).json()
    assert by_name["layer"]["name"] == CONVOLUTION
    assert by_name == client.post("/layers/0/activations", content=picture).json()


def test_full_adds_the_values_themselves_unrounded(client: httpx.Client, picture: bytes) -> None:
    values = client.post("/layers/0/activations?full=true", content=picture).json()["values"]
    array = loaded(client.post("/layers/0/activations", content=picture, headers=NPY).content)
    assert np.array_equal(np.array(values, np.float64), array.astype(np.float64))


def test_channels_are_picked_in_the_order_asked_for_and_once(
    client: httpx.Client, picture: bytes
) -> None:
    path = "/layers/0/activations?channel=5&channel=2&channel=5"
    complete = loaded(client.post("/layers/0/activations", content=picture, headers=NPY).content)
    part = loaded(client.post(path, content=picture, headers=NPY).content)
    assert np.array_equal(part, complete[[5, 2]])
    body = client.post(path + "&full=true", content=picture).json()
    assert [channel["channel"] for channel in body["channels"]] == [5, 2]
    assert {unit["channel"] for unit in body["units"]} <= {5, 2}
    assert np.array_equal(np.array(body["values"], np.float32), part)
    assert body["layer"]["output_shape"] == [8, 16, 16]


def test_a_picture_shows_each_map_from_its_darkest_to_its_brightest(
    client: httpx.Client, picture: bytes
) -> None:
    response = client.post("/layers/0/activations?channel=3&tap=pre", content=picture, headers=PNG)
    assert response.headers["content-type"] == "image/png"
    shown = pixels_of(response.content)
    [grey] = loaded(
        client.post("/layers/0/activations?channel=3&tap=pre", content=picture, headers=NPY).content
    )
    expected = np.rint((grey - grey.min()) / np.ptp(grey) * 255).repeat(3, axis=0).repeat(3, axis=1)
    assert np.abs(shown[2:-2, 2:-2].astype(int) - expected).max() <= 1


def test_a_sheet_of_all_maps_is_larger_than_one_map(client: httpx.Client, picture: bytes) -> None:
    one, all_maps = (
        pixels_of(
            client.post(f"/layers/0/activations{query}", content=picture, headers=PNG).content
        )
        for query in ("?channel=3", "")
    )
    assert all_maps.size > 7 * one.size


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json, image/png;q=0.9", "application/json"),
        ("image/*", "image/png"),
        ("application/json;q=0.1, application/x-npy", "application/x-npy"),
        ("text/html, */*;q=0.1", "application/json"),
    ],
)
def test_accept_chooses_the_form(
    client: httpx.Client, picture: bytes, accept: str, kind: str
) -> None:
    response = client.post("/layers/0/activations", content=picture, headers={"Accept": accept})
    assert response.headers["content-type"] == kind
    assert response.headers["vary"] == "Accept"


def test_a_form_that_there_is_not_is_not_acceptable(
    client: httpx.Client, picture: bytes, input_id: str, assert_problem: Check
) -> None:
    for accept in ("text/csv", "application/json;q=0", "image/jpeg"):
        answers = [
            client.post("/layers/0/activations", content=picture, headers={"Accept": accept}),
            client.get(f"/layers/0/activations?input_id={input_id}", headers={"Accept": accept}),
            client.get("/layers/0/kernels", headers={"Accept": accept}),
        ]
        for answer in answers:
            assert_problem(answer, 406, "not-acceptable", "application/x-npy")


@pytest.mark.parametrize(("text", "shape"), [(SIGNALS, (1, 2, 11)), (VOLUMES, (1, 1, 6, 7, 8))])
def test_signals_and_volumes_are_posted_as_arrays_or_lists(
    client: httpx.Client, text: str, shape: Any
) -> None:
    model = parsed(text)
    source = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    [expected] = tensors(model, ["y"], source)
    last = len(client.get("/layers", params={"model": model.graph.name}).json()["layers"]) - 1
    path = f"/layers/{last}/activations?model={model.graph.name}"
    answers = [
        client.post(path, content=npy(source), headers=NPY | ARRAY),
        client.post(path, content=npy(source[0]), headers=NPY | ARRAY),
        client.post(path, json={"inputs": source.tolist()}, headers=NPY),
    ]
    for answer in answers:
        np.testing.assert_allclose(loaded(answer.content), expected[0], rtol=1e-5, atol=1e-6)
    body = client.post(path, content=npy(source), headers=ARRAY).json()
    Activations.model_validate(body)
    assert len(body["units"][0]["position"]) == len(shape) - 2
    assert (
        client.post(path, content=npy(source), headers=PNG | ARRAY).headers["content-type"]
        == "image/png"
    )


def test_what_is_not_finite_is_null_in_json(client: httpx.Client) -> None:
    source = np.ones((2, 40), np.float32)
    source[0, 5], source[0, 30] = np.nan, np.inf
    path = "/layers/0/activations?model=signals&full=true&tap=pre&units=1000"
    response = client.post(path, content=npy(source), headers=ARRAY)
    assert "NaN" not in response.text
    assert "Infinity" not in response.text
    body = response.json()
    Activations.model_validate(body)
    array = loaded(client.post(path, content=npy(source), headers=NPY | ARRAY).content)
    finite = np.isfinite(array)
    assert 0 < finite.sum() < array.size
    assert [[value is not None for value in row] for row in body["values"]] == finite.tolist()
    assert body["channels"][0]["mean"] is None
    assert sum(unit["value"] is None for unit in body["units"]) == array.size - finite.sum()


def test_a_graph_read_from_the_folder_is_left_as_it_was(
    client: httpx.Client, repository_folder: Path
) -> None:
    before = {path: path.read_bytes() for path in repository_folder.rglob("*") if path.is_file()}
    client.post("/layers/0/activations?model=signals", json={"inputs": [[0.0] * 9] * 2})
    assert {
        path: path.read_bytes() for path in repository_folder.rglob("*") if path.is_file()
    } == before
