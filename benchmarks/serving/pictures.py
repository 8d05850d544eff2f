"""What is posted: drawn strokes of 28 x 28 pixels as PNG, photographs of 640 x 480 as JPEG; the
same in every run.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from anatomy.cards.card import ImageInput

Array = np.ndarray[Any, Any]
SAMPLES = Path(__file__).parents[2] / "samples"
PHOTOGRAPHS = ("astronaut", "cat", "espresso", "rocket")
PHOTOGRAPH = (640, 480)
PHOTOGRAPH_BYTES = 82_000
STROKES = 16


def strokes(count: int = STROKES, side: int = 28) -> list[bytes]:
    """White strokes on black, as grey PNG files."""
    random = np.random.default_rng(0)
    return [_stroke(random, side) for _ in range(count)]


def photographs() -> list[bytes]:
    """The samples in colour as JPEG files of about 82 KB each, with the grain that enlarging took
    from them.
    """
    random = np.random.default_rng(0)
    chosen = []
    for name in PHOTOGRAPHS:
        with Image.open(SAMPLES / f"{name}.jpg") as sample:
            fitted = ImageOps.fit(sample.convert("RGB"), PHOTOGRAPH, Image.Resampling.LANCZOS)
        grain = random.normal(0, 4, (*fitted.size[::-1], 1))
        pixels = np.clip(np.asarray(fitted) + grain, 0, 255).astype(np.uint8)
        files = (jpeg(pixels, quality) for quality in range(40, 96, 2))
        chosen.append(min(files, key=lambda file: abs(len(file) - PHOTOGRAPH_BYTES)))
    return chosen


def noise(size: int) -> bytes:
    """A PNG file of about so many bytes: noise cannot be compressed."""
    side = max(1, int((max(size - 100, 3) / 3) ** 0.5))
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "PNG", compress_level=0)
        return file.getvalue()


def jpeg(pixels: Array, quality: int) -> bytes:
    """Pixels [H, W, 3] as a JPEG file."""
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return file.getvalue()


def media_type(body: bytes) -> str:
    """Of a PNG or a JPEG file."""
    return "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"


def plain(body: bytes, spec: ImageInput) -> Array:
    """The picture as the network takes it, uint8 [H, W, C], by Pillow alone.

    Of the rules of a card it knows `centre_crop`; with any other the whole picture is resized.
    """
    with Image.open(io.BytesIO(body)) as opened:
        picture = opened.convert(spec.colour)
    height, width = spec.size
    box = (
        _crop(picture.size, (width, height), spec.resize.fraction)
        if spec.resize.rule == "centre_crop"
        else None
    )
    seen = picture.resize((width, height), Image.Resampling[spec.resize.interpolation.upper()], box)
    return np.asarray(seen).reshape(height, width, spec.channels)


def _crop(
    picture: tuple[int, int], target: tuple[int, int], fraction: float
) -> tuple[float, float, float, float]:
    """The central box of the target's aspect: left, top, right, bottom."""
    scale = min(picture[0] / target[0], picture[1] / target[1]) * fraction
    width, height = target[0] * scale, target[1] * scale
    left, top = (picture[0] - width) / 2, (picture[1] - height) / 2
    return left, top, left + width, top + height


def _stroke(random: np.random.Generator, side: int) -> bytes:
    """One bent line, drawn large and made small, so that its edges are soft."""
    sheet = Image.new("L", (side * 4, side * 4))
    points = [tuple(point) for point in random.uniform(side * 0.8, side * 3.2, (5, 2)).tolist()]
    ImageDraw.Draw(sheet).line(points, fill=255, width=side // 3, joint="curve")
    with io.BytesIO() as file:
        sheet.resize((side, side), Image.Resampling.BOX).save(file, "PNG")
        return file.getvalue()
