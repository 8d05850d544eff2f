"""Requests that the Open Inference Protocol's routes refuse, what each answer says, and the one
check of it.
"""

import gzip
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service.settings import Settings
from tests.service.oip.requests import HEAD, binary, fill_with_types, tensor
from tests.service.serving import fill, serving

PHOTOS = "/v2/models/photos/infer"
SIGNALS = "/v2/models/signals/infer"
PIXELS = np.zeros((1, 32, 32, 3), np.uint8)
SIGNAL = np.zeros((1, 2, 3), np.float32)
IMAGE = tensor("image", "UINT8", PIXELS)
X = tensor("x", "FP32", SIGNAL)
MAX_BYTES = 400_000


@contextmanager
def with_small_limits(folder: Path) -> Iterator[httpx.Client]:
    """A service of all models that takes little."""
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


def in_binary(
    array: np.ndarray, *, length: int = 0, tail: bytes = b"", datatype: str = "FP32"
) -> dict[str, Any]:
    body, headers = binary([("x", datatype, array)], tail)
    return {"content": body, "headers": {HEAD: str(int(headers[HEAD]) + length)}}


def with_size(
    size: Any, blob: bytes, shape: Any = (1, 2, 3), datatype: str = "FP32"
) -> dict[str, Any]:
    declared = {
        "name": "x",
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": size},
    }
    head = json.dumps({"inputs": [declared]}).encode()
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
    "inputs that are none": (
        SIGNALS,
        {"json": {"inputs": [1]}},
        "'inputs[0]' must be a JSON object",
    ),
    "a missing input": (SIGNALS, asked(), "takes one input, 'x'; got none"),
    "an extra input": (SIGNALS, asked(X, X | {"name": "z"}), "takes one input, 'x'; got 'x', 'z'"),
    "a duplicate input": (SIGNALS, asked(X, X), "input 'x' is named twice"),
    "an unknown input": (SIGNALS, asked(X | {"name": "z"}), "takes one input, 'x'; got 'z'"),
    "a name that is none": (SIGNALS, asked(X | {"name": 1}), "the name of an input must be text"),
    "no data": (
        SIGNALS,
        asked({key: X[key] for key in ("name", "datatype", "shape")}),
        "must have either data",
    ),
    "data twice": (
        SIGNALS,
        asked(X | {"parameters": {"binary_data_size": 24}}),
        "must have either data",
    ),
    "a type that there is not": (
        SIGNALS,
        asked(X | {"datatype": "FP99"}),
        "datatype 'FP99'; known are BOOL",
    ),
    "a type that is no text": (SIGNALS, asked(X | {"datatype": [1]}), "known are BOOL"),
    "BF16": (SIGNALS, asked(X | {"datatype": "BF16"}), "known are BOOL"),
    "another type": (SIGNALS, asked(X | {"datatype": "FP64"}), "input 'x' takes FP32, not FP64"),
    "texts for numbers": (
        SIGNALS,
        asked(X | {"datatype": "BYTES", "data": ["a"] * 6}),
        "takes no pictures",
    ),
    "another rank": (
        SIGNALS,
        asked(X | {"shape": [2, 3]}),
        "unexpected shape for input 'x': expected [-1, 2, -1]",
    ),
    "another size": (SIGNALS, asked(X | {"shape": [2, 1, 3]}), "unexpected shape for input 'x'"),
    "another channel": (
        PHOTOS,
        asked(tensor("image", "UINT8", PIXELS[..., :1])),
        "unexpected shape",
    ),
    "an empty tensor": (SIGNALS, asked(X | {"shape": [0, 2, 3], "data": []}), "must not be empty"),
    "too large a batch": (
        SIGNALS,
        asked(tensor("x", "FP32", np.zeros((129, 2, 1), np.float32))),
        "takes 1 to 128",
    ),
    "a negative size": (SIGNALS, asked(X | {"shape": [-1, 2, 3]}), "shape of input 'x' must be"),
    "a size that is no number": (
        SIGNALS,
        asked(X | {"shape": [1, 2, "3"]}),
        "shape of input 'x' must be",
    ),
    "a size that is a fraction": (
        SIGNALS,
        asked(X | {"shape": [1, 2, 3.0]}),
        "shape of input 'x' must be",
    ),
    "a size that is true": (
        SIGNALS,
        asked(X | {"shape": [True, 2, 3]}),
        "shape of input 'x' must be",
    ),
    "no shape": (
        SIGNALS,
        asked({key: X[key] for key in ("name", "datatype", "data")}),
        "shape of input 'x' must be",
    ),
    "too many axes": (SIGNALS, asked(X | {"shape": [1] * 99}), "shape of input 'x' must be"),
    "an overflowing size": (SIGNALS, asked(X | {"shape": [1, 2, 2**40]}), "above 2147483647"),
    "a size beyond 64 bits": (SIGNALS, asked(X | {"shape": [1, 2, 2**70]}), "shape of input 'x'"),
    "an overflowing product": (
        SIGNALS,
        asked(X | {"shape": [2**31 - 1] * 3}),
        "input 'x' has 6 elements in data",
    ),
    "too few numbers": (
        SIGNALS,
        asked(X | {"data": [0.0] * 5}),
        "has 5 elements in data, its shape [1, 2, 3] has 6",
    ),
    "data that is no list": (
        SIGNALS,
        asked(X | {"data": 1}),
        "the data of input 'x' must be a list",
    ),
    "ragged data": (SIGNALS, asked(X | {"data": [[[0, 0, 0], [0, 0]]]}), "ragged"),
    "data of mixed depth": (SIGNALS, asked(X | {"data": [[0, 0, 0], 0, 0, 0]}), "ragged"),
    "data nested otherwise": (
        SIGNALS,
        asked(X | {"data": [[[0, 0], [0, 0], [0, 0]]]}),
        "nested as [1, 3, 2]",
    ),
    "text among numbers": (
        SIGNALS,
        asked(X | {"data": [0, 0, 0, 0, 0, "0"]}),
        "must hold numbers only",
    ),
    "null among numbers": (
        SIGNALS,
        asked(X | {"data": [0, 0, 0, 0, 0, None]}),
        "must hold numbers only",
    ),
    "true among numbers": (
        SIGNALS,
        asked(X | {"data": [0, 0, 0, 0, 0, True]}),
        "must hold numbers only",
    ),
    "a list among numbers": (
        SIGNALS,
        asked(X | {"data": [0, 0, 0, 0, 0, [0]]}),
        "must hold numbers only",
    ),
    "NaN": (
        SIGNALS,
        text(json.dumps({"inputs": [X | {"data": [float("nan")] * 6}]})),
        "has no NaN",
    ),
    "infinity": (
        SIGNALS,
        text(json.dumps({"inputs": [X | {"data": [float("inf")] * 6}]})),
        "has no NaN",
    ),
    "1e999": (SIGNALS, text(json.dumps({"inputs": [X]}).replace("0.0", "1e999")), "not JSON"),
    "a float too large": (SIGNALS, asked(X | {"data": [1e39] * 6}), "out of the range of FP32"),
    "a fraction of a whole number": (
        PHOTOS,
        asked(IMAGE | {"data": [0.5] * 3072}),
        "must hold whole numbers only",
    ),
    "a whole number too large": (
        PHOTOS,
        asked(IMAGE | {"data": [256] * 3072}),
        "out of the range of UINT8",
    ),
    "a whole number too small": (
        PHOTOS,
        asked(IMAGE | {"data": [-1] * 3072}),
        "out of the range of UINT8",
    ),
    "101 levels": (SIGNALS, text(nested(100)), "nested deeper than 100"),
    "a thousand levels": (SIGNALS, text(nested(1000)), "nested deeper than 100"),
    "a million levels": (SIGNALS, text("[" * 399_000), "nested deeper than 100"),
    "levels behind texts": (
        SIGNALS,
        text('{"a": "\\"]]]", "b": ' + "[" * 101 + "]" * 101 + "}"),
        "nested deeper",
    ),
    "an unknown output": (
        SIGNALS,
        asked(X, outputs=[{"name": "z"}]),
        "has no output 'z'; it has y, and its layers",
    ),
    "a layer that is not": (
        SIGNALS,
        asked(X, outputs=[{"name": "layer:9"}]),
        "has no output 'layer:9'",
    ),
    "a layer that is no number": (
        SIGNALS,
        asked(X, outputs=[{"name": "layer:²"}]),
        "has no output",
    ),
    "a layer before the first": (
        SIGNALS,
        asked(X, outputs=[{"name": "layer:-1"}]),
        "has no output",
    ),
    "a bare number": (SIGNALS, asked(X, outputs=[{"name": "0"}]), "has no output '0'"),
    "an output without a name": (
        SIGNALS,
        asked(X, outputs=[{}]),
        "the name of an output must be text",
    ),
    "an output twice": (
        SIGNALS,
        asked(X, outputs=[{"name": "y"}] * 2),
        "output 'y' is named twice",
    ),
    "outputs that are none": (
        SIGNALS,
        asked(X, outputs="y"),
        "'outputs' must be a list of objects",
    ),
    "half a class": (
        SIGNALS,
        asked(X, outputs=[{"name": "y", "parameters": {"classification": 0.5}}]),
        "must be a whole number from 0",
    ),
    "bytes or not": (
        SIGNALS,
        asked(X, outputs=[{"name": "y", "parameters": {"binary_data": 1}}]),
        "true or false",
    ),
    "shared memory": (
        SIGNALS,
        asked(X | {"parameters": {"shared_memory_region": "r"}}),
        "shared memory",
    ),
    "a parameter that is a list": (
        SIGNALS,
        asked(X, parameters={"p": []}),
        "parameter 'p' of the request",
    ),
    "parameters that are none": (
        SIGNALS,
        asked(X, parameters=1),
        "'parameters' of the request must be",
    ),
    "a negative timeout": (
        SIGNALS,
        asked(X, parameters={"timeout": -1}),
        "'timeout' of the request",
    ),
    "an id that is no text": (SIGNALS, asked(X, id=42), "'id' must be text"),
    "too few bytes": (SIGNALS, with_size(24, bytes(20)), "input 'x', expecting 4 additional bytes"),
    "bytes of another shape": (SIGNALS, with_size(20, bytes(20)), "expecting 24 bytes, got 20"),
    "bytes of a vast shape": (SIGNALS, with_size(8, bytes(8), [2**31 - 1] * 3), "expecting"),
    "a negative count of bytes": (SIGNALS, with_size(-24, bytes(24)), "whole number from 0"),
    "leftover bytes": (
        SIGNALS,
        in_binary(SIGNAL, tail=b"12"),
        "unexpected additional input data: 2 bytes",
    ),
    "a document too long": (SIGNALS, in_binary(SIGNAL, length=1), "not JSON"),
    "a document too short": (SIGNALS, in_binary(SIGNAL, length=-1), "not JSON"),
    "a document beyond the body": (
        SIGNALS,
        in_binary(SIGNAL, length=1000),
        "Inference-Header-Content-Length is",
    ),
    "a negative length": (
        SIGNALS,
        {"content": b"{}", "headers": {HEAD: "-1"}},
        "must be a whole number",
    ),
    "a length in words": (
        SIGNALS,
        {"content": b"{}", "headers": {HEAD: "two"}},
        "must be a whole number",
    ),
    "a length beyond 64 bits": (
        SIGNALS,
        {"content": b"{}", "headers": {HEAD: "9" * 30}},
        "must be a whole number",
    ),
    "a truth of 2": (
        "/v2/models/bool/infer",
        with_size(1, b"\x02", [1, 1, 1], "BOOL"),
        "whose bytes are 0 or 1",
    ),
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
    "too many texts": (
        "/v2/models/bytes/infer",
        with_size(0, b"", [1, 1, 65_537], "BYTES"),
        "at most 65536",
    ),
    "a vast number of texts": (
        "/v2/models/bytes/infer",
        with_size(0, b"", [2**31 - 1] * 3, "BYTES"),
        "at most 65536",
    ),
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
    "a raw body of another size": (
        PHOTOS,
        {"content": b"\0" * 10, "headers": {HEAD: "0"}},
        "expecting 3072 bytes",
    ),
    "a raw body of parts": (
        SIGNALS,
        {"content": b"\0" * 9, "headers": {HEAD: "0"}},
        "expecting 8 bytes, got 9",
    ),
    "an empty raw body": (SIGNALS, {"content": b"", "headers": {HEAD: "0"}}, "must not be empty"),
    "a raw body of two open sizes": (
        "/v2/models/fp32/infer",
        {"content": b"", "headers": {HEAD: "0"}},
        "alone",
    ),
    "no picture": (
        PHOTOS,
        asked({"name": "image", "datatype": "BYTES", "shape": [1], "data": ["a"]}),
        "not a picture",
    ),
    "no pictures at all": (
        PHOTOS,
        asked({"name": "image", "datatype": "BYTES", "shape": [0], "data": []}),
        "1 to 128",
    ),
    "pictures in a square": (
        PHOTOS,
        asked({"name": "image", "datatype": "BYTES", "shape": [2, 2], "data": ["a"] * 4}),
        "shape [n] or [n, 1]",
    ),
    "half a picture": (
        PHOTOS,
        {"content": b"\xff\xd8\xff" + bytes(99), "headers": {HEAD: "0"}},
        "picture",
    ),
    "no gzip": (
        SIGNALS,
        {"content": b"{}", "headers": {"Content-Encoding": "gzip"}},
        "Content-Encoding says",
    ),
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
