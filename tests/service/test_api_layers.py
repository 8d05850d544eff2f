"""`GET /layers`: what anatomy makes of the file, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from anatomy.layers import layers
from anatomy.model_file import read
from anatomy.receptive_field import ReceptiveFields
from anatomy.report import layers_body
from service.api.schemas import Layers
from tests.service.networks import CONVOLUTION

Check = Callable[..., dict[str, Any]]
ROUTES = ("activations?input_id=0", "kernels", "receptive-field")


@pytest.mark.parametrize(("name", "version"), [("photos", "2"), ("signals", "1"), ("volumes", "1"), ("decoder", "1")])
def test_the_body_is_what_anatomy_computes(
    client: httpx.Client, repository_folder: Path, name: str, version: str
) -> None:
    body = client.get("/layers", params={"model": name}).json()
    Layers.model_validate(body)
    graph = read(repository_folder / name / version / "model.onnx").graph
    assert body == layers_body(graph, layers(graph), ReceptiveFields(graph), name, version)


def test_the_layers_are_those_written_in_the_graph(client: httpx.Client) -> None:
    body = client.get("/layers").json()
    assert body["input"] == {"name": "image", "shape": ["N", 32, 32, 3]}
    shown = [(each["kind"], each["tensor"], each["output_shape"]) for each in body["layers"]]
    assert shown == [
        ("convolution", "rectified", [8, 16, 16]),
        ("pool", "pooled", [8, 8, 8]),
        ("pool", "averaged", [8, 1, 1]),
        ("dense", "logits", [4]),
    ]
    convolution = body["layers"][0]
    assert convolution["receptive_field"] == {"status": "exact", "size": [3, 3], "stride": [2, 2], "padding": [1, 1]}
    assert (convolution["kernel_shape"], convolution["strides"], convolution["pads"]) == ([3, 3], [2, 2], [1, 1, 1, 1])


def test_the_model_and_its_version_are_chosen_by_name(client: httpx.Client) -> None:
    answers = [client.get("/layers", params=params).json() for params in ({}, {"model": "photos:1"})]
    assert [(each["model"], each["version"]) for each in answers] == [("photos", "2"), ("photos", "1")]
    assert answers[0]["layers"] == answers[1]["layers"]


def test_an_unknown_model_or_version_has_no_layers(client: httpx.Client, assert_problem: Check) -> None:
    assert_problem(client.get("/layers?model=nets"), 404, "unknown-model", "photos, signals")
    assert_problem(client.get("/layers?model=photos:x"), 404, "unknown-model", "1, 2")
    assert_problem(client.get("/layers?model=:1"), 404, "unknown-model")


def test_a_layer_is_found_by_index_and_by_percent_encoded_name(client: httpx.Client) -> None:
    by_name = client.get(f"/layers/{quote(CONVOLUTION, safe='')}/receptive-field")
    assert by_name.json() == client.get("/layers/0/receptive-field").json()
    assert by_name.json()["layer"]["name"] == CONVOLUTION
    assert client.get(f"/layers/{quote(CONVOLUTION)}/receptive-field").json() == by_name.json()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["4", "-1", "stem", "1.0", "%20", "9" * 5000, "x" * 5000])
def test_an_unknown_layer_is_not_found_and_told_where_the_names_are(
    client: httpx.Client, assert_problem: Check, route: str, name: str
) -> None:
    body = assert_problem(client.get(f"/layers/{name}/{route}"), 404, "unknown-layer", "GET /layers")
    assert "0 to 3" in body["detail"]
    assert len(body["detail"]) < 500


def test_a_posted_picture_is_not_read_for_an_unknown_layer(client: httpx.Client, assert_problem: Check) -> None:
    assert_problem(client.post("/layers/99/activations", content=b"x"), 404, "unknown-layer")
