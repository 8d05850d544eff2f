"""Requests of the Open Inference Protocol, written by hand as its specification says, and its
answers read so.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from anatomy import model_file
from tests.service import networks

Array = np.ndarray[Any, Any]

HEAD = "Inference-Header-Content-Length"
DTYPES: Mapping[str, str] = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
ONNX_TYPES = dict(
    zip(
        DTYPES,
        "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float double".split(),
        strict=True,
    )
)
SAME = """<ir_version: 8, opset_import: ["" : 18]>
same (TYPE[N,C,W] x) => (TYPE[N,C,W] y, float[N,C,M] p) {
  y = Identity(x)
  f = Cast<to=1>(x)
  p = MaxPool<kernel_shape=[1]>(f)
}"""
TEXTS = """<ir_version: 9, opset_import: ["" : 19]>
texts (string[N,1,W] x) => (string[N,1,W] y, float[N,1,M] p) {
  y = Identity(x)
  same = Equal(x, x)
  f = Cast<to=1>(same)
  p = MaxPool<kernel_shape=[1]>(f)
}"""


def fill_with_types(folder: Path) -> Path:
    """A network for each datatype, called as it, whose output `y` is its input `x`."""
    for datatype, name in ONNX_TYPES.items():
        model = networks.parsed(SAME.replace("TYPE", name))
        model_file.write(model, folder / datatype.lower() / "1/model.onnx", None)
    model_file.write(networks.parsed(TEXTS), folder / "bytes/1/model.onnx", None)
    return folder


def tensor(name: str, datatype: str, array: Array, **parameters: Any) -> dict[str, Any]:
    """An input in JSON."""
    more = {"parameters": parameters} if parameters else {}
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(array.shape),
        "data": array.reshape(-1).tolist(),
        **more,
    }


def in_bytes(array: Array) -> bytes:
    """A tensor's bytes: little-endian and row-major, texts behind their lengths."""
    if array.dtype.kind == "O":
        return b"".join(struct.pack("<I", len(item)) + item for item in array.reshape(-1))
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()


def binary(
    inputs: Sequence[tuple[str, str, Array]], tail: bytes = b"", **more: Any
) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a request whose tensors follow the document."""
    blobs = [in_bytes(array) for _, _, array in inputs]
    listed = [
        {
            "name": name,
            "datatype": datatype,
            "shape": list(array.shape),
            "parameters": {"binary_data_size": len(blob)},
        }
        for (name, datatype, array), blob in zip(inputs, blobs, strict=True)
    ]
    head = json.dumps({"inputs": listed, **more}).encode()
    return b"".join((head, *blobs, tail)), {HEAD: str(len(head))}


def outputs(response: httpx.Response) -> dict[str, Array]:
    """The tensors of an answer by name, in JSON or behind it; texts as bytes."""
    assert response.status_code == 200, response.text
    length = response.headers.get(HEAD)
    head, rest = (response.content, b"") if length is None else _cut(response.content, int(length))
    values: dict[str, Array] = {}
    for output in json.loads(head)["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values[output["name"]] = _from_json(output)
        else:
            blob, rest = _cut(rest, size)
            values[output["name"]] = _from_bytes(output, blob)
    assert rest == b""
    return values


def _cut(data: bytes, length: int) -> tuple[bytes, bytes]:
    return data[:length], data[length:]


def _from_json(output: Mapping[str, Any]) -> Array:
    if output["datatype"] == "BYTES":
        return np.array([item.encode() for item in output["data"]], object).reshape(output["shape"])
    return np.array(output["data"], DTYPES[output["datatype"]]).reshape(output["shape"])


def _from_bytes(output: Mapping[str, Any], blob: bytes) -> Array:
    if output["datatype"] != "BYTES":
        return np.frombuffer(blob, DTYPES[output["datatype"]]).reshape(output["shape"])
    values = []
    while blob:
        (length,) = struct.unpack_from("<I", blob)
        values.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return np.array(values, object).reshape(output["shape"])
