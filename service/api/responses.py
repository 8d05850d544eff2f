"""Answers as bytes: JSON without NaN or Infinity, and .npy."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

NPY = "application/x-npy"
PNG = "image/png"
JSON = "application/json"


def as_json(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response, see `json_bytes`."""
    return Response(
        json_bytes(body), media_type=JSON, headers=None if headers is None else dict(headers)
    )


def json_bytes(body: Any) -> bytes:
    """JSON; what is not finite is null, and an array nested lists of exactly its numbers."""
    try:
        return orjson.dumps(body, _listed, orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Text that is no UTF-8, as names in a stranger's file may be.
        return json.dumps(_plain(body), ensure_ascii=False, allow_nan=False).encode(
            "utf-8", "replace"
        )


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "biu" else value.astype(np.float64).tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _plain(value: Any) -> Any:
    """The value as Python's own JSON knows it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return _plain(_listed(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value


class NpyResponse(Response):
    """An array as .npy: its head, and as the body the array's own memory, copied nowhere on its way
    to the socket.
    """

    media_type = NPY

    def __init__(self, array: np.ndarray, headers: Mapping[str, str]) -> None:
        ordered = np.asarray(array, order="C")
        described = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            described, np.lib.format.header_data_from_array_1_0(ordered)
        )
        self.head = described.getvalue()
        length = len(self.head) + ordered.nbytes
        super().__init__(
            ordered.reshape(-1).view(np.uint8).data,
            headers={"content-length": str(length), **headers},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": self.head, "more_body": True})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def as_npy(array: np.ndarray, headers: Mapping[str, str] | None = None) -> NpyResponse:
    """A response that numpy.load reads anywhere; types that numpy itself has not (bfloat16) become
    float32.
    """
    return NpyResponse(
        array if array.dtype.isbuiltin == 1 else array.astype(np.float32), headers or {}
    )


def as_png(data: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """A PNG response."""
    return Response(data, media_type=PNG, headers=dict(headers or {}))
