"""Inference by the Open Inference Protocol: every datatype, both forms, layers, pictures, classes,
packing.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.settings import Settings
from tests.service import networks
from tests.service.oip.requests import (
    DTYPES,
    HEAD,
    Array,
    binary,
    fill_with_types,
    in_bytes,
    outputs,
    tensor,
)
from tests.service.serving import fill, serving

URL = "/v2/models/photos/infer"
PIXELS = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("v2")
    models = fill_with_types(fill(folder / "models"))
    settings = Settings(
        models=models,
        default_model="photos",
        device="cpu",
        threads=1,
        input_store=folder / "inputs",
    )
    with serving(settings) as client:
        yield client


def exact(one: Array, other: Array) -> bool:
    """Whether they are the same to the last bit."""
    return (
        one.shape == other.shape and one.dtype == other.dtype and in_bytes(one) == in_bytes(other)
    )


def drawn(datatype: str) -> st.SearchStrategy[Array]:
    """Tensors [N, C, W] of every value that the datatype has."""
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 6))
    elements = {"allow_nan": False, "allow_infinity": False} if datatype.startswith("FP") else None
    return shapes.flatmap(lambda shape: arrays.arrays(DTYPES[datatype], shape, elements=elements))


@pytest.mark.parametrize("datatype", DTYPES)
@checked(max_examples=12, deadline=None)
@given(data=st.data())
def test_json_and_bytes_are_one_tensor_to_the_last_bit_both_ways(
    served: httpx.Client, datatype: str, data: st.DataObject
) -> None:
    array = data.draw(drawn(datatype))
    url = f"/v2/models/{datatype.lower()}/infer"
    body, headers = binary([("x", datatype, array)], outputs=[{"name": "y"}])
    assert exact(outputs(served.post(url, content=body, headers=headers))["y"], array)
    body, headers = binary([("x", datatype, array)], parameters={"binary_data_output": True})
    assert exact(outputs(served.post(url, content=body, headers=headers))["y"], array)
    for data_of_it in (array.reshape(-1).tolist(), array.tolist()):
        given_in_json = tensor("x", datatype, array) | {"data": data_of_it}
        asked: dict[str, Any] = {"inputs": [given_in_json], "outputs": [{"name": "y"}]}
        assert exact(outputs(served.post(url, json=asked))["y"], array)
        asked["outputs"] = [{"name": "y", "parameters": {"binary_data": True}}]
        assert exact(outputs(served.post(url, json=asked))["y"], array)


@checked(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(st.text(), min_size=n, max_size=n), min_size=1)
    )
)
def test_texts_come_back_in_both_forms(served: httpx.Client, rows: list[list[str]]) -> None:
    texts = np.array([[[text.encode() for text in row]] for row in rows], object)
    body, headers = binary([("x", "BYTES", texts)], parameters={"binary_data_output": True})
    values = outputs(served.post("/v2/models/bytes/infer", content=body, headers=headers))["y"]
    assert values.tolist() == texts.tolist()
    given_in_json = {
        "name": "x",
        "datatype": "BYTES",
        "shape": list(texts.shape),
        "data": [[row] for row in rows],
    }
    asked = {"inputs": [given_in_json], "outputs": [{"name": "y"}]}
    assert (
        outputs(served.post("/v2/models/bytes/infer", json=asked))["y"].tolist() == texts.tolist()
    )


@pytest.mark.parametrize(
    "nearby", [0.1, 1 / 3, 1.1754944e-38, 1e-45, 3.4028235e38, -0.0, 16777217.0]
)
def test_a_float32_in_json_is_the_shortest_text_that_reads_back(
    served: httpx.Client, nearby: float
) -> None:
    array = np.full((1, 1, 1), nearby, np.float32)
    answer = served.post("/v2/models/fp32/infer", json={"inputs": [tensor("x", "FP32", array)]})
    text = answer.text.partition('"data":[')[2].partition("]")[0]
    assert np.float32(text).tobytes() == array.tobytes()
    assert Decimal(text) == Decimal(np.format_float_scientific(np.float32(nearby), unique=True))


def test_the_answer_is_that_of_the_network_and_echoes_the_request(served: httpx.Client) -> None:
    answer = served.post(URL, json={"id": "a 42", "inputs": [tensor("image", "UINT8", PIXELS)]})
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["id"], body["model_name"], body["model_version"]) == ("a 42", "photos", "2")
    assert [output["name"] for output in body["outputs"]] == ["scores"]
    (oracle,) = networks.tensors(networks.photo_model()[0], ["scores"], PIXELS)
    np.testing.assert_allclose(outputs(answer)["scores"], oracle, rtol=1e-5)


def test_no_id_is_made_up_and_an_empty_list_of_outputs_means_all(served: httpx.Client) -> None:
    body = served.post(
        URL, json={"inputs": [tensor("image", "UINT8", PIXELS)], "outputs": []}
    ).json()
    assert "id" not in body
    assert [output["name"] for output in body["outputs"]] == ["scores"]


def test_a_version_is_asked_for_by_its_number(served: httpx.Client) -> None:
    asked = {"inputs": [tensor("image", "UINT8", PIXELS)]}
    assert (
        served.post("/v2/models/photos/versions/1/infer", json=asked).json()["model_version"] == "1"
    )
    refused = served.post("/v2/models/photos/versions/v10/infer", json=asked)
    assert (refused.status_code, list(refused.json())) == (404, ["error"])


def test_outputs_choose_their_form_each_and_come_in_the_order_asked_for(
    served: httpx.Client,
) -> None:
    asked = [
        {"name": "layer:1"},
        {"name": "scores", "parameters": {"binary_data": False}},
        {"name": "layer:0"},
    ]
    body, headers = binary(
        [("image", "UINT8", PIXELS)], outputs=asked, parameters={"binary_data_output": True}
    )
    answer = served.post(URL, content=body, headers=headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    document = json.loads(answer.content[: int(answer.headers[HEAD])])
    assert [output["name"] for output in document["outputs"]] == ["layer:1", "scores", "layer:0"]
    assert ["data" in output for output in document["outputs"]] == [False, True, False]
    assert [item.shape for item in outputs(answer).values()] == [
        (3, 8, 8, 8),
        (3, 4),
        (3, 8, 16, 16),
    ]


def test_a_layer_by_number_and_by_name_is_what_the_network_computes(served: httpx.Client) -> None:
    names = ["layer:0", networks.CONVOLUTION, "scores", "layer:2"]
    asked = {
        "inputs": [tensor("image", "UINT8", PIXELS)],
        "outputs": [{"name": entry} for entry in names],
    }
    values = outputs(served.post(URL, json=asked))
    computed = networks.tensors(
        networks.photo_model()[0], ["rectified", "rectified", "scores", "averaged"], PIXELS
    )
    for name, oracle in zip(names, computed, strict=True):
        np.testing.assert_allclose(values[name], oracle, rtol=1e-4, atol=1e-6)


def test_every_layer_that_the_metadata_lists_is_an_output(served: httpx.Client) -> None:
    listed = served.get("/v2/models/photos").json()["parameters"]["layers"]
    assert len(listed) > 2
    for entry in listed:
        for name in (entry["output"], entry["name"]):
            asked = {"inputs": [tensor("image", "UINT8", PIXELS)], "outputs": [{"name": name}]}
            values = outputs(served.post(URL, json=asked))[name]
            assert [*values.shape[1:]] == entry["shape"][1:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_encoded_pictures_are_decoded_as_predict_does(served: httpx.Client, kind: str) -> None:
    random = np.random.default_rng(5)
    pictures = [
        networks.encoded(random.integers(0, 256, (40, 60 + i, 3), np.uint8), kind) for i in range(3)
    ]
    for shape in ((3,), (3, 1)):
        body, headers = binary([("image", "BYTES", np.array(pictures, object).reshape(shape))])
        scores = outputs(served.post(URL, content=body, headers=headers))["scores"]
        assert scores.shape == (3, 4)
        for picture, row in zip(pictures, scores, strict=True):
            predicted = served.post("/predict?top_k=4", content=picture).json()["predictions"]
            expected = [
                item["probability"] for item in sorted(predicted, key=lambda item: item["index"])
            ]
            np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_a_body_without_a_document_is_a_picture_or_the_tensor_itself(
    served: httpx.Client, picture: bytes
) -> None:
    of_picture = served.post(URL, content=picture, headers={HEAD: "0"})
    assert of_picture.headers["content-type"] == "application/octet-stream"
    body, headers = binary([("image", "BYTES", np.array([picture], object))])
    expected = outputs(served.post(URL, content=body, headers=headers))["scores"]
    np.testing.assert_array_equal(outputs(of_picture)["scores"], expected)
    of_tensor = outputs(served.post(URL, content=in_bytes(PIXELS[:1]), headers={HEAD: "0"}))[
        "scores"
    ]
    expected = outputs(served.post(URL, json={"inputs": [tensor("image", "UINT8", PIXELS[:1])]}))[
        "scores"
    ]
    np.testing.assert_allclose(of_tensor, expected, rtol=1e-6)


def test_the_one_open_size_of_a_raw_tensor_follows_from_its_bytes(served: httpx.Client) -> None:
    signal = np.random.default_rng(1).normal(size=(1, 2, 50)).astype(np.float32)
    raw = outputs(
        served.post("/v2/models/signals/infer", content=in_bytes(signal), headers={HEAD: "0"})
    )["y"]
    complete = outputs(
        served.post("/v2/models/signals/infer", json={"inputs": [tensor("x", "FP32", signal)]})
    )["y"]
    np.testing.assert_array_equal(raw, complete)


def test_classes_are_the_largest_values_with_index_and_label(served: httpx.Client) -> None:
    requested = [{"name": "scores", "parameters": {"classification": 2}}]
    answer = served.post(
        URL, json={"inputs": [tensor("image", "UINT8", PIXELS)], "outputs": requested}
    )
    assert answer.json()["outputs"][0]["datatype"] == "BYTES"
    values = outputs(answer)["scores"]
    scores = outputs(served.post(URL, json={"inputs": [tensor("image", "UINT8", PIXELS)]}))[
        "scores"
    ]
    assert values.shape == (3, 2)
    for row, texts in zip(scores, values, strict=True):
        parts = [text.decode().split(":") for text in texts]
        assert [int(index) for _, index, _ in parts] == np.argsort(-row)[:2].tolist()
        assert [label for _, _, label in parts] == [
            networks.LABELS[int(index)] for _, index, _ in parts
        ]
        np.testing.assert_allclose(
            [np.float32(value) for value, _, _ in parts], np.sort(row)[::-1][:2], rtol=1e-6
        )


def test_classes_of_a_layer_have_no_label_and_are_at_most_all(served: httpx.Client) -> None:
    requested = [{"name": "layer:2", "parameters": {"classification": 99, "binary_data": True}}]
    answer = served.post(
        URL, json={"inputs": [tensor("image", "UINT8", PIXELS)], "outputs": requested}
    )
    values = outputs(answer)["layer:2"]
    assert values.shape == (3, 8)
    assert all(text.count(b":") == 1 for text in values.reshape(-1))


@pytest.mark.parametrize("request_coding", ["gzip", "deflate", "identity"])
@pytest.mark.parametrize("response_coding", ["gzip", "deflate"])
def test_bodies_are_packed_both_ways(
    served: httpx.Client, request_coding: str, response_coding: str
) -> None:
    asked = {"inputs": [tensor("image", "UINT8", PIXELS)], "outputs": [{"name": "layer:0"}]}
    body, headers = binary(
        [("image", "UINT8", PIXELS)],
        outputs=asked["outputs"],
        parameters={"binary_data_output": True},
    )
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body), "identity": body}[
        request_coding
    ]
    coded = {"Content-Encoding": request_coding, "Accept-Encoding": response_coding}
    answer = served.post(URL, content=packed, headers=headers | coded)
    assert answer.headers["content-encoding"] == response_coding
    assert int(answer.headers["content-length"]) != len(answer.content)
    plain = served.post(URL, json=asked, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert exact(outputs(answer)["layer:0"], outputs(plain)["layer:0"])


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip;q=0", None),
        ("gzip;q=0.1, identity", None),
        ("br", None),
        ("deflate;q=0.5, gzip;q=0.4", "deflate"),
        ("deflate, gzip", "gzip"),
    ],
)
def test_an_answer_is_packed_as_the_weights_say(
    served: httpx.Client, accepted: str, coding: str | None
) -> None:
    asked = {"inputs": [tensor("image", "UINT8", PIXELS)], "outputs": [{"name": "layer:0"}]}
    answer = served.post(URL, json=asked, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
