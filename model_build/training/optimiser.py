"""Optimisers as ONNX operators: each is a formula on the vector of all weights.

An optimiser has `slots`, the names of the vectors that it keeps between steps beside the weights
(all start with zeros), and `update`, which writes the formula and returns the new weights and the
new slots. `step` is the number of the step, from 1, a double. Weight decay acts where `decay_mask`
is 1: on kernels and matrices, never on biases and the parameters of batch norms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from onnx import TensorProto

from anatomy.graphs.builder import Value


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum (Polyak 1964), as written by Sutskever et al. 2013.

    v' = momentum * v - learning_rate * g; w' = w + v'. With `nesterov`, w' = w + momentum * v' -
    learning_rate * g: the gradient is the one at the point that the momentum leads to, and the
    weights kept are that point (Bengio et al. 2013). The decay is the classical one:
    g = grad + weight_decay * w.
    """

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def update(
        self,
        weights: Value,
        grad: Value,
        slots: Sequence[Value],
        learning_rate: Value,
        step: Value,
        decay_mask: Value,
    ) -> tuple[Value, tuple[Value, ...]]:
        """The new weights and the new velocity."""
        if self.weight_decay:
            grad = grad + self.weight_decay * (decay_mask * weights)
        descent = learning_rate * grad
        velocity = self.momentum * slots[0] - descent
        change = self.momentum * velocity - descent if self.nesterov else velocity
        return weights + change, (velocity,)


@dataclass(frozen=True)
class AdamW:
    """Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).

    m' = beta1 * m + (1 - beta1) * g; v' = beta2 * v + (1 - beta2) * g^2;
    w' = w - learning_rate * (m' / (1 - beta1^t) / (sqrt(v' / (1 - beta2^t)) + epsilon)
    + weight_decay * w).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    slots: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")

    def update(
        self,
        weights: Value,
        grad: Value,
        slots: Sequence[Value],
        learning_rate: Value,
        step: Value,
        decay_mask: Value,
    ) -> tuple[Value, tuple[Value, ...]]:
        """The new weights and the new moments."""
        mean = self.beta1 * slots[0] + (1 - self.beta1) * grad
        square = self.beta2 * slots[1] + (1 - self.beta2) * (grad * grad)
        std = _sqrt(square / _bias_correction(self.beta2, step))
        change = mean / _bias_correction(self.beta1, step) / (std + self.epsilon)
        if self.weight_decay:
            change = change + self.weight_decay * (decay_mask * weights)
        return weights - learning_rate * change, (mean, square)


Optimiser = SGD | AdamW


def _bias_correction(beta: float, step: Value) -> Value:
    """1 - beta^step, in double precision.

    In the first steps it is the difference of nearly equal numbers.
    """
    return single(1 - step.builder.constant(np.array(beta)) ** step)


def _sqrt(value: Value) -> Value:
    return value.builder.op("Sqrt", value)


def single(value: Value) -> Value:
    """The value in single precision."""
    return value.builder.op("Cast", value, dtype=np.dtype(np.float32), to=TensorProto.FLOAT)
