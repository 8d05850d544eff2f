"""Runs steps one after another; the state stays in the runtime's memory, on the device.

There are two sets of buffers: the step that reads set 0 writes set 1, the next one the other way
round. Both ways are bound once; a step is one call, and what Python handles of it are a batch, the
learning rate and three numbers of the result.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from model_build.training.flat_parameters import Vector
from model_build.training.sessions import Device, on_device, session
from model_build.training.step_graph import Step, StepError
from model_build.training.step_tensors import CORRECT, GRADIENT_NORM, LOSS, new

Feeds = Mapping[str, NDArray[Any]]
RESULTS = (LOSS, CORRECT, GRADIENT_NORM)


class StepResult(NamedTuple):
    """The mean loss of a batch, how many of it were right, and the length of the gradient."""

    loss: float
    correct: int
    norm: float

    @property
    def finite(self) -> bool:
        """Whether training can go on."""
        return bool(np.isfinite(self.loss) and np.isfinite(self.norm))


@dataclass(frozen=True, eq=False)
class _Buffers:
    """One of the two ways to run: the state it reads, where its batch goes, and its binding."""

    state: Mapping[str, onnxruntime.OrtValue]
    batch: Mapping[str, onnxruntime.OrtValue]
    results: Mapping[str, onnxruntime.OrtValue]
    binding: Any


class Runner:
    """A training in motion.

    `buffer` is the index, 0 or 1, of the buffers that the next step reads; `seconds` the time spent
    in the runtime so far.
    """

    def __init__(
        self,
        step: Step,
        state: Mapping[str, Vector],
        device: Device = "cpu",
        threads: int | None = None,
    ) -> None:
        self._session = session(step.model, device, threads)
        self._device: Device = device
        batch = {
            value.name: _empty(value)
            for value in step.model.graph.input
            if value.name not in step.state
        }
        self._expected = {name: (array.shape, array.dtype) for name, array in batch.items()}
        first, second = (self._buffers(step, state, batch) for _ in range(2))
        _write_into(first, second)
        _write_into(second, first)
        self._both = (first, second)
        self.buffer = 0
        self.seconds = 0.0

    @property
    def state(self) -> dict[str, Vector]:
        """A copy of the state as it is now."""
        return {name: np.array(value.numpy()) for name, value in self.state_buffers.items()}

    @property
    def state_buffers(self) -> Mapping[str, onnxruntime.OrtValue]:
        """The state as it is now, where it lies; the step after the next overwrites it."""
        return self._both[self.buffer].state

    def fill(self, buffer: int, batch: Feeds) -> None:
        """Put into a buffer what a step reads: examples, labels, learning rate, step number.

        Another thread may fill one buffer while the step of the other runs. Raises StepError for
        an array of another type or shape: the runtime would copy as many bytes as it has room for,
        whatever they are.
        """
        for name, array in batch.items():
            shape, dtype = self._expected[name]
            if (array.shape, array.dtype) != (shape, dtype):
                raise StepError(
                    f"{name}: expected {dtype} {list(shape)}, got {array.dtype} {list(array.shape)}"
                )
            self._both[buffer].batch[name].update_inplace(array)

    def advance(self) -> StepResult:
        """Run one step, whose batch was filled in.

        After a step that is not finite the state is still that before it.
        """
        buffers = self._both[self.buffer]
        start = time.perf_counter()
        self._session.run_with_iobinding(buffers.binding)
        self.seconds += time.perf_counter() - start
        loss, correct, norm = (float(buffers.results[name].numpy()) for name in RESULTS)
        result = StepResult(loss, round(correct) if np.isfinite(correct) else 0, norm)
        if result.finite:
            self.buffer = 1 - self.buffer
        return result

    def _buffers(self, step: Step, state: Mapping[str, Vector], batch: Feeds) -> _Buffers:
        binding = self._session.io_binding()
        inputs = {name: on_device(array, self._device) for name, array in batch.items()}
        vectors = {name: on_device(state[name], self._device) for name in step.state}
        results = {name: on_device(np.zeros([], np.float32), "cpu") for name in RESULTS}
        for name, value in {**inputs, **vectors}.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in results.items():
            binding.bind_ortvalue_output(name, value)
        return _Buffers(vectors, inputs, results, binding)


def _write_into(source: _Buffers, target: _Buffers) -> None:
    """Bind the new state of one way to run to the buffers that the other one reads."""
    for name, value in target.state.items():
        source.binding.bind_ortvalue_output(new(name), value)


def _empty(value: onnx.ValueInfoProto) -> NDArray[Any]:
    tensor = value.type.tensor_type
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    return np.zeros(sizes, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
