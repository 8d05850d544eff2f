"""How cost grows: with connections, pictures in a request, bytes in a picture, and layers that are
asked for.

Each point is measured once: what is looked for is the shape of a curve, and the point where it
bends.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anatomy.layers.layers import layers
from benchmarks.serving import pictures
from benchmarks.serving.bare import Bare
from benchmarks.serving.figures import significant
from benchmarks.serving.inspection import CONNECTIONS, of_layer, post
from benchmarks.serving.load import check, under_load
from benchmarks.serving.prediction import MICRO, Options
from benchmarks.serving.server import Server
from benchmarks.serving.subjects import Subject, predicts
from benchmarks.serving.wire import Answer, Call

Array = np.ndarray[Any, Any]
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SIZES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000, 19_900_000)
MOST_CONNECTIONS = 256
FEW = 4
BOUNDARY = "fovea-benchmark"
# Refusals would hide what waiting costs.
ROOM = {"FOVEA_QUEUE_SIZE": "1024", "FOVEA_MAX_FILES": "64"}


@dataclass(frozen=True)
class Point:
    """A load: how much of what grows, the calls, the connections, and how many items a request
    holds.
    """

    size: int
    calls: Sequence[Call]
    connections: int
    items: int = 1


def measured(small: Subject, photo: Subject, options: Options) -> dict[str, list[dict[str, float]]]:
    """A list of points for each thing that grows."""
    wide = Options(options.rounds, options.seconds, options.folder, ROOM | options.settings)
    curves: dict[str, list[dict[str, float]]] = {}
    with wide.serve(small) as server:
        for name, points in (
            ("connections", by_connections(small)),
            ("pictures in a request", by_batch(small)),
            ("bytes of a picture", by_bytes(small)),
        ):
            curves[name] = [_point(server, point, options.seconds) for point in points]
    with wide.serve(photo) as server:
        ids = post(server, photo)
        curves["layers asked for"] = [
            _point(server, point, options.seconds) for point in by_layers(photo, ids)
        ]
    return curves


def by_connections(subject: Subject) -> Iterator[Point]:
    """1 to 256 connections, doubled each time."""
    calls = subject.predictions()
    connections = 1
    while connections <= MOST_CONNECTIONS:
        yield Point(connections, calls, connections)
        connections *= 2


def by_batch(subject: Subject) -> Iterator[Point]:
    """Several pictures in one form."""
    singles = subject.predictions()
    for count in BATCHES:
        chosen = [singles[index % len(singles)] for index in range(count)]
        yield Point(count, [form(chosen)], CONNECTIONS, count)


def by_bytes(subject: Subject) -> Iterator[Point]:
    """Pictures of noise, from a thousand bytes to nearly the largest that is taken."""
    bare = Bare(subject.proto)
    for size in SIZES:
        body = pictures.noise(size)
        scores = bare(pictures.plain(body, subject.spec)[None])[0]
        yield Point(len(body), [Call("/predict", predicts(scores), body, "image/png")], FEW)


def by_layers(subject: Subject, ids: Sequence[str]) -> Iterator[Point]:
    """The activations of one layer, of two, of four, … of all, asked for in turn."""
    every = layers(subject.file.graph)
    counts = [1 << power for power in range(len(every).bit_length()) if 1 << power < len(every)]
    for count in [*counts, len(every)]:
        # Spread over the whole depth, so that the points differ in number and not in depth.
        first = len(every) // 2 if count == 1 else 0
        indices = np.linspace(first, len(every) - 1, count).astype(int)
        calls = [of_layer(subject, every[index], ids[:1])[1][0] for index in indices]
        yield Point(count, calls, CONNECTIONS)


def form(singles: Sequence[Call]) -> Call:
    """One request with the pictures of several."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}"\r\n'
        f"Content-Type: {single.media_type}\r\n\r\n".encode()
        + single.body
        + b"\r\n"
        for number, single in enumerate(singles)
    ]
    body = b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
    return Call(
        "/predict",
        _all_right([single.wrong for single in singles]),
        body,
        f"multipart/form-data; boundary={BOUNDARY}",
    )


def _all_right(checks: Sequence[Callable[[Answer], str]]) -> Callable[[Answer], str]:
    """What tells whether all results of an answer are right."""

    def wrong(answer: Answer) -> str:
        if answer.status != 200 or len(checks) == 1:
            return checks[0](answer)
        results = json.loads(answer.body)["results"]
        if len(results) != len(checks):
            return f"{len(results)} results, expected {len(checks)}"
        mistakes = (
            check(Answer(200, answer.headers, json.dumps(result).encode()))
            for check, result in zip(checks, results, strict=True)
        )
        return next(filter(None, mistakes), "")

    return wrong


def _point(server: Server, point: Point, seconds: float) -> dict[str, float]:
    check(server, point.calls)
    load = under_load(server, point.calls, point.connections, seconds)
    figures = {
        "cpu_us": load.cpu * MICRO / point.items,
        "per_second": load.per_second * point.items,
        "p50_ms": load.p50,
        "p90_ms": load.p90,
        "p99_ms": load.p99,
    }
    return {
        "size": point.size,
        **{name: significant(value) for name, value in figures.items()},
        "errors": load.errors,
    }
