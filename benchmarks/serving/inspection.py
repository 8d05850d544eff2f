"""The scenario of activations: whole layers of pictures posted before, against the bare part of the
network.
"""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anatomy.graphs.subgraph import extract
from anatomy.layers.layers import Layer, layers
from benchmarks.serving.bare import Bare, cost
from benchmarks.serving.figures import Figures, Rounds
from benchmarks.serving.load import check, under_load
from benchmarks.serving.prediction import MICRO, Options, add, memory
from benchmarks.serving.server import Server, ServerError
from benchmarks.serving.subjects import TOLERANCE, Subject
from benchmarks.serving.wire import Answer, Call, Connection

Array = np.ndarray[Any, Any]
NPY = "application/x-npy"
CONNECTIONS = 16


def measured(subject: Subject, options: Options) -> Figures:
    """The first, the middle and the last layer as arrays: costs, latencies, memory."""
    rounds = Rounds()
    complaints: list[str] = []
    with options.serve(subject) as server:
        ids = post(server, subject)
        inspected = {
            name: (layer, *of_layer(subject, layer, ids)) for name, layer in chosen(subject).items()
        }
        for name, (_, bare, calls) in inspected.items():
            check(server, calls)
            for _ in range(options.rounds):
                complaints += _round(rounds, name, server, subject, bare, calls, options.seconds)
            check(server, calls)
        memory(rounds, server, "loaded")
    about = {
        name: {"name": layer.name, "output_shape": layer.output_shape}
        for name, (layer, _, _) in inspected.items()
    }
    return {**rounds.figures(), "layers": about, "complaints": complaints}


def chosen(subject: Subject) -> dict[str, Layer]:
    """The first, the middle and the last layer."""
    every = layers(subject.file.graph)
    return {"first": every[0], "middle": every[len(every) // 2], "last": every[-1]}


def post(server: Server, subject: Subject) -> list[str]:
    """Post each picture, for its id."""
    with Connection(server.address) as connection:
        answers = [connection.ask(call.bytes()) for call in subject.predictions()]
    return [str(json.loads(answer.body)["input_id"]) for answer in answers]


def of_layer(subject: Subject, layer: Layer, ids: Sequence[str]) -> tuple[Bare, list[Call]]:
    """The bare part of the network up to a layer, and the calls for its activations."""
    bare = Bare(extract(subject.proto, [layer.tensor]))
    calls = [
        Call(
            f"/layers/{layer.index}/activations?input_id={input_id}",
            shows(bare(tensor[None])[0]),
            accept=NPY,
        )
        for input_id, tensor in zip(ids, subject.tensors[: len(ids)], strict=True)
    ]
    return bare, calls


def shows(expected: Array) -> Callable[[Answer], str]:
    """What tells whether an answer is this array; values may differ by the tolerance, relative to
    the largest.
    """
    largest = max(float(np.abs(expected).max()), 1.0)

    def wrong(answer: Answer) -> str:
        if answer.status != 200:
            return f"{answer.status} {answer.body[:300].decode(errors='replace')}"
        array = np.load(io.BytesIO(answer.body))
        if array.shape != expected.shape:
            return f"an array of shape {array.shape}, expected {expected.shape}"
        apart = float(np.abs(array - expected).max()) / largest
        return "" if apart <= TOLERANCE else f"values differ by {apart} of the largest"

    return wrong


def lists(count: int) -> Callable[[Answer], str]:
    """What tells whether an answer lists so many layers."""

    def wrong(answer: Answer) -> str:
        listed = len(json.loads(answer.body)["layers"]) if answer.status == 200 else answer.status
        return "" if listed == count else f"{listed}, expected {count} layers"

    return wrong


def mixed(subject: Subject, options: Options) -> Figures:
    """Of ten requests seven predictions, two middle layers, one list of layers; beside the bare
    runs for the same.
    """
    rounds = Rounds()
    complaints: list[str] = []
    with options.serve(subject) as server:
        layer = chosen(subject)["middle"]
        part, activations = of_layer(subject, layer, post(server, subject))
        calls = _mixture(
            subject.predictions(),
            activations,
            Call("/layers", lists(len(layers(subject.file.graph)))),
        )
        check(server, calls)
        network = Bare(subject.proto)
        one = subject.tensors[:1]
        for _ in range(options.rounds):
            predicted = cost(lambda: network(one), 1, options.seconds / 4).cpu
            shown = cost(lambda: part(one), 1, options.seconds / 4).cpu
            bare_us = (7 * predicted + 2 * shown) / 10 * MICRO
            rounds.add("bare/cpu_us", bare_us)
            load = under_load(server, calls, CONNECTIONS, options.seconds)
            add(rounds, f"server/{CONNECTIONS}", load, bare_us)
            complaints += load.complaints
        check(server, calls)
        memory(rounds, server, "loaded")
    return {**rounds.figures(), "complaints": complaints}


def _mixture(predictions: Sequence[Call], activations: Sequence[Call], listing: Call) -> list[Call]:
    """The ten kinds of calls for each picture."""
    if len(predictions) != len(activations):
        raise ServerError(f"{len(predictions)} pictures were posted, {len(activations)} were kept")
    mixture = []
    for predict, show in zip(predictions, activations, strict=True):
        mixture += [
            predict,
            predict,
            predict,
            show,
            predict,
            predict,
            listing,
            predict,
            show,
            predict,
        ]
    return mixture


def _round(
    rounds: Rounds,
    name: str,
    server: Server,
    subject: Subject,
    bare: Bare,
    calls: Sequence[Call],
    seconds: float,
) -> tuple[str, ...]:
    bare_us = cost(lambda: bare(subject.tensors[:1]), 1, seconds / 4).cpu * MICRO
    rounds.add(f"{name}/bare/cpu_us", bare_us)
    load = under_load(server, calls, CONNECTIONS, seconds)
    add(rounds, f"{name}/server/{CONNECTIONS}", load, bare_us)
    return load.complaints
