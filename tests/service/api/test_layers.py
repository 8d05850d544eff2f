"""`GET /layers`: what anatomy makes of the file, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.layers.layers import layers
from anatomy.model_file import read, write
from anatomy.report import layers_body
from service.api.schemas import Layers
from service.settings import Settings
from tests.service.networks import CONVOLUTION, parsed

Check = Callable[..., dict[str, Any]]
LISTED = """<ir_version: 8, opset_import: ["" : 18]>
listed (float[N,8,8,1] x) => (float[N] y) <
float[2,1,3,3] w, float[3,100] fw, float[3] fb, float[3] v> {
  nchw = Transpose<perm=[0,3,1,2]>(x)
  c = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(nchw, w)
  p = AveragePool<kernel_shape=[2,2], pads=[1,1,1,1], ceil_mode=1, count_include_pad=1>(c)
  nhwc = Transpose<perm=[0,2,3,1]>(p)
  twice = Concat<axis=3>(nhwc, nhwc)
  flat = Flatten(twice)
  g = Gemm<alpha=0.5, beta=2.0, transB=1>(flat, fw, fb)
  y = MatMul(g, v)
}"""
ROUTES = ("activations?input_id=0", "kernels", "receptive-field")


@pytest.mark.parametrize(
    ("name", "version"), [("photos", "2"), ("signals", "1"), ("volumes", "1"), ("decoder", "1")]
)
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
    shown = [(layer["kind"], layer["tensor"], layer["output_shape"]) for layer in body["layers"]]
    assert shown == [
        ("convolution", "rectified", [8, 16, 16]),
        ("pool", "pooled", [8, 8, 8]),
        ("pool", "averaged", [8, 1, 1]),
        ("dense", "logits", [4]),
    ]
    convolution = body["layers"][0]
    assert convolution["receptive_field"] == {
        "status": "exact",
        "size": [3, 3],
        "stride": [2, 2],
        "padding": [1, 1],
    }
    assert (convolution["kernel_shape"], convolution["strides"], convolution["pads"]) == (
        [3, 3],
        [2, 2],
        [1, 1, 1, 1],
    )


def test_the_model_and_its_version_are_chosen_by_name(client: httpx.Client) -> None:
    answers = [
        client.get("/layers", params=params).json() for params in ({}, {"model": "photos:1"})
    ]
    assert [(answer["model"], answer["version"]) for answer in answers] == [
        ("photos", "2"),
        ("photos", "1"),
    ]
    assert answers[0]["layers"] == answers[1]["layers"]


def test_an_unknown_model_or_version_has_no_layers(
    client: httpx.Client, assert_problem: Check
) -> None:
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
    body = assert_problem(
        client.get(f"/layers/{name}/{route}"), 404, "unknown-layer", "GET /layers"
    )
    assert "0 to 3" in body["detail"]
    assert len(body["detail"]) < 500


def test_a_posted_picture_is_not_read_for_an_unknown_layer(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(client.post("/layers/99/activations", content=b"x"), 404, "unknown-layer")


def test_attributes_and_the_axis_of_the_channels_are_listed_as_the_file_has_them(
    client: httpx.Client,
    tmp_path: Path,
    settings: Settings,
    started: Callable[[Settings], httpx.Client],
) -> None:
    write(parsed(LISTED), tmp_path / "listed/1/model.onnx", None)
    layers = (
        started(settings.model_copy(update={"models": tmp_path, "default_model": None}))
        .get("/layers")
        .json()
    )
    Layers.model_validate(layers)
    shown = [
        (layer["operator"], layer["channel_axis"], layer["attributes"])
        for layer in layers["layers"]
    ]
    assert shown == [
        ("Conv", 0, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        (
            "AveragePool",
            0,
            {"ceil_mode": 1, "count_include_pad": 1, "kernel_shape": [2, 2], "pads": [1, 1, 1, 1]},
        ),
        ("Concat", 2, {"axis": 3}),
        ("Gemm", 0, {"alpha": 0.5, "beta": 2.0, "transB": 1}),
        ("MatMul", None, {}),
    ]
