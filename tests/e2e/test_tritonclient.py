"""An unmodified tritonclient[http] against a real service, over a real socket; and what it may load
and unload.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.e2e.process import ROOT, Service
from tests.service import networks
from tests.service.oip.requests import fill_with_types
from tests.service.serving import fill

Array = np.ndarray[Any, Any]

PIXELS = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), np.uint8)
SIGNAL = np.random.default_rng(4).normal(size=(2, 2, 50)).astype(np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of small networks that loads on request; its address without the scheme."""
    folder = tmp_path_factory.mktemp("triton")
    models = fill_with_types(fill(folder / "models"))
    variables = {
        "FOVEA_MODEL_CONTROL": "explicit",
        "FOVEA_LOAD_MODELS": "photos,signals,fp32,bytes,int64",
    }
    with Service(folder, models, **variables) as service:
        yield service.ready().removeprefix("http://")


@pytest.fixture
def client(served: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served, concurrency=4) as client:
        yield client


def given(name: str, datatype: str, array: Array, *, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def pixels(array: Array = PIXELS, *, binary: bool = True) -> list[triton.InferInput]:
    return [given("image", "UINT8", array, binary=binary)]


def oracle(names: list[str], array: Array = PIXELS) -> list[Array]:
    return networks.tensors(networks.photo_model()[0], names, array)


def test_server_and_model_say_that_they_are_alive_and_ready(
    client: triton.InferenceServerClient,
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("photos")
    assert client.is_model_ready("photos", "1")
    assert not client.is_model_ready("photos", "9")
    assert not client.is_model_ready("nothing")


def test_metadata_and_configuration(client: triton.InferenceServerClient) -> None:
    assert {"binary_tensor_data", "classification", "statistics"} <= set(
        client.get_server_metadata()["extensions"]
    )
    metadata = client.get_model_metadata("photos", "1")
    assert metadata["versions"] == ["1", "2"]
    assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}]
    assert metadata["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [-1, 4]}]
    config = client.get_model_config("photos")
    assert config["max_batch_size"] > 1
    assert config["input"][0]["dims"] == metadata["inputs"][0]["shape"][1:]
    assert config["output"][0]["data_type"] == "TYPE_FP32"
    assert "dynamic_batching" in config


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_uint8_in_json_and_in_bytes(
    client: triton.InferenceServerClient, binary_in: bool, binary_out: bool | None
) -> None:
    wanted = (
        None
        if binary_out is None
        else [triton.InferRequestedOutput("scores", binary_data=binary_out)]
    )
    answer = client.infer("photos", pixels(binary=binary_in), outputs=wanted, request_id="42")
    assert answer.get_response()["id"] == "42"
    np.testing.assert_allclose(answer.as_numpy("scores"), oracle(["scores"])[0], rtol=1e-5)


@pytest.mark.parametrize("binary", [True, False])
def test_fp32_goes_through_to_the_last_bit(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput("y", binary_data=binary)]
    answer = client.infer("fp32", [given("x", "FP32", SIGNAL, binary=binary)], outputs=wanted)
    assert answer.as_numpy("y").tobytes() == SIGNAL.tobytes()


def test_int64_and_texts_go_through(client: triton.InferenceServerClient) -> None:
    whole = np.array([[[2**63 - 1, -(2**63), 0]]])
    assert (
        client.infer("int64", [given("x", "INT64", whole)]).as_numpy("y").tolist() == whole.tolist()
    )
    texts = np.array([[["", "é", "x" * 1000]]], object)
    found = client.infer("bytes", [given("x", "BYTES", texts)]).as_numpy("y")
    assert [each.decode() for each in found.reshape(-1)] == texts.reshape(-1).tolist()


def test_layers_are_outputs_like_any_other(client: triton.InferenceServerClient) -> None:
    names = ["layer:0", networks.CONVOLUTION, "scores"]
    answer = client.infer(
        "photos", pixels(), outputs=[triton.InferRequestedOutput(each) for each in names]
    )
    for name, expected in zip(names, oracle(["rectified", "rectified", "scores"]), strict=True):
        np.testing.assert_allclose(answer.as_numpy(name), expected, rtol=1e-4, atol=1e-6)


def test_classes(client: triton.InferenceServerClient) -> None:
    answer = client.infer(
        "photos", pixels(), outputs=[triton.InferRequestedOutput("scores", class_count=3)]
    )
    (scores,) = oracle(["scores"])
    found = answer.as_numpy("scores")
    assert found.shape == (3, 3)
    for row, texts in zip(scores, found, strict=True):
        parts = [text.decode().split(":") for text in texts]
        order = np.argsort(-row)[:3]
        assert [(int(index), label) for _, index, label in parts] == [
            (i, networks.LABELS[i]) for i in order
        ]
        np.testing.assert_allclose([float(value) for value, _, _ in parts], row[order], rtol=1e-5)


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_bodies_are_packed_both_ways(client: triton.InferenceServerClient, packing: str) -> None:
    answer = client.infer(
        "photos",
        pixels(),
        outputs=[
            triton.InferRequestedOutput("layer:0"),
            triton.InferRequestedOutput("scores", binary_data=False),
        ],
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )
    rectified, scores = oracle(["rectified", "scores"])
    np.testing.assert_allclose(answer.as_numpy("layer:0"), rectified, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(answer.as_numpy("scores"), scores, rtol=1e-5)


def test_many_at_once_and_what_is_counted_of_them(client: triton.InferenceServerClient) -> None:
    def counted() -> dict[str, Any]:
        stats: dict[str, Any] = client.get_inference_statistics("signals")["model_stats"][0]
        return stats

    before = counted()
    array = SIGNAL[:1]
    waiting = [client.async_infer("signals", [given("x", "FP32", array)]) for _ in range(16)]
    alone = client.infer("signals", [given("x", "FP32", SIGNAL)]).as_numpy("y")
    for each in waiting:
        np.testing.assert_allclose(
            each.get_result().as_numpy("y")[0], alone[0], rtol=1e-5, atol=1e-6
        )
    after = counted()
    assert after["inference_count"] - before["inference_count"] == 18
    assert 2 <= after["execution_count"] - before["execution_count"] <= 17
    stages = after["inference_stats"]
    assert stages["success"]["count"] >= 17
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert stages["success"]["ns"] == pytest.approx(
        sum(stages[part]["ns"] for part in parts), abs=8
    )
    assert (
        sum(each["batch_size"] * each["compute_infer"]["count"] for each in after["batch_stats"])
        == (after["inference_count"])
    )
    assert {each["name"] for each in client.get_inference_statistics()["model_stats"]} >= {
        "photos",
        "signals",
    }


def test_a_picture_is_taken_as_it_is(client: triton.InferenceServerClient, served: str) -> None:
    picture = networks.encoded(
        np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8), "JPEG"
    )
    answer = client.infer("photos", [given("image", "BYTES", np.array([picture, picture], object))])
    predicted = httpx.post(f"http://{served}/predict?model=photos&top_k=4", content=picture).json()[
        "predictions"
    ]
    expected = [each["probability"] for each in sorted(predicted, key=lambda each: each["index"])]
    np.testing.assert_allclose(answer.as_numpy("scores"), [expected, expected], rtol=1e-5)


def test_a_model_is_unloaded_and_loaded_again(client: triton.InferenceServerClient) -> None:
    def states() -> dict[str, str]:
        return {
            f"{each['name']}:{each['version']}": each["state"]
            for each in client.get_model_repository_index()
        }

    assert states()["photos:2"] == "READY"
    assert states()["volumes:1"] == "UNAVAILABLE"
    client.load_model("volumes")
    assert states()["volumes:1"] == "READY"
    volume = np.ones((1, 1, 6, 7, 8), np.float32)
    assert client.infer("volumes", [given("x", "FP32", volume)]).as_numpy("y").shape == (
        1,
        2,
        3,
        4,
        5,
    )
    client.unload_model("volumes", unload_dependents=True)
    assert not client.is_model_ready("volumes")
    assert states()["volumes:1"] == "UNAVAILABLE"
    with pytest.raises(InferenceServerException, match="there is no model 'volumes'"):
        client.infer("volumes", [given("x", "FP32", volume)])


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda client: client.infer("nothing", pixels()), 404),
        (lambda client: client.infer("photos", pixels(), model_version="9"), 404),
        (lambda client: client.infer("photos", pixels(PIXELS[:, :31])), 400),
        (
            lambda client: client.infer("photos", [given("image", "INT8", PIXELS.astype(np.int8))]),
            400,
        ),
        (
            lambda client: client.infer(
                "photos", pixels(), outputs=[triton.InferRequestedOutput("nothing")]
            ),
            400,
        ),
        (lambda client: client.infer("photos", pixels(), timeout=1), 504),
        (lambda client: client.get_model_metadata("nothing"), 404),
        (lambda client: client.get_log_settings(), 404),
        (lambda client: client.load_model("../outside"), 404),
        (lambda client: client.load_model("nothing"), 404),
        (lambda client: client.load_model("corrupt"), 400),
        (lambda client: client.load_model("photos", config="{}"), 400),
        (
            lambda client: client.load_model(
                "photos", config="{}", files={"file:1/model.onnx": b"x"}
            ),
            400,
        ),
        (lambda client: client.unload_model("nothing"), 404),
    ],
)
def test_an_error_is_read_by_the_client(
    client: triton.InferenceServerClient, ask: Any, status: int
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        ask(client)
    assert caught.value.status() == str(status)
    assert len(caught.value.message()) > 10


def test_a_service_that_does_not_load_on_request_says_so(address: str) -> None:
    with triton.InferenceServerClient(address.removeprefix("http://")) as client:
        for ask in (client.load_model, client.unload_model):
            with pytest.raises(
                InferenceServerException, match="FOVEA_MODEL_CONTROL is 'none'"
            ) as caught:
                ask("imagenet")
            assert caught.value.status() == "403"
        listed = {each["name"]: each for each in client.get_model_repository_index()}
    assert listed["imagenet"]["state"] == "READY"
    assert (listed["broken"]["state"], bool(listed["broken"]["reason"])) == ("UNAVAILABLE", True)


def test_the_python_example_of_the_page_runs_as_it_stands(address: str, tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/v2.md").read_text(), re.DOTALL)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    command = [
        sys.executable,
        "-c",
        code.replace("localhost:8000", address.removeprefix("http://")),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"285:Egyptian cat'.*\(1, 32, 112, 112\)", done.stdout)
