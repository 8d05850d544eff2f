"""Draws what four units of a running service's network see in a photo, from shallow to deep.

python samples/what_a_unit_sees.py samples/cat.jpg cat.png [ADDRESS]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from service.client import Client, Layer

LAYERS = 4
PHOTO, TILE, GAP, LINE = 420, 200, 14, 24
COLOURS = ("#e6194b", "#f58231", "#3cb44b", "#4363d8")
PAPER, INK = "white", "black"


def main(photo: Path, target: Path, address: str = "http://127.0.0.1:8000") -> None:
    """Write the drawing to `target`."""
    picture = Image.open(photo).convert("RGB")
    marked = picture.copy()
    page = Image.new(
        "RGB", (PHOTO + (TILE + GAP) * LAYERS + 2 * GAP, 2 * (TILE + LINE + GAP)), PAPER
    )
    with Client(address) as fovea:
        prediction = fovea.predict(photo)
        for column, (layer, colour) in enumerate(zip(chosen(fovea.layers()), COLOURS, strict=True)):
            maps = fovea.activations(layer.index, input_id=prediction.input_id)
            channel, position = most_selective(maps)
            field = fovea.receptive_field(layer.index, position, input_id=prediction.input_id)
            if field.picture is None:
                raise SystemExit(f"{layer.name} says nothing of the picture's pixels")
            (top, bottom), (left, right) = field.picture
            ImageDraw.Draw(marked).rectangle(
                (left, top, right - 1, bottom - 1), outline=colour, width=3
            )
            x, y = PHOTO + 2 * GAP + column * (TILE + GAP), TILE + LINE + GAP
            seen = picture.crop((left, top, right, bottom))
            caption = f"unit {position[0]},{position[1]} sees {right - left} x {bottom - top} px"
            paste(
                page,
                (x, 0),
                as_picture(maps[channel]),
                TILE,
                colour,
                f"{layer.name}, channel {channel}",
            )
            paste(page, (x, y), seen, TILE, colour, caption)
    best = prediction.predictions[0]
    paste(page, (GAP, 0), marked, PHOTO, INK, f"{best.label} {best.probability:.0%}")
    page.save(target)


def chosen(layers: tuple[Layer, ...]) -> list[Layer]:
    """Convolutions at even depths, the first among them."""
    convolutions = [
        layer
        for layer in layers
        if layer.kind == "convolution" and (layer.output_shape[-1] or 0) >= 14
    ]
    return [convolutions[int(i)] for i in np.linspace(0, len(convolutions) - 1, LAYERS)]


def most_selective(maps: np.ndarray) -> tuple[int, tuple[int, int]]:
    """The channel whose strongest unit stands out most, and that unit."""
    spread = maps.std(axis=(1, 2))
    contrast = (maps.max(axis=(1, 2)) - maps.mean(axis=(1, 2))) / np.where(
        spread > 0, spread, np.inf
    )
    channel = int(contrast.argmax())
    row, column = np.unravel_index(maps[channel].argmax(), maps[channel].shape)
    return channel, (int(row), int(column))


def as_picture(values: np.ndarray) -> Image.Image:
    """A map in grey, its least value black and its largest white."""
    span = float(np.ptp(values)) or 1.0
    return Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8)).convert("RGB")


def paste(
    page: Image.Image,
    corner: tuple[int, int],
    picture: Image.Image,
    longest: int,
    colour: str,
    caption: str,
) -> None:
    """A picture, enlarged or reduced to `longest` pixels, with a frame and a caption above."""
    x, y = corner[0], corner[1] + LINE
    scale = longest / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    page.paste(
        picture.resize(
            (width, height), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
        ),
        (x, y),
    )
    draw = ImageDraw.Draw(page)
    draw.rectangle((x - 2, y - 2, x + width + 1, y + height + 1), outline=colour, width=2)
    draw.text((x, corner[1] + 4), caption, fill=colour, font_size=13)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
