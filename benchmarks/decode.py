"""Processor time to make a posted picture ready for its network: `decode` and `prepare`.

    python -m benchmarks.decode [--rounds 200] [--against FOLDER] [--out FILE]

Pictures are made here, so that the figures need no files. With --against, the same is measured in
turns with another checkout of this project, and `ratio` is this one's median over that one's. The
last part says how much of the work two threads do side by side: 2 is all of it, 1 is none, as when
a decoder keeps Python's lock.
"""

import argparse
import importlib
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from benchmarks.train_step import machine

ROOT = Path(__file__).parents[1]
WARM_UP = 5
Array = np.ndarray[Any, Any]
Call = Callable[[], object]

PHOTO = {
    "size": [224, 224],
    "resize": {"rule": "centre_crop", "fraction": 0.875, "interpolation": "bicubic"},
}
SAME = {"size": [28, 28], "colour": "L", "resize": {"rule": "stretch"}}
DIGIT = {
    "size": [28, 28],
    "colour": "L",
    "resize": {"rule": "digit", "box": 20},
    "polarity": "auto",
}


def main() -> None:
    """Measure and print; with --out also write the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measured(options.rounds, options.against), indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def measured(rounds: int, against: Path | None) -> dict[str, Any]:
    """Median microseconds for each case, here and there."""
    load_before = round(os.getloadavg()[0], 1)
    folders = {"here": ROOT} | ({"there": against.resolve()} if against else {})
    calls = {where: calls_of(folder) for where, folder in folders.items()}
    return {
        "machine": machine(),
        "processors": os.cpu_count(),
        # Above the number of processors, the part on threads says how busy the machine was.
        "load_before": load_before,
        "pillow": PIL.__version__,
        "cases": {
            case: compared({where: calls[where][case] for where in calls}, rounds)
            for case in calls["here"]
        },
        "two_threads": {
            case: round(side_by_side(call, rounds), 2) for case, call in calls["here"].items()
        },
    }


def calls_of(folder: Path) -> dict[str, Call]:
    """A call for each case, of the code in this folder; other imports stay as they are."""
    ours = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.split(".")[0] in ("anatomy", "service")
    }
    sys.path.insert(0, str(folder))
    try:
        # It imports both functions, in this checkout and in earlier ones.
        inputs = importlib.import_module("service.inputs.preprocess")
        card = importlib.import_module("anatomy.cards.card")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in ("anatomy", "service")]:
            del sys.modules[name]
        sys.modules.update(ours)

    def call(data: bytes, spec: Mapping[str, Any]) -> Call:
        image_input = card.ImageInput.from_dict({"kind": "image", **spec})
        return lambda: inputs.prepare(inputs.decode(data, 10**8), image_input)

    return {name: call(data, spec) for name, (data, spec) in cases().items()}


def cases() -> dict[str, tuple[bytes, Mapping[str, Any]]]:
    """Pictures as they are posted, each with how a card wants it."""
    photo, small, sheet = colours(480, 640), digit(28, 1), digit(1000, 4)
    return {
        "JPEG 640 x 480, centre crop": (encoded(photo, "JPEG", quality=82), PHOTO),
        "JPEG 640 x 480, progressive": (
            encoded(photo, "JPEG", quality=82, progressive=True),
            PHOTO,
        ),
        "PNG 28 x 28, as it is": (encoded(small, "PNG"), SAME),
        "PNG 28 x 28, digit": (encoded(small, "PNG"), DIGIT),
        "JPEG 1000 x 1000, digit": (
            encoded(np.repeat(sheet[:, :, None], 3, axis=2), "JPEG", quality=85),
            DIGIT,
        ),
    }


def colours(height: int, width: int) -> Array:
    """Soft patches of colour with a camera's noise, [height, width, 3]."""
    random = np.random.default_rng(0)
    patches = random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC))
    return levels(soft + random.normal(0, 8, soft.shape))


def digit(side: int, noise: float) -> Array:
    """A nought of dark ink on light paper with a shade, [side, side]."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    ink = np.clip(1.5 - np.abs(np.hypot(rows, columns * 1.3) - 0.28) * 40, 0, 1)
    return levels(
        200 - 140 * ink + 20 * columns + np.random.default_rng(0).normal(0, noise, (side, side))
    )


def levels(values: Array) -> Array:
    """As grey levels or colours, uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def encoded(pixels: Array, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def compared(calls: Mapping[str, Call], rounds: int) -> dict[str, float]:
    """Median microseconds of processor time of each call, taken in turns, and the ratio of the
    first to the second.
    """
    times: dict[str, list[float]] = {where: [] for where in calls}
    for number in range(WARM_UP + rounds):
        for where, call in calls.items():
            start = time.process_time()
            call()
            if number >= WARM_UP:
                times[where].append((time.process_time() - start) * 1e6)
    medians = {where: statistics.median(values) for where, values in times.items()}
    figures = {f"{where}_us": round(value, 1) for where, value in medians.items()}
    here, *there = medians.values()
    return figures | ({"ratio": round(here / there[0], 3)} if there else {})


def side_by_side(call: Call, rounds: int) -> float:
    """How many times as fast two threads do it as one."""

    def many(_: int) -> None:
        for _ in range(rounds):
            call()

    with ThreadPoolExecutor(2) as pool:
        start = time.perf_counter()
        many(0)
        many(1)
        middle = time.perf_counter()
        list(pool.map(many, range(2)))
        return (middle - start) / (time.perf_counter() - middle)


if __name__ == "__main__":
    main()
