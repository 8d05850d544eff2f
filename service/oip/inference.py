"""An inference: what was asked is checked against the model, runs with what else waits, and comes
back as arrays.

A single item of a model with an open batch axis shares its run with others of the same shape that
want the same; a caller's own batch is a run of its own. Nothing here knows HTTP.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from service.errors import DeadlinePassed, FoveaError, Impossible, InvalidRequest, TooLarge
from service.inputs.decode import FORMATS
from service.inputs.preprocess import Picture, preprocess
from service.oip import classification, datatypes, tensors
from service.oip.datatypes import BYTES, Array
from service.oip.request import InferRequest, InputTensor, RequestedOutput
from service.oip.response import Output
from service.oip.tensors import TensorMetadata
from service.repository.model import Model
from service.scheduling.batcher import Batcher
from service.scheduling.work_item import LATE
from service.telemetry.statistics import Statistics

LARGEST_ANSWER = 1 << 27
"""Bytes of all outputs of a run: layers of a batch are many times as large as what was posted."""

AT_ONCE_BYTES = 16_384
"""An answer that takes no longer, of an input no larger, comes from the event loop itself."""


@dataclass(frozen=True, eq=False)
class InferPlan:
    """A request that the model takes: its input, and the outputs wanted with the tensors that they
    are.
    """

    model: Model
    given: InputTensor
    outputs: Sequence[tuple[RequestedOutput, TensorMetadata]]

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors to compute, each once."""
        return tuple(dict.fromkeys(tensor.tensor for _, tensor in self.outputs))

    @property
    def count(self) -> int:
        """Items in it."""
        return len(self.given.elements) or (self.given.shape[0] if self.given.shape else 1)


@dataclass(frozen=True, eq=False)
class InferItem:
    """One request's part of a run; times are points of `time.monotonic()`."""

    given: InputTensor
    deadline: float
    came: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, eq=False)
class _Ready:
    place: int
    piece: InferItem
    array: Array
    decode: float


Tensors = Mapping[str, Array]


def planned(model: Model, asked: InferRequest) -> InferPlan:
    """What is to be computed; raises InvalidRequest if the model does not take it or has no such
    output.
    """
    name = model.file.input
    if len(asked.inputs) != 1 or asked.inputs[0].name != name:
        got = ", ".join(f"'{each.name[:80]}'" for each in asked.inputs[:8]) or "none"
        raise InvalidRequest(f"model '{model.name}' takes one input, '{name}'; got {got}")
    _check_input(model, asked.inputs[0])
    wanted = asked.outputs or [RequestedOutput(each, asked.binary) for each in model.lean.outputs]
    return InferPlan(
        model, asked.inputs[0], [(each, tensors.found(model, each.name)) for each in wanted]
    )


def raw(model: Model, body: bytes) -> InputTensor:
    """The one input, of which a body without a document is the bytes: a picture, or the tensor of a
    batch of one.
    """
    own = tensors.input_of(model)
    if tensors.takes_pictures(model) and body.startswith(
        tuple(each for kind in FORMATS for each in kind.signatures)
    ):
        return InputTensor(own.name, BYTES, (1,), elements=[body])
    sizes = [1, *own.sizes[1:]] if model.batches else own.sizes
    if own.datatype not in datatypes.TYPES or own.shape is None or sizes.count(-1) > 1:
        raise InvalidRequest(
            f"input '{own.name}' has a shape that bytes alone do not tell; send a document before "
            "them"
        )
    item = math.prod(size for size in sizes if size >= 0) * datatypes.TYPES[own.datatype].itemsize
    sizes = [len(body) // max(item, 1) if size < 0 else size for size in sizes]
    array = datatypes.from_bytes(own.name, own.datatype, sizes, memoryview(body))
    return InputTensor(own.name, own.datatype, tuple(sizes), array)


async def ask(
    plan: InferPlan, batcher: Batcher, statistics: Statistics, max_pixels: int, deadline: float
) -> list[Output]:
    """The outputs of a plan; raises what the queue, the decoder and a run raise."""
    model, given = plan.model, plan.given
    alone = plan.count > 1 or not model.batches or not tensors.batched(model, plan.tensors)
    shape = None if given.array is None else given.array.shape[1:]
    key = None if alone or not model.shares else (model, "v2", shape, plan.tensors)
    run = partial(_run, model, plan.tensors, statistics, max_pixels)
    done = await batcher.ask(
        run,
        InferItem(given, deadline),
        deadline,
        key,
        owner=model,
        here=not alone and _at_once(plan),
    )
    if set(plan.tensors).isdisjoint(model.lean.outputs):
        statistics.waited(done.waited)
    return [_output(model, wanted, done.result[tensor.tensor]) for wanted, tensor in plan.outputs]


def _check_input(model: Model, given: InputTensor) -> None:
    own = tensors.input_of(model)
    if given.datatype == BYTES and own.datatype != BYTES:
        if not tensors.takes_pictures(model):
            raise InvalidRequest(
                f"input '{own.name}' takes {own.datatype}, not BYTES: the model takes no pictures"
            )
        if len(given.shape) != 1 and given.shape[1:] != (1,):
            raise InvalidRequest(
                f"pictures are BYTES of shape [n] or [n, 1]; got {list(given.shape)}"
            )
        tensors.check_batch(model, len(given.elements))
        return
    if given.datatype != own.datatype:
        raise InvalidRequest(f"input '{own.name}' takes {own.datatype}, not {given.datatype}")
    tensors.check_shape(model, given.shape)


def _at_once(plan: InferPlan) -> bool:
    """Whether the answer takes less time than handing the request to a thread and back."""
    array, model = plan.given.array, plan.model
    small = array is not None and array.nbytes <= AT_ONCE_BYTES and model.quick
    return small and set(plan.tensors) <= set(model.lean.outputs)


def _run(
    model: Model,
    wanted: Sequence[str],
    statistics: Statistics,
    max_pixels: int,
    pieces: Sequence[InferItem],
) -> list[Tensors | FoveaError]:
    """The tensors of each piece, or what is wrong with it."""
    started = time.monotonic()
    found: dict[int, Tensors | FoveaError] = {}
    ready: list[_Ready] = []
    for place, piece in enumerate(pieces):
        began = time.monotonic()
        try:
            array = _array(model, piece, max_pixels)
        except FoveaError as error:
            found[place] = error
            continue
        ready.append(_Ready(place, piece, array, time.monotonic() - began))
    if ready:
        found |= _through(model, wanted, statistics, ready, started)
    return [found[place] for place in range(len(pieces))]


def _through(
    model: Model,
    wanted: Sequence[str],
    statistics: Statistics,
    ready: Sequence[_Ready],
    started: float,
) -> dict[int, Tensors | FoveaError]:
    """What comes out for each: all go through the network at once."""
    counts = [len(each.array) if each.array.ndim else 1 for each in ready]
    feed = ready[0].array if len(ready) == 1 else np.concatenate([each.array for each in ready])
    deadline = max(each.piece.deadline for each in ready)
    before = time.monotonic()
    computed = _computed(model, wanted, feed, deadline, statistics)
    ran = time.monotonic()
    places = np.cumsum(counts)[:-1]
    parts = {
        name: [array] if len(ready) == 1 else np.split(array, places)
        for name, array in computed.items()
    }
    if not set(wanted).isdisjoint(model.lean.outputs):
        waits = [started - each.piece.came for each in ready]
        decode = sum(each.decode for each in ready)
        encode = time.monotonic() - ran
        statistics.record(
            model.name, model.version, sum(counts), waits, decode, ran - before, encode
        )
    return {
        each.place: {name: part[turn] for name, part in parts.items()}
        for turn, each in enumerate(ready)
    }


def _computed(
    model: Model, wanted: Sequence[str], feed: Array, deadline: float, statistics: Statistics
) -> dict[str, Array]:
    """The tensors: the real outputs in one run, and each other in one of its own."""
    feeds = {model.file.input: feed}
    found: dict[str, Array] = {}
    if not set(wanted).isdisjoint(model.lean.outputs):
        # Only what has the batch along its first axis can be padded and cut.
        padded = tensors.batched(model, model.lean.outputs)
        outputs = model.run([feed], deadline) if padded else model.lean.run(feeds, deadline)
        found |= zip(model.lean.outputs, outputs, strict=True)
    for name in wanted:
        if name not in found:
            session = model.tap(name)
            began = time.monotonic()
            found[name] = session.run(feeds, deadline)[0]
            statistics.layer_run(model.name, model.version, time.monotonic() - began)
        if sum(each.nbytes for each in found.values()) > LARGEST_ANSWER:
            raise TooLarge(
                f"the outputs have more than {LARGEST_ANSWER} bytes; ask for fewer, or for fewer "
                "items at once"
            )
    return {name: found[name] for name in wanted}


def _array(model: Model, piece: InferItem, max_pixels: int) -> Array:
    given = piece.given
    if given.array is not None:
        return given.array
    if not tensors.takes_pictures(model):
        return np.array([_decoded(each) for each in given.elements], object).reshape(given.shape)
    made = []
    for place, each in enumerate(given.elements):
        if time.monotonic() > piece.deadline:
            raise DeadlinePassed(LATE)
        try:
            made.append(preprocess(model, Picture(each), max_pixels).array)
        except FoveaError as error:
            if len(given.elements) == 1:
                raise
            raise type(error)(f"picture {place + 1} of {len(given.elements)}: {error}") from error
    return made[0] if len(made) == 1 else np.concatenate(made)


def _decoded(element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            "an element of the input is not text in UTF-8, which the network takes"
        ) from None


def _output(model: Model, wanted: RequestedOutput, array: Any) -> Output:
    # A graph may also give sequences and maps.
    if not isinstance(array, np.ndarray) or datatypes.datatype_of(array.dtype) is None:
        raise Impossible(f"output '{wanted.name}' is of a type that the protocol has not")
    if not wanted.classes:
        return Output(wanted.name, array, wanted.binary)
    labels = model.labels if wanted.name == model.file.output else ()
    return Output(
        wanted.name,
        classification.strongest(array, wanted.classes, labels, model.batches),
        wanted.binary,
    )
