"""An inference: what was asked is checked against the model, runs with what else waits, and comes
back as arrays.

A single item of a model with an open batch axis shares its run with others of the same shape that
want the same; a caller's own batch is a run of its own. Nothing here knows HTTP.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from service.errors import DeadlinePassed, FoveaError, Impossible, InvalidRequest, TooLarge
from service.inference.pipeline import Pipeline, PreparedInput, run_batches
from service.inputs.preprocess import Picture, preprocess
from service.inputs.recognise import FORMATS
from service.oip import classification, datatypes, tensors
from service.oip.datatypes import BYTES, Array
from service.oip.request import InferRequest, InputTensor, RequestedOutput
from service.oip.response import Output
from service.oip.tensors import TensorMetadata
from service.repository.model import Model
from service.scheduling.work_item import LATE
from service.telemetry.statistics import Statistics

LARGEST_ANSWER = 1 << 27
"""Bytes of all outputs of a run: layers of a batch are many times as large as what was posted."""

SIGNATURES = tuple(signature for kind in FORMATS for signature in kind.signatures)
"""What the bytes of a picture begin with."""

OPEN = -1
"""A size that the graph leaves open."""

AT_ONCE_BYTES = 16_384
"""An answer that takes no longer, of an input no larger, comes from the event loop itself."""


@dataclass(frozen=True, eq=False)
class InferPlan:
    """A request that the model takes: its input, and the outputs wanted with the tensors that they
    are.
    """

    model: Model
    source: InputTensor
    outputs: Sequence[tuple[RequestedOutput, TensorMetadata]]

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors to compute, each once."""
        return tuple(dict.fromkeys(tensor.tensor for _, tensor in self.outputs))

    @property
    def count(self) -> int:
        """Items in it."""
        return len(self.source.elements) or (self.source.shape[0] if self.source.shape else 1)


Tensors = Mapping[str, Array]


def planned(model: Model, asked: InferRequest) -> InferPlan:
    """What is to be computed; raises InvalidRequest if the model does not take it or has no such
    output.
    """
    name = model.file.input
    if len(asked.inputs) != 1 or asked.inputs[0].name != name:
        got = ", ".join(f"'{tensor.name[:80]}'" for tensor in asked.inputs[:8]) or "none"
        raise InvalidRequest(f"model '{model.name}' takes one input, '{name}'; got {got}")
    (source,) = asked.inputs
    _check_input(model, source)
    outputs = asked.outputs or [
        RequestedOutput(output, asked.binary) for output in model.main_session.outputs
    ]
    return InferPlan(
        model, source, [(output, tensors.find_output(model, output.name)) for output in outputs]
    )


def raw(model: Model, body: bytes) -> InputTensor:
    """The one input, of which a body without a document is the bytes: a picture, or the tensor of a
    batch of one.
    """
    expected = tensors.input_of(model)
    if tensors.takes_pictures(model) and body.startswith(SIGNATURES):
        return InputTensor(expected.name, BYTES, (1,), elements=[body])
    sizes = _sizes_of(model, expected, len(body))
    datatype = str(expected.datatype)
    array = datatypes.from_bytes(expected.name, datatype, sizes, memoryview(body))
    return InputTensor(expected.name, datatype, sizes, array)


def _sizes_of(model: Model, expected: TensorMetadata, count: int) -> tuple[int, ...]:
    """The shape of so many bytes as this input, where at most one size is open."""
    sizes = [1, *expected.sizes[1:]] if model.supports_batching else expected.sizes
    dtype = datatypes.TYPES.get(str(expected.datatype))
    if dtype is None or expected.shape is None or sizes.count(OPEN) > 1:
        raise InvalidRequest(
            f"input '{expected.name}' has a shape that bytes alone do not tell; send a document "
            "before them"
        )
    known = math.prod(size for size in sizes if size != OPEN) * dtype.itemsize
    return tuple(count // max(known, 1) if size == OPEN else size for size in sizes)


async def infer(
    plan: InferPlan, pipeline: Pipeline, statistics: Statistics, max_pixels: int, deadline: float
) -> Tensors:
    """The tensors of a plan; raises what the queue, the decoder and a run raise."""
    model, names = plan.model, plan.tensors
    prepared = await _prepared(plan, pipeline, max_pixels, deadline)
    alone = plan.count > 1 or not model.supports_batching or not tensors.batched(model, names)
    shares = model.shares and not alone
    completed = await pipeline.batcher.run(
        partial(_run, model, names, statistics),
        prepared,
        deadline,
        (model, "v2", prepared.array.shape[1:], names) if shares else None,
        owner=model,
        inline=not alone and _at_once(plan),
    )
    if not _counted(model, names):
        statistics.waited(prepared.waited + completed.waited)
    result: Tensors = completed.result
    return result


def outputs_of(plan: InferPlan, computed: Tensors) -> list[Output]:
    """The outputs of a plan, as they were asked for; raises Impossible."""
    return [_output(plan.model, output, computed[tensor.tensor]) for output, tensor in plan.outputs]


def _check_input(model: Model, source: InputTensor) -> None:
    expected = tensors.input_of(model)
    if source.datatype == BYTES and expected.datatype != BYTES:
        if not tensors.takes_pictures(model):
            raise InvalidRequest(
                f"input '{expected.name}' takes {expected.datatype}, not BYTES: "
                "the model takes no pictures"
            )
        if len(source.shape) != 1 and source.shape[1:] != (1,):
            raise InvalidRequest(
                f"pictures are BYTES of shape [n] or [n, 1]; got {list(source.shape)}"
            )
        tensors.check_batch(model, len(source.elements))
        return
    if source.datatype != expected.datatype:
        raise InvalidRequest(
            f"input '{expected.name}' takes {expected.datatype}, not {source.datatype}"
        )
    tensors.check_shape(model, source.shape)


def _at_once(plan: InferPlan) -> bool:
    """Whether the answer takes less time than handing the request to a thread and back."""
    array, model = plan.source.array, plan.model
    small = array is not None and array.nbytes <= AT_ONCE_BYTES and model.is_fast
    return small and set(plan.tensors) <= set(model.main_session.outputs)


def _counted(model: Model, names: Sequence[str]) -> bool:
    """Whether this is a prediction: layers alone are counted apart."""
    return not set(names).isdisjoint(model.main_session.outputs)


def _run(
    model: Model, names: Sequence[str], statistics: Statistics, inputs: Sequence[PreparedInput]
) -> list[Tensors | FoveaError]:
    """The tensors of each input."""
    return run_batches(
        model,
        inputs,
        partial(_computed, model, names, statistics),
        _split,
        statistics if _counted(model, names) else None,
    )


async def _prepared(
    plan: InferPlan, pipeline: Pipeline, max_pixels: int, deadline: float
) -> PreparedInput:
    came, source = time.monotonic(), plan.source
    if source.array is not None:
        return PreparedInput(source.array, deadline, came, 0.0, 0.0)

    def decode() -> PreparedInput:
        started = time.monotonic()
        array = _decoded(plan.model, source, deadline, max_pixels)
        ready = time.monotonic()
        return PreparedInput(array, deadline, ready, started - came, ready - started)

    return (await pipeline.on_cpu(plan.model, deadline, decode)).result


def _split(outputs: Tensors, batch: Sequence[PreparedInput], _: float) -> list[Tensors]:
    """The part of each input in the outputs of all."""
    if len(batch) == 1:
        return [outputs]
    ends = np.cumsum([entry.rows for entry in batch])[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: part[turn] for name, part in parts.items()} for turn in range(len(batch))]


def _computed(
    model: Model,
    names: Sequence[str],
    statistics: Statistics,
    arrays: Sequence[Array],
    deadline: float,
) -> Tensors:
    """The tensors: the real outputs in one run, and each other in one of its own."""
    computed: dict[str, Array] = {}
    if _counted(model, names):
        computed |= zip(
            model.main_session.outputs, _real_outputs(model, arrays, deadline), strict=True
        )
    for name in names:
        if name not in computed:
            computed[name] = _tapped(model, name, statistics, arrays, deadline)
        _check_size(computed.values())
    return {name: computed[name] for name in names}


def _real_outputs(model: Model, arrays: Sequence[Array], deadline: float) -> list[Array]:
    # Only what has the batch along its first axis can be padded and cut.
    if tensors.batched(model, model.main_session.outputs):
        return model.run(arrays, deadline)
    return model.main_session.run({model.file.input: _joined(arrays)}, deadline)


def _tapped(
    model: Model, name: str, statistics: Statistics, arrays: Sequence[Array], deadline: float
) -> Array:
    session = model.tap(name)
    started = time.monotonic()
    (array,) = session.run({model.file.input: _joined(arrays)}, deadline)
    statistics.layer_run(model.name, model.version, time.monotonic() - started)
    return array


def _joined(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _check_size(arrays: Iterable[Array]) -> None:
    if sum(array.nbytes for array in arrays) > LARGEST_ANSWER:
        raise TooLarge(
            f"the outputs have more than {LARGEST_ANSWER} bytes; ask for fewer, or for fewer items "
            "at once"
        )


def _decoded(model: Model, source: InputTensor, deadline: float, max_pixels: int) -> Array:
    elements = source.elements
    if tensors.takes_pictures(model):
        return _joined(list(_pictures(model, elements, deadline, max_pixels)))
    return np.array([_text(element) for element in elements], object).reshape(source.shape)


def _pictures(
    model: Model, elements: Sequence[bytes], deadline: float, max_pixels: int
) -> Iterator[Array]:
    """Each picture as the network takes it; an error says which of several it is about."""
    for number, element in enumerate(elements, 1):
        if time.monotonic() > deadline:
            raise DeadlinePassed(LATE)
        try:
            yield preprocess(model, Picture(element), max_pixels).array
        except FoveaError as error:
            if len(elements) == 1:
                raise
            raise type(error)(f"picture {number} of {len(elements)}: {error}") from error


def _text(element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            "an element of the input is not text in UTF-8, which the network takes"
        ) from None


def _output(model: Model, output: RequestedOutput, array: Any) -> Output:
    # A graph may also give sequences and maps.
    if not isinstance(array, np.ndarray) or datatypes.datatype_of(array.dtype) is None:
        raise Impossible(f"output '{output.name}' is of a type that the protocol has not")
    if not output.classes:
        return Output(output.name, array, output.binary)
    labels = model.labels if output.name == model.file.output else ()
    return Output(
        output.name,
        classification.classify(array, output.classes, labels, model.supports_batching),
        output.binary,
    )
