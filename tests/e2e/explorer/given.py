"""One input for each model, posted before a page asks for it."""

import io

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from tests.e2e.process import ROOT


def seven() -> bytes:
    """A seven, drawn in ink on paper, as a PNG."""
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line([(60, 40), (140, 40), (80, 160)], fill=0, width=16)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    """The bytes of an `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _given(model: str) -> tuple[bytes, str]:
    if model == "imagenet":
        return (ROOT / "samples/cat.jpg").read_bytes(), "image/jpeg"
    if model == "digits":
        return seven(), "image/png"
    random = np.random.default_rng(7)
    shape = (1, 40) if model == "digits1d" else (1, 16, 16, 16)
    return npy(random.random(shape, dtype=np.float32)), "application/x-npy"


def post(page: Page, model: str) -> str:
    """The id of an input that fits this model, kept by the service from now on."""
    data, media_type = _given(model)
    answer = page.request.post(
        f"/predict?model={model}", data=data, headers={"Content-Type": media_type}
    )
    return str(answer.json()["input_id"])


def activations(page: Page, model: str, layer: int, input_id: str) -> np.ndarray:
    """A layer's activations as the API gives them."""
    address = f"/layers/{layer}/activations?model={model}&input_id={input_id}"
    body = page.request.get(address, headers={"Accept": "application/x-npy"}).body()
    return np.asarray(np.load(io.BytesIO(body)))
