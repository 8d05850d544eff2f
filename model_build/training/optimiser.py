"""Optimisers as ONNX operators: each is a formula on the vector of all weights.

`rate` is the learning rate and `count` the number of the step, from 1, a double. Weight decay acts
where `decays` is 1: on kernels and matrices, never on biases and the parameters of batch norms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from onnx import TensorProto

from anatomy.graphs.builder import Value


class Optimiser(Protocol):
    """What a step needs: the names of the vectors that are kept between steps, and the update."""

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the vectors beside the weights; all start with zeros."""

    def update(
        self,
        weights: Value,
        gradient: Value,
        slots: Sequence[Value],
        rate: Value,
        count: Value,
        decays: Value,
    ) -> tuple[Value, tuple[Value, ...]]:
        """The new weights and the new slots."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum (Polyak 1964), as written by Sutskever et al. 2013.

    v' = momentum * v - rate * g; w' = w + v'. With `nesterov`, w' = w + momentum * v' - rate * g:
    the gradient is the one at the point that the momentum leads to, and the weights kept are that
    point (Bengio et al. 2013). The decay is the classical one: g = gradient + decay * w.
    """

    momentum: float = 0.9
    nesterov: bool = False
    decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def update(
        self,
        weights: Value,
        gradient: Value,
        slots: Sequence[Value],
        rate: Value,
        count: Value,
        decays: Value,
    ) -> tuple[Value, tuple[Value, ...]]:
        """The new weights and the new velocity."""
        slope = gradient + self.decay * (decays * weights) if self.decay else gradient
        stride = rate * slope
        velocity = self.momentum * slots[0] - stride
        moved = self.momentum * velocity - stride if self.nesterov else velocity
        return weights + moved, (velocity,)


@dataclass(frozen=True)
class AdamW:
    """Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).

    m' = first * m + (1 - first) * g; v' = second * v + (1 - second) * g^2;
    w' = w - rate * (m' / (1 - first^t) / (sqrt(v' / (1 - second^t)) + epsilon) + decay * w).
    """

    first: float = 0.9
    second: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.01
    slots: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")

    def update(
        self,
        weights: Value,
        gradient: Value,
        slots: Sequence[Value],
        rate: Value,
        count: Value,
        decays: Value,
    ) -> tuple[Value, tuple[Value, ...]]:
        """The new weights and the new moments."""
        mean = self.first * slots[0] + (1 - self.first) * gradient
        square = self.second * slots[1] + (1 - self.second) * (gradient * gradient)
        deviation = _sqrt(square / _unbiased(self.second, count))
        moved = mean / _unbiased(self.first, count) / (deviation + self.epsilon)
        if self.decay:
            moved = moved + self.decay * (decays * weights)
        return weights - rate * moved, (mean, square)


def _unbiased(keep: float, count: Value) -> Value:
    """1 - keep^count, in double precision: early on it is the difference of nearly equal numbers."""
    return single(1 - count.builder.constant(np.array(keep)) ** count)


def _sqrt(value: Value) -> Value:
    return value.builder.op("Sqrt", value)


def single(value: Value) -> Value:
    """The value in single precision."""
    return value.builder.op("Cast", value, dtype=np.dtype(np.float32), to=TensorProto.FLOAT)
