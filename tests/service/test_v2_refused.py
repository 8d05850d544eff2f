"""What the Open Inference Protocol's routes refuse, and that every error there is `{"error": text}`."""

import asyncio
import gzip
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st
from starlette.requests import Request

from service.api.bodies import Limits
from service.api.v2 import bodies
from service.engine import RunFailed
from service.errors import FoveaError, InvalidRequest, QueueFull
from service.services import Services
from service.settings import Settings
from service.v2 import document, inference
from tests.service.conftest import Start
from tests.service.serving import fill, serving
from tests.service.v2_requests import DTYPES, HEAD, binary, fill_with_types, in_bytes, outputs, tensor

PHOTOS = "/v2/models/photos/infer"
SIGNALS = "/v2/models/signals/infer"
PIXELS = np.zeros((1, 32, 32, 3), np.uint8)
SIGNAL = np.zeros((1, 2, 3), np.float32)
IMAGE = tensor("image", "UINT8", PIXELS)
X = tensor("x", "FP32", SIGNAL)
MAX_BYTES = 400_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("v2")
    settings = Settings(
        models=fill_with_types(fill(folder / "models")),
        default_model="photos",
        device="cpu",
        threads=1,
        input_store=folder / "inputs",
        max_bytes=MAX_BYTES,
        max_pixels=100_000,
    )
    with serving(settings) as client:
        yield client


def assert_error(response: httpx.Response, status: int, says: str = "") -> None:
    """The one check of every failing route under /v2."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert isinstance(body["error"], str)
    assert len(body["error"]) > 10
    assert says in body["error"]
    assert response.headers["x-request-id"]
    for secret in ("Traceback", "/tmp", ".py", "onnxruntime", "site-packages"):
        assert secret not in response.text


def asked(*inputs: Any, **more: Any) -> dict[str, Any]:
    return {"json": {"inputs": list(inputs), **more}}


def text(document: str) -> dict[str, Any]:
    return {"content": document.encode()}


def in_binary(array: np.ndarray, *, length: int = 0, tail: bytes = b"", datatype: str = "FP32") -> dict[str, Any]:
    body, headers = binary([("x", datatype, array)], tail)
    return {"content": body, "headers": {HEAD: str(int(headers[HEAD]) + length)}}


def with_size(size: Any, blob: bytes, shape: Any = (1, 2, 3), datatype: str = "FP32") -> dict[str, Any]:
    given = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [given]}).encode()
    return {"content": head + blob, "headers": {HEAD: str(len(head))}}


def nested(depth: int) -> str:
    return f'{{"inputs": [], "more": {"[" * depth}{"]" * depth}}}'


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no body": (SIGNALS, {}, "not JSON"),
    "no JSON": (SIGNALS, text("{"), "not JSON"),
    "no UTF-8": (SIGNALS, {"content": b'{"id": "\xff"}'}, "not JSON"),
    "half a surrogate": (SIGNALS, text('{"id": "\\ud800"}'), "not JSON"),
    "no object": (SIGNALS, {"json": [X]}, "must be a JSON object"),
    "no inputs": (SIGNALS, {"json": {}}, "'inputs' must be a list"),
    "inputs that are none": (SIGNALS, {"json": {"inputs": [1]}}, "'inputs[0]' must be a JSON object"),
    "a missing input": (SIGNALS, asked(), "takes one input, 'x'; got none"),
    "an extra input": (SIGNALS, asked(X, X | {"name": "z"}), "takes one input, 'x'; got 'x', 'z'"),
    "a duplicate input": (SIGNALS, asked(X, X), "input 'x' is named twice"),
    "an unknown input": (SIGNALS, asked(X | {"name": "z"}), "takes one input, 'x'; got 'z'"),
    "a name that is none": (SIGNALS, asked(X | {"name": 1}), "the name of an input must be text"),
    "no data": (SIGNALS, asked({key: X[key] for key in ("name", "datatype", "shape")}), "must have either data"),
    "data twice": (SIGNALS, asked(X | {"parameters": {"binary_data_size": 24}}), "must have either data"),
    "a type that there is not": (SIGNALS, asked(X | {"datatype": "FP99"}), "datatype 'FP99'; known are BOOL"),
    "a type that is no text": (SIGNALS, asked(X | {"datatype": [1]}), "known are BOOL"),
    "BF16": (SIGNALS, asked(X | {"datatype": "BF16"}), "known are BOOL"),
    "another type": (SIGNALS, asked(X | {"datatype": "FP64"}), "input 'x' takes FP32, not FP64"),
    "texts for numbers": (SIGNALS, asked(X | {"datatype": "BYTES", "data": ["a"] * 6}), "takes no pictures"),
    "another rank": (SIGNALS, asked(X | {"shape": [2, 3]}), "unexpected shape for input 'x': expected [-1, 2, -1]"),
    "another size": (SIGNALS, asked(X | {"shape": [2, 1, 3]}), "unexpected shape for input 'x'"),
    "another channel": (PHOTOS, asked(tensor("image", "UINT8", PIXELS[..., :1])), "unexpected shape"),
    "an empty tensor": (SIGNALS, asked(X | {"shape": [0, 2, 3], "data": []}), "must not be empty"),
    "too large a batch": (SIGNALS, asked(tensor("x", "FP32", np.zeros((129, 2, 1), np.float32))), "takes 1 to 128"),
    "a negative size": (SIGNALS, asked(X | {"shape": [-1, 2, 3]}), "shape of input 'x' must be"),
    "a size that is no number": (SIGNALS, asked(X | {"shape": [1, 2, "3"]}), "shape of input 'x' must be"),
    "a size that is a fraction": (SIGNALS, asked(X | {"shape": [1, 2, 3.0]}), "shape of input 'x' must be"),
    "a size that is true": (SIGNALS, asked(X | {"shape": [True, 2, 3]}), "shape of input 'x' must be"),
    "no shape": (SIGNALS, asked({key: X[key] for key in ("name", "datatype", "data")}), "shape of input 'x' must be"),
    "too many axes": (SIGNALS, asked(X | {"shape": [1] * 99}), "shape of input 'x' must be"),
    "an overflowing size": (SIGNALS, asked(X | {"shape": [1, 2, 2**40]}), "above 2147483647"),
    "a size beyond 64 bits": (SIGNALS, asked(X | {"shape": [1, 2, 2**70]}), "shape of input 'x'"),
    "an overflowing product": (SIGNALS, asked(X | {"shape": [2**31 - 1] * 3}), "input 'x' has 6 elements in data"),
    "too few numbers": (SIGNALS, asked(X | {"data": [0.0] * 5}), "has 5 elements in data, its shape [1, 2, 3] has 6"),
    "data that is no list": (SIGNALS, asked(X | {"data": 1}), "the data of input 'x' must be a list"),
    "ragged data": (SIGNALS, asked(X | {"data": [[[0, 0, 0], [0, 0]]]}), "ragged"),
    "data of mixed depth": (SIGNALS, asked(X | {"data": [[0, 0, 0], 0, 0, 0]}), "ragged"),
    "data nested otherwise": (SIGNALS, asked(X | {"data": [[[0, 0], [0, 0], [0, 0]]]}), "nested as [1, 3, 2]"),
    "text among numbers": (SIGNALS, asked(X | {"data": [0, 0, 0, 0, 0, "0"]}), "must hold numbers only"),
    "null among numbers": (SIGNALS, asked(X | {"data": [0, 0, 0, 0, 0, None]}), "must hold numbers only"),
    "true among numbers": (SIGNALS, asked(X | {"data": [0, 0, 0, 0, 0, True]}), "must hold numbers only"),
    "a list among numbers": (SIGNALS, asked(X | {"data": [0, 0, 0, 0, 0, [0]]}), "must hold numbers only"),
    "NaN": (SIGNALS, text(json.dumps({"inputs": [X | {"data": [float("nan")] * 6}]})), "has no NaN"),
    "infinity": (SIGNALS, text(json.dumps({"inputs": [X | {"data": [float("inf")] * 6}]})), "has no NaN"),
    "1e999": (SIGNALS, text(json.dumps({"inputs": [X]}).replace("0.0", "1e999")), "not JSON"),
    "a float too large": (SIGNALS, asked(X | {"data": [1e39] * 6}), "out of the range of FP32"),
    "a fraction of a whole number": (PHOTOS, asked(IMAGE | {"data": [0.5] * 3072}), "must hold whole numbers only"),
    "a whole number too large": (PHOTOS, asked(IMAGE | {"data": [256] * 3072}), "out of the range of UINT8"),
    "a whole number too small": (PHOTOS, asked(IMAGE | {"data": [-1] * 3072}), "out of the range of UINT8"),
    "101 levels": (SIGNALS, text(nested(100)), "nested deeper than 100"),
    "a thousand levels": (SIGNALS, text(nested(1000)), "nested deeper than 100"),
    "a million levels": (SIGNALS, text("[" * 399_000), "nested deeper than 100"),
    "levels behind texts": (SIGNALS, text('{"a": "\\"]]]", "b": ' + "[" * 101 + "]" * 101 + "}"), "nested deeper"),
    "an unknown output": (SIGNALS, asked(X, outputs=[{"name": "z"}]), "has no output 'z'; it has y, and its layers"),
    "a layer that is not": (SIGNALS, asked(X, outputs=[{"name": "layer:9"}]), "has no output 'layer:9'"),
    "a layer that is no number": (SIGNALS, asked(X, outputs=[{"name": "layer:²"}]), "has no output"),
    "a layer before the first": (SIGNALS, asked(X, outputs=[{"name": "layer:-1"}]), "has no output"),
    "a bare number": (SIGNALS, asked(X, outputs=[{"name": "0"}]), "has no output '0'"),
    "an output without a name": (SIGNALS, asked(X, outputs=[{}]), "the name of an output must be text"),
    "an output twice": (SIGNALS, asked(X, outputs=[{"name": "y"}] * 2), "output 'y' is named twice"),
    "outputs that are none": (SIGNALS, asked(X, outputs="y"), "'outputs' must be a list of objects"),
    "half a class": (
        SIGNALS,
        asked(X, outputs=[{"name": "y", "parameters": {"classification": 0.5}}]),
        "must be a whole number from 0",
    ),
    "bytes or not": (SIGNALS, asked(X, outputs=[{"name": "y", "parameters": {"binary_data": 1}}]), "true or false"),
    "shared memory": (SIGNALS, asked(X | {"parameters": {"shared_memory_region": "r"}}), "shared memory"),
    "a parameter that is a list": (SIGNALS, asked(X, parameters={"p": []}), "parameter 'p' of the request"),
    "parameters that are none": (SIGNALS, asked(X, parameters=1), "'parameters' of the request must be"),
    "a negative timeout": (SIGNALS, asked(X, parameters={"timeout": -1}), "'timeout' of the request"),
    "an id that is no text": (SIGNALS, asked(X, id=42), "'id' must be text"),
    "too few bytes": (SIGNALS, with_size(24, bytes(20)), "input 'x', expecting 4 additional bytes"),
    "bytes of another shape": (SIGNALS, with_size(20, bytes(20)), "expecting 24 bytes, got 20"),
    "bytes of a vast shape": (SIGNALS, with_size(8, bytes(8), [2**31 - 1] * 3), "expecting"),
    "a negative count of bytes": (SIGNALS, with_size(-24, bytes(24)), "whole number from 0"),
    "leftover bytes": (SIGNALS, in_binary(SIGNAL, tail=b"12"), "unexpected additional input data: 2 bytes"),
    "a document too long": (SIGNALS, in_binary(SIGNAL, length=1), "not JSON"),
    "a document too short": (SIGNALS, in_binary(SIGNAL, length=-1), "not JSON"),
    "a document beyond the body": (SIGNALS, in_binary(SIGNAL, length=1000), "Inference-Header-Content-Length is"),
    "a negative length": (SIGNALS, {"content": b"{}", "headers": {HEAD: "-1"}}, "must be a whole number"),
    "a length in words": (SIGNALS, {"content": b"{}", "headers": {HEAD: "two"}}, "must be a whole number"),
    "a length beyond 64 bits": (SIGNALS, {"content": b"{}", "headers": {HEAD: "9" * 30}}, "must be a whole number"),
    "a truth of 2": ("/v2/models/bool/infer", with_size(1, b"\x02", [1, 1, 1], "BOOL"), "whose bytes are 0 or 1"),
    "texts beyond their bytes": (
        "/v2/models/bytes/infer",
        with_size(8, struct.pack("<I", 5) + b"four", [1, 1, 1], "BYTES"),
        "go beyond its 8 bytes",
    ),
    "a text without its length": (
        "/v2/models/bytes/infer",
        with_size(6, struct.pack("<I", 0) + b"\0\0", [1, 1, 2], "BYTES"),
        "go beyond its 6 bytes",
    ),
    "bytes behind the texts": (
        "/v2/models/bytes/infer",
        with_size(5, struct.pack("<I", 0) + b"x", [1, 1, 1], "BYTES"),
        "1 bytes follow its last element",
    ),
    "too many texts": ("/v2/models/bytes/infer", with_size(0, b"", [1, 1, 65_537], "BYTES"), "at most 65536"),
    "a vast number of texts": ("/v2/models/bytes/infer", with_size(0, b"", [2**31 - 1] * 3, "BYTES"), "at most 65536"),
    "numbers for texts": (
        "/v2/models/bytes/infer",
        asked({"name": "x", "datatype": "BYTES", "shape": [1, 1, 1], "data": [1]}),
        "must hold text only",
    ),
    "a text that is no UTF-8": (
        "/v2/models/bytes/infer",
        with_size(5, struct.pack("<I", 1) + b"\xff", [1, 1, 1], "BYTES"),
        "not text in UTF-8",
    ),
    "a raw body of another size": (PHOTOS, {"content": b"\0" * 10, "headers": {HEAD: "0"}}, "expecting 3072 bytes"),
    "a raw body of parts": (SIGNALS, {"content": b"\0" * 9, "headers": {HEAD: "0"}}, "expecting 8 bytes, got 9"),
    "an empty raw body": (SIGNALS, {"content": b"", "headers": {HEAD: "0"}}, "must not be empty"),
    "a raw body of two open sizes": ("/v2/models/fp32/infer", {"content": b"", "headers": {HEAD: "0"}}, "alone"),
    "no picture": (PHOTOS, asked({"name": "image", "datatype": "BYTES", "shape": [1], "data": ["a"]}), "not a picture"),
    "no pictures at all": (PHOTOS, asked({"name": "image", "datatype": "BYTES", "shape": [0], "data": []}), "1 to 128"),
    "pictures in a square": (
        PHOTOS,
        asked({"name": "image", "datatype": "BYTES", "shape": [2, 2], "data": ["a"] * 4}),
        "shape [n] or [n, 1]",
    ),
    "half a picture": (PHOTOS, {"content": b"\xff\xd8\xff" + bytes(99), "headers": {HEAD: "0"}}, "picture"),
    "no gzip": (SIGNALS, {"content": b"{}", "headers": {"Content-Encoding": "gzip"}}, "Content-Encoding says"),
    "half a gzip": (
        SIGNALS,
        {"content": gzip.compress(b"{}" * 99)[:-9], "headers": {"Content-Encoding": "gzip"}},
        "ends too early",
    ),
    "two gzips": (
        SIGNALS,
        {"content": gzip.compress(b"{}") * 2, "headers": {"Content-Encoding": "gzip"}},
        "something follows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_400_and_says_why(served: httpx.Client, case: str) -> None:
    url, request, says = BAD[case]
    assert_error(served.post(url, **request), 400, says)


@pytest.mark.parametrize("datatype", DTYPES)
def test_no_datatype_takes_the_place_of_another(served: httpx.Client, datatype: str) -> None:
    array = np.ones((1, 1, 1), DTYPES[datatype])
    for other in DTYPES:
        answer = served.post(f"/v2/models/{other.lower()}/infer", **in_binary(array, datatype=datatype))
        if other == datatype:
            assert outputs(answer)["y"].size == 1
        else:
            assert_error(answer, 400, f"takes {other}, not {datatype}")


def test_a_hundred_levels_and_brackets_in_texts_are_taken(served: httpx.Client) -> None:
    body = json.dumps({"inputs": [X], "id": "[{" * 200 + '\\"' * 3})
    deep = body[:-1] + ', "more": ' + "[" * 99 + "]" * 99 + "}"
    for taken in (body, deep):
        assert outputs(served.post(SIGNALS, content=taken.encode()))["y"].shape == (1, 3, 3)


def test_no_content_type_is_needed_and_none_is_looked_at(served: httpx.Client) -> None:
    body = json.dumps({"inputs": [X]}).encode()
    for kind in ("", "image/png", "text/plain; charset=x", "application/x-www-form-urlencoded"):
        answer = served.post(SIGNALS, content=body, headers={"Content-Type": kind} if kind else {})
        assert outputs(answer)["y"].shape == (1, 3, 3)


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd"])
def test_another_coding_is_415_and_says_which_are_taken(served: httpx.Client, coding: str) -> None:
    refused = served.post(SIGNALS, content=b"{}", headers={"Content-Encoding": coding})
    assert_error(refused, 415, "send gzip, deflate or none")
    assert refused.headers["accept-encoding"] == "gzip, deflate"


def test_what_is_larger_than_taken_is_413_packed_or_not(served: httpx.Client) -> None:
    assert_error(served.post(SIGNALS, content=bytes(MAX_BYTES + 1)), 413, str(MAX_BYTES))
    for pack, coding in ((gzip.compress, "gzip"), (zlib.compress, "deflate")):
        bomb = pack(bytes(100_000_000))
        assert len(bomb) < MAX_BYTES
        assert_error(served.post(SIGNALS, content=bomb, headers={"Content-Encoding": coding}), 413, str(MAX_BYTES))
        full = pack(b" " * (MAX_BYTES - 200) + json.dumps({"inputs": [X]}).encode().ljust(200))
        answer = served.post(SIGNALS, content=full, headers={"Content-Encoding": coding})
        assert outputs(answer)["y"].shape == (1, 3, 3)


def test_an_answer_of_too_many_bytes_is_413(served: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "LARGEST_ANSWER", 8 * 16 * 16 * 4)
    one, both = [{"name": "layer:0"}], [{"name": "layer:0"}, {"name": "scores"}]
    assert served.post(PHOTOS, **asked(IMAGE, outputs=one)).status_code == 200
    assert_error(served.post(PHOTOS, **asked(IMAGE, outputs=both)), 413, "ask for fewer")


def test_lists_beyond_number_are_refused_before_they_are_read() -> None:
    assert document.read(b'{"a": [' + b"[]," * 499_997 + b"[]]}")
    with pytest.raises(InvalidRequest, match="more than 500000 lists"):
        document.read(b'{"a": [' + b"[]," * 499_998 + b"[]]}")


def test_a_picture_of_too_many_pixels_is_413(served: httpx.Client, bomb: bytes) -> None:
    assert_error(served.post(PHOTOS, content=bomb, headers={HEAD: "0"}), 413, "pixels")
    two = np.array([bomb, bomb], object)
    body, headers = binary([("image", "BYTES", two)])
    assert_error(served.post(PHOTOS, content=body, headers=headers), 413, "picture 1 of 2")


def in_pieces(count: int) -> Request:
    """A request whose body comes in so many pieces of one byte, and empty ones between them."""
    left = iter([{"type": "http.request", "body": each, "more_body": True} for each in (b" ", b"")] * count)

    async def receive() -> Any:
        return next(left, {"type": "http.request", "body": b"", "more_body": False})

    return Request({"type": "http", "headers": []}, receive)


def test_a_body_in_too_many_pieces_is_refused() -> None:
    limits = Limits(max_bytes=MAX_BYTES, max_files=1, seconds=30)
    assert asyncio.run(bodies.read(in_pieces(65_536), limits)) == b" " * 65_536
    with pytest.raises(InvalidRequest, match="more than 65536 pieces"):
        asyncio.run(bodies.read(in_pieces(65_537), limits))


def test_what_json_has_not_is_refused_and_given_as_bytes(served: httpx.Client) -> None:
    signal = np.full((1, 2, 3), np.inf, np.float32)
    assert_error(served.post(SIGNALS, **in_binary(signal)), 400, "ask for it with binary_data")
    body, headers = binary([("x", "FP32", signal)], parameters={"binary_data_output": True})
    assert not np.isfinite(outputs(served.post(SIGNALS, content=body, headers=headers))["y"]).any()


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/v2/models/nothing", 404),
        ("GET", "/v2/models/nothing/ready", 404),
        ("GET", "/v2/models/nothing/config", 404),
        ("GET", "/v2/models/nothing/stats", 404),
        ("GET", "/v2/models/photos/versions/9", 404),
        ("GET", "/v2/models/photos/versions/v10/ready", 404),
        ("GET", "/v2/models/corrupt", 404),
        ("POST", "/v2/models/nothing/infer", 404),
        ("GET", "/v2/", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/photos/nothing", 404),
        ("POST", "/v2/models/photos/generate", 404),
        ("GET", "/v2/systemsharedmemory/status", 404),
        ("GET", "/v2/models/photos/infer", 405),
        ("DELETE", "/v2/models/photos", 405),
        ("POST", "/v2", 405),
        ("GET", "/v2/repository/index", 405),
        ("POST", "/v2/repository/models/photos/load", 403),
        ("POST", "/v2/repository/models/photos/unload", 403),
    ],
)
def test_errors_of_routes_and_of_the_framework_are_the_protocols(
    served: httpx.Client, method: str, url: str, status: int
) -> None:
    allowed = {"infer": "POST", "index": "POST"}.get(url.rpartition("/")[2], "GET") if status == 405 else None
    refused = served.request(method, url)
    assert_error(refused, status)
    assert refused.headers.get("allow") == allowed


def test_a_name_that_only_begins_alike_has_problems_as_everywhere(served: httpx.Client) -> None:
    assert served.get("/v22").json()["type"] == "/problems/no-such-route"


@pytest.mark.parametrize(
    ("url", "body", "says"),
    [
        ("/v2/repository/index", b"[]", "must be a JSON object"),
        ("/v2/repository/index", b"{", "not JSON"),
        ("/v2/repository/index", b'{"ready": 1}', "true or false"),
        ("/v2/repository/models/photos/load", b'{"parameters": {"config": "{}"}}', "no 'config' is taken"),
        ("/v2/repository/models/photos/load", b'{"parameters": {"file:1/model.onnx": "AAAA"}}', "is taken"),
        ("/v2/repository/models/photos/load", b'{"parameters": {"url": "http://x/"}}', "no 'url' is taken"),
        ("/v2/repository/models/photos/unload", b'{"parameters": {"unload_dependents": 1}}', "true or false"),
    ],
)
def test_the_repository_takes_no_model_and_no_nonsense(served: httpx.Client, url: str, body: bytes, says: str) -> None:
    assert_error(served.post(url, content=body), 400, says)


def test_a_deadline_of_the_request_is_504(served: httpx.Client) -> None:
    for inputs in (X, IMAGE):
        url = SIGNALS if inputs is X else PHOTOS
        assert_error(served.post(url, **asked(inputs, parameters={"timeout": 1})), 504)
        assert served.post(url, **asked(inputs, parameters={"timeout": 30_000_000})).status_code == 200
        assert served.post(url, **asked(inputs, parameters={"timeout": 0})).status_code == 200


@pytest.fixture
def failing(settings: Settings, started: Start, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], httpx.Client]:
    """A service whose queue fails in this way."""

    def start(error: Exception) -> httpx.Client:
        services = Services.start(settings)

        async def ask(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(services.batcher, "ask", ask)
        return started(settings, replace(services))

    return start


def test_a_full_queue_is_429_with_the_time_to_try_again(failing: Callable[[Exception], httpx.Client]) -> None:
    client = failing(QueueFull("128 requests are running or waiting already; try again later", 2.2))
    refused = client.post(PHOTOS, **asked(IMAGE))
    assert_error(refused, 429, "try again later")
    assert refused.headers["retry-after"] == "3"
    assert counted(client)["fail"]["count"] == 1


@pytest.mark.parametrize("error", [RunFailed("secret of site-packages"), FoveaError("/tmp/x"), ValueError("x.py")])
def test_a_failure_of_the_service_is_500_and_says_nothing(
    failing: Callable[[Exception], httpx.Client], error: Exception
) -> None:
    assert_error(failing(error).post(PHOTOS, **asked(IMAGE)), 500, "the service failed")


def counted(client: httpx.Client) -> dict[str, Any]:
    stats: dict[str, Any] = client.get("/v2/models/photos/stats").json()["model_stats"][-1]["inference_stats"]
    return stats


def test_a_service_without_models_is_not_ready(tmp_path: Any, started: Start) -> None:
    client = started(Settings(models=tmp_path / "none", device="cpu", input_store=tmp_path / "inputs"))
    assert_error(client.get("/v2/health/ready"), 503, "no model is served")
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2").status_code == 200
    refused = client.post("/v2/models/photos/infer", content=in_bytes(PIXELS), headers={HEAD: "0"})
    assert_error(refused, 503)
    assert refused.headers["retry-after"]


def test_a_service_that_shuts_down_is_alive_not_ready_and_refuses(settings: Settings, started: Start) -> None:
    client = started(settings)
    client.app.state.health.draining = True  # type: ignore[attr-defined]
    assert_error(client.get("/v2/health/ready"), 503, "shutting down")
    assert client.get("/v2/health/live").status_code == 200
    assert_error(client.post(PHOTOS, **asked(IMAGE)), 503, "shutting down")


@checked(max_examples=150, deadline=None)
@given(
    cut=st.integers(0, 400),
    drop=st.integers(0, 20),
    put=st.binary(max_size=8) | st.sampled_from(b'" [[ ] { } , : - e9 null \\ \xff'.split()),
    length=st.none() | st.integers(-5, 5),
)
def test_a_mangled_request_never_makes_the_service_fail(
    served: httpx.Client, cut: int, drop: int, put: bytes, length: int | None
) -> None:
    body, headers = binary([("x", "FP32", SIGNAL)], id="a", outputs=[{"name": "y"}, {"name": "layer:0"}])
    mangled = body[:cut] + put + body[cut + drop :]
    whole = int(headers[HEAD]) + (len(mangled) - len(body) if length is None else length)
    answer = served.post(SIGNALS, content=mangled, headers={HEAD: str(max(0, whole))})
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or list(answer.json()) == ["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@checked(max_examples=150, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_value_in_the_place_of_any_other_is_taken_or_refused(
    served: httpx.Client, data: st.DataObject, value: Any
) -> None:
    asked_for: dict[str, Any] = {
        "id": "a",
        "parameters": {"timeout": 30_000_000, "binary_data_output": False},
        "inputs": [X | {"parameters": {"content_type": "np"}}],
        "outputs": [{"name": "y", "parameters": {"classification": 1, "binary_data": True}}],
    }
    place: Any = asked_for
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    place[key] = value
    answer = served.post(SIGNALS, json=asked_for)
    assert answer.status_code in (200, 400, 504)
    assert answer.status_code == 200 or list(answer.json()) == ["error"]
