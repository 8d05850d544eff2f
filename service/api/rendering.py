"""Answers as bytes: JSON without NaN or Infinity, and .npy."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fastapi.responses import Response

NPY = "application/x-npy"
PNG = "image/png"
JSON = "application/json"
_NULL = np.array(None, object)


def plain(value: Any) -> Any:
    """The value as JSON knows it: arrays as nested lists, numbers that are not finite as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return nested(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(each) for each in value]
    return value


def nested(array: np.ndarray) -> Any:
    """Nested lists, None for what is not finite; exactly the array's numbers."""
    if array.dtype.kind not in "biu":
        wide = array.astype(np.float64)
        finite = np.isfinite(wide)
        return wide.tolist() if finite.all() else np.where(finite, wide.astype(object), _NULL).tolist()
    return array.tolist()


def as_json(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response; only where something is not finite is the body gone through in Python."""
    try:
        text = _dumped(body)
    except ValueError:
        text = _dumped(plain(body))
    return Response(text.encode("utf-8", "replace"), media_type=JSON, headers=dict(headers or {}))


def _dumped(body: Any) -> str:
    return json.dumps(body, default=nested, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def as_npy(array: np.ndarray, headers: Mapping[str, str] | None = None) -> Response:
    """A response that numpy.load reads anywhere; types that numpy itself has not (bfloat16) become float32."""
    stream = io.BytesIO()
    known = array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
    np.save(stream, np.ascontiguousarray(known), allow_pickle=False)
    return Response(stream.getvalue(), media_type=NPY, headers=dict(headers or {}))


def as_png(data: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """A PNG response."""
    return Response(data, media_type=PNG, headers=dict(headers or {}))
