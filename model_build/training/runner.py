"""Steps in a row: the state stays in the runtime's memory, on the device, and two sets of buffers
change places.

The step that reads set A writes set B, the next one the other way round. Both ways are bound once;
a step is one call, and what Python handles of it are a batch, the learning rate and three numbers
of the outcome.
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
from model_build.training.step_graph import CORRECT, LOSS, NORM, Step, StepError, new

Feeds = Mapping[str, NDArray[Any]]


class Outcome(NamedTuple):
    """What one step says: the mean loss of its batch, how many it had right, and the length of the
    gradient.
    """

    loss: float
    correct: int
    norm: float

    @property
    def finite(self) -> bool:
        """Whether training can go on."""
        return bool(np.isfinite(self.loss) and np.isfinite(self.norm))


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two ways to run: the state it reads, where its batch goes, and its binding."""

    state: Mapping[str, onnxruntime.OrtValue]
    batch: Mapping[str, onnxruntime.OrtValue]
    outcome: Mapping[str, onnxruntime.OrtValue]
    binding: Any


class Runner:
    """A training in motion.

    `turn` is the set of buffers, 0 or 1, that the next step reads; `seconds` the time spent in the
    runtime so far.
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
        given = {
            value.name: _empty(value)
            for value in step.model.graph.input
            if value.name not in step.state
        }
        self._takes = {name: (array.shape, array.dtype) for name, array in given.items()}
        sides = [self._side(step, state, given), self._side(step, state, given)]
        for side, other in zip(sides, reversed(sides), strict=True):
            for name, value in other.state.items():
                side.binding.bind_ortvalue_output(new(name), value)
        self._sides = sides
        self.turn = 0
        self.seconds = 0.0

    @property
    def state(self) -> dict[str, Vector]:
        """A copy of the state as it is now."""
        return {name: np.array(value.numpy()) for name, value in self.buffers.items()}

    @property
    def buffers(self) -> Mapping[str, onnxruntime.OrtValue]:
        """The state as it is now, where it lies; the step after the next overwrites it."""
        return self._sides[self.turn].state

    def fill(self, turn: int, batch: Feeds) -> None:
        """Put in place what the next step of this turn reads: examples, labels, rate, count.

        Another thread may do so for one turn while the step of the other runs. Raises StepError for
        an array of another type or shape: the runtime would copy as many bytes as it has room for,
        whatever they are.
        """
        for name, array in batch.items():
            shape, dtype = self._takes[name]
            if (array.shape, array.dtype) != (shape, dtype):
                raise StepError(
                    f"{name}: expected {dtype} {list(shape)}, got {array.dtype} {list(array.shape)}"
                )
            self._sides[turn].batch[name].update_inplace(array)

    def advance(self) -> Outcome:
        """Run one step; its batch was filled in. After one that is not finite the state is still
        that before it.
        """
        side = self._sides[self.turn]
        start = time.perf_counter()
        self._session.run_with_iobinding(side.binding)
        self.seconds += time.perf_counter() - start
        loss, correct, norm = (float(side.outcome[name].numpy()) for name in (LOSS, CORRECT, NORM))
        outcome = Outcome(loss, round(correct) if np.isfinite(correct) else 0, norm)
        if outcome.finite:
            self.turn = 1 - self.turn
        return outcome

    def _side(self, step: Step, state: Mapping[str, Vector], given: Feeds) -> _Side:
        binding = self._session.io_binding()
        batch = {name: on_device(array, self._device) for name, array in given.items()}
        vectors = {name: on_device(state[name], self._device) for name in step.state}
        outcome = {
            name: on_device(np.zeros([], np.float32), "cpu") for name in (LOSS, CORRECT, NORM)
        }
        for name, value in {**batch, **vectors}.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outcome.items():
            binding.bind_ortvalue_output(name, value)
        return _Side(vectors, batch, outcome, binding)


def _empty(value: onnx.ValueInfoProto) -> NDArray[Any]:
    tensor = value.type.tensor_type
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    return np.zeros(sizes, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
