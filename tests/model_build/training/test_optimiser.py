"""Updates are those of the papers, written here a second time from their pages, in double
precision.
"""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from anatomy.graphs.builder import Builder, Value
from model_build.training.optimiser import SGD, AdamW, Optimiser

Array = NDArray[np.float64]
Slope = Callable[[Array], Array]
SIZE = 6
RATES = [0.1, 0.2, 0.15, 0.05, 0.3, 0.01]
DECAYS = np.array([1, 1, 1, 0, 0, 0], np.float32)
START = np.random.default_rng(0).normal(size=SIZE)
MATRIX = np.diag([0.5, 1, 2, 3, 4, 0.1])


def slope(weights: Array) -> Array:
    """The gradient of a bowl whose lowest point is at 1."""
    return MATRIX @ (weights - 1)


def update_graph(optimiser: Optimiser) -> onnx.ModelProto:
    builder = Builder("t:")
    single = np.dtype(np.float32)
    names = ["weights", "gradient", *optimiser.slots]
    weights, gradient, *slots = (Value(name, single, builder) for name in names)
    rate, count = Value("rate", single, builder), Value("count", np.dtype(np.float64), builder)
    decays = builder.constant(DECAYS)
    results = optimiser.update(weights, gradient, slots, rate, count, decays)
    outputs = [results[0].name, *(value.name for value in results[1])]
    graph = helper.make_graph(
        builder.nodes,
        "update",
        [
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE]) for name in names),
            helper.make_tensor_value_info("rate", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("count", TensorProto.DOUBLE, []),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE]) for name in outputs],
        builder.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def steps(optimiser: Optimiser) -> Iterator[Array]:
    """The weights after each step, as ONNX Runtime computes them."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(update_graph(optimiser).SerializeToString(), options)
    weights, slots = START.astype(np.float32), [np.zeros(SIZE, np.float32) for _ in optimiser.slots]
    for count, rate in enumerate(RATES, 1):
        feeds = {
            "weights": weights,
            "gradient": slope(weights.astype(np.float64)).astype(np.float32),
            "rate": np.array(rate, np.float32),
            "count": np.array(count, np.float64),
            **dict(zip(optimiser.slots, slots, strict=True)),
        }
        input_names = {value.name for value in session.get_inputs()}
        weights, *slots = session.run(
            None, {name: value for name, value in feeds.items() if name in input_names}
        )
        yield weights.astype(np.float64)


def polyak(momentum: float, decay: float) -> Iterator[Array]:
    """Equation 9 of Polyak 1964: the next point from the last two."""
    before, now = START, START
    for rate in RATES:
        gradient = slope(now) + decay * DECAYS * now
        before, now = now, now - rate * gradient + momentum * (now - before)
        yield now


def sutskever(momentum: float) -> Iterator[Array]:
    """Equations 3 and 4 of Sutskever et al. 2013; the point whose gradient comes next is w +
    momentum * v.
    """
    w, v = START, np.zeros(SIZE)
    for rate in RATES:
        v = momentum * v - rate * slope(w + momentum * v)
        w = w + v
        yield w + momentum * v


def loshchilov(first: float, second: float, epsilon: float, decay: float) -> Iterator[Array]:
    """Algorithm 2 of Loshchilov and Hutter 2019, its schedule multiplier being the rate and its
    alpha 1.
    """
    theta, m, v = START, np.zeros(SIZE), np.zeros(SIZE)
    for t, rate in enumerate(RATES, 1):
        g = slope(theta)
        m = first * m + (1 - first) * g
        v = second * v + (1 - second) * g**2
        m_hat, v_hat = m / (1 - first**t), v / (1 - second**t)
        theta = theta - rate * (m_hat / (np.sqrt(v_hat) + epsilon) + decay * DECAYS * theta)
        yield theta


@pytest.mark.parametrize(
    ("optimiser", "expected"),
    [
        (SGD(0.9), polyak(0.9, 0)),
        (SGD(0.0), polyak(0.0, 0)),
        (SGD(0.8, weight_decay=0.3), polyak(0.8, 0.3)),
        (SGD(0.9, nesterov=True), sutskever(0.9)),
        (AdamW(weight_decay=0), loshchilov(0.9, 0.999, 1e-8, 0)),
        (AdamW(0.8, 0.95, 1e-3, 0.4), loshchilov(0.8, 0.95, 1e-3, 0.4)),
    ],
    ids=["momentum", "plain", "decayed", "nesterov", "adam", "adamw"],
)
def test_steps_are_those_of_the_paper(optimiser: Optimiser, expected: Iterator[Array]) -> None:
    for weights, reference in zip(steps(optimiser), expected, strict=True):
        assert np.allclose(weights, reference, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda decay: SGD(weight_decay=decay), lambda decay: AdamW(weight_decay=decay)]
)
def test_decay_spares_what_is_no_kernel(make: Callable[[float], Optimiser]) -> None:
    with_decay, without = list(steps(make(0.5)))[-1], list(steps(make(0)))[-1]
    assert np.array_equal(with_decay[DECAYS == 0], without[DECAYS == 0])
    assert (with_decay[DECAYS == 1] != without[DECAYS == 1]).all()
