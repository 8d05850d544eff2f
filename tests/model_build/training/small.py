"""Networks of a few dozen weights, and examples that they learn in a second."""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnxscript import OpBuilder

from model_build.datasets.split import Split
from model_build.export import Signature, trainable
from model_build.nn import BatchNorm, Conv, Flatten, GlobalAveragePool, Linear, Module, initial
from model_build.training.hyperparameters import StepConfig
from model_build.training.network import InputSpec, Network
from model_build.training.optimiser import SGD
from model_build.training.step_graph import Step, build
from model_build.training.step_tensors import LABELS, LEARNING_RATE, STEP_NUMBER


class Dense(Module):
    """Two dense layers."""

    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.first = Linear(2, hidden)
        self.second = Linear(hidden, 2)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        return self.second(op, op.Relu(self.first(op, x)))


class Convolved(Module):
    """A convolution, a batch norm, a mean over the map, a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv(1, 4, (3, 3), bias=False)
        self.norm = BatchNorm(4)
        self.pool = GlobalAveragePool()
        self.flatten = Flatten()
        self.last = Linear(4, 3)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        y = op.Relu(self.norm(op, self.conv(op, x)))
        return self.last(op, self.flatten(op, self.pool(op, y)))


class TwoNorms(Module):
    """Equally wide, so that the runtime could take memory of the one for the other."""

    def __init__(self, shared: bool = False) -> None:
        super().__init__()
        self.shared = shared
        self.conv = Conv(1, 4, (3, 3), bias=False)
        self.norm = BatchNorm(4)
        if not shared:
            self.other = BatchNorm(4)
        self.pool = GlobalAveragePool()
        self.flatten = Flatten()
        self.last = Linear(4, 3)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        second = self.norm if self.shared else self.other
        x = second(op, op.Relu(self.norm(op, self.conv(op, x))))
        return self.last(op, self.flatten(op, self.pool(op, x)))


DENSE = Network("dense", Dense, InputSpec((2,)))
CONVOLVED = Network("convolved", Convolved, InputSpec((1, 6, 6)))
PLAIN = StepConfig(SGD(0.0), ema_decay=0.0)
BATCH = 8


def step_of(
    network: Network, config: StepConfig, batch_size: int, *, decompose: bool = False
) -> tuple[Step, dict[str, np.ndarray]]:
    """A step and the state before the first one."""
    module = network.make()
    arrays = initial(module, 0)
    signature = Signature("examples", network.input.dtype, ("N", *network.input.shape), "logits")
    step = build(trainable(module, signature, network.name), arrays, config, batch_size, decompose)
    return step, dict(step.initial_state(arrays))


def blobs(count: int = 320, seed: int = 0) -> Split:
    """Two clouds of points that a line parts."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    points = random.uniform(-1, 1, (count, 2)) + 3 * labels[:, np.newaxis]
    return Split(points.astype(np.float32), labels)


def feeds(
    network: Network, classes: int, learning_rate: float = 1.0, number: int = 1
) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng([3, number])
    return {
        "examples": random.normal(size=(BATCH, *network.input.shape)).astype(np.float32),
        LABELS: random.integers(0, classes, BATCH),
        LEARNING_RATE: np.array(learning_rate, np.float32),
        STEP_NUMBER: np.array(number, np.float64),
    }
