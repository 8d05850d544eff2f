"""Pictures of every kind that are made for the tests, and how they arrive."""

import io
from typing import Any

import numpy as np
from PIL import Image

from service.inputs.decode import decode

LIMIT = 50_000_000


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "WebP":
        options = {"lossless": True, "exact": True, **options}
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(decode(data, LIMIT))


def colourful(height: int = 5, width: int = 7) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(height: int = 5, width: int = 7) -> np.ndarray[Any, Any]:
    return colourful(height, width)[:, :, 0].copy()
