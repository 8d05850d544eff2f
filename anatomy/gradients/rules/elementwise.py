"""Gradients of operators that compute each value for itself: the derivative beside its name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value

Attributes = Mapping[str, Any]
Derivative = Callable[[NodeContext, Value, Value, Value], Value]
"""dx from the node, dy, x and y."""


def unary(derivative: Derivative) -> Rule:
    """The rule of an operator of one input."""

    def rule(p: NodeContext, position: int) -> Value | None:
        return derivative(p, p.dy, p.x(0), p.y()) if position == 0 else None

    return rule


def _unary(operator: str) -> Callable[[Value], Value]:
    return lambda value: value.builder.op(operator, value)


_exp, _log, _sqrt, _sin, _cos, _tanh, _erf, _sigmoid = map(
    _unary, ("Exp", "Log", "Sqrt", "Sin", "Cos", "Tanh", "Erf", "Sigmoid")
)


def _either(p: NodeContext, condition: Value, true: Value | float, false: Value | float) -> Value:
    """One of two factors, without Where, which ONNX Runtime is slow at on the CPU."""
    chosen = p.cast(condition, p.x(0).dtype)
    return chosen * (true - false) + false


def _leaky_relu(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return dy * _either(p, x > 0, 1.0, p.attribute("alpha", 0.01))


def _elu(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return dy * _either(p, x > 0, 1.0, y + p.attribute("alpha", 1.0))


def _celu(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return dy * _either(p, x > 0, 1.0, y / p.attribute("alpha", 1.0) + 1)


def _selu(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    """Defaults of the ONNX operator specification."""
    alpha, gamma = (
        p.attribute("alpha", 1.67326319217681884765625),
        p.attribute("gamma", 1.05070102214813232421875),
    )
    return dy * _either(p, x > 0, gamma, y + alpha * gamma)


def _hard_sigmoid(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return p.steps(dy * p.attribute("alpha", 0.2), (y > 0) & (y < 1))


def _hard_swish(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    """y = x * s with s = max(0, min(1, x/6 + 1/2)), whose slope is 1/6 inside."""
    inside = p.op("Abs", x) < 3
    return dy * (p.op("HardSigmoid", x, alpha=1 / 6, beta=0.5) + p.steps(x / 6, inside))


def _gelu(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    """Hendrycks and Gimpel 2016: x times the normal distribution function, or its approximation by
    tanh.
    """
    if p.attribute("approximate", "none") == "tanh":
        scale = math.sqrt(2 / math.pi)
        t = _tanh(scale * (x + 0.044715 * (x * x * x)))
        slope = scale * (1 + 3 * 0.044715 * (x * x))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    density = _exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi)
    return dy * (0.5 * (1 + _erf(x / math.sqrt(2))) + x * density)


def _swish(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    alpha: float = p.attribute("alpha", 1.0)
    s = _sigmoid(x * alpha)
    return dy * (s + x * alpha * s * (1 - s))


def _mish(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    t = _tanh(x.builder.op("Softplus", x))
    return dy * (t + x * (1 - t * t) * _sigmoid(x))


def _thresholded_relu(p: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return p.steps(dy, x > p.attribute("alpha", 1.0))


UNARY: Mapping[str, Rule] = {
    name: unary(derivative)
    for name, derivative in {
        "Abs": lambda p, dy, x, y: dy * p.op("Sign", x),
        "Celu": _celu,
        "Cos": lambda p, dy, x, y: -dy * _sin(x),
        "Elu": _elu,
        "Erf": lambda p, dy, x, y: dy * (2 / math.sqrt(math.pi)) * _exp(-(x * x)),
        "Exp": lambda p, dy, x, y: dy * y,
        "Gelu": _gelu,
        "HardSigmoid": _hard_sigmoid,
        "HardSwish": _hard_swish,
        "Identity": lambda p, dy, x, y: dy,
        "LeakyRelu": _leaky_relu,
        "Log": lambda p, dy, x, y: dy / x,
        "Mish": _mish,
        "Neg": lambda p, dy, x, y: -dy,
        "Reciprocal": lambda p, dy, x, y: -dy * y * y,
        "Relu": lambda p, dy, x, y: p.steps(dy, y > 0),
        "Selu": _selu,
        "Sigmoid": lambda p, dy, x, y: dy * y * (1 - y),
        "Sin": lambda p, dy, x, y: dy * _cos(x),
        "Softplus": lambda p, dy, x, y: dy * _sigmoid(x),
        "Softsign": lambda p, dy, x, y: dy / ((1 + p.op("Abs", x)) * (1 + p.op("Abs", x))),
        "Sqrt": lambda p, dy, x, y: dy / (2 * y),
        "Swish": _swish,
        "Tanh": lambda p, dy, x, y: dy * (1 - y * y),
        "ThresholdedRelu": _thresholded_relu,
    }.items()
}


def nothing(p: NodeContext, position: int) -> Value | None:
    """Piecewise constant: the gradient is zero wherever there is one."""
    return None


def cast(p: NodeContext, position: int) -> Value | None:
    """Back to the type that came; what became whole numbers hands nothing back."""
    x = p.x(0)
    if x.dtype.kind != "f" or p.y().dtype.kind != "f":
        return None
    return p.cast(p.dy, x.dtype)


def dropout(p: NodeContext, position: int) -> Value | None:
    """The identity at inference; in training (input 2) what was kept was also divided by the share
    that is kept.
    """
    if position != 0:
        return None
    if not p.has(2):
        return p.dy
    ratio = p.cast(p.x(1), p.dy.dtype) if p.has(1) else 0.5
    training = p.cast(p.x(2), p.dy.dtype)
    return p.steps(p.dy / (1 - training * ratio), p.y(1, np.bool_))


def clip(p: NodeContext, position: int) -> Value | None:
    """Passed on strictly between the bounds."""
    if position != 0:
        raise p.unknown("its bounds")
    dy = p.dy
    if p.has(1):
        dy = p.steps(dy, p.x(0) > p.x(1))
    return p.steps(dy, p.x(0) < p.x(2)) if p.has(2) else dy


def add(p: NodeContext, position: int) -> Value:
    """Also Sum of several."""
    return p.fit(p.dy, position)


def subtract(p: NodeContext, position: int) -> Value:
    """d(a - b)."""
    return p.fit(p.dy if position == 0 else -p.dy, position)


def multiply(p: NodeContext, position: int) -> Value:
    """d(a * b)."""
    return p.fit(p.dy * p.x(1 - position), position)


def divide(p: NodeContext, position: int) -> Value:
    """d(a / b); y / b saves a square."""
    return p.fit(p.dy / p.x(1) if position == 0 else -p.dy * p.y() / p.x(1), position)


def power(p: NodeContext, position: int) -> Value:
    """d(a ** b); where a is zero, b * a ** (b-1) is the derivative still, 0 if b is 0, and log(a)
    counts as zero.
    """
    a, b = p.x(0), p.x(1)
    if position == 0:
        exponent = p.cast(b, a.dtype)
        known = p.graph.constants.get(p.node.inputs[1])
        # 0 times the infinity of 0 ** -1 is not a number.
        one = 1.0 if known is not None and known.all() else p.op("Abs", p.op("Sign", exponent))
        return p.fit(p.dy * exponent * (a ** (exponent - one)), 0)
    positive = a > 0
    logarithm = p.steps(_log(positive.where(a, 1.0)), positive)
    return p.fit(p.cast(p.dy * p.y() * logarithm, b.dtype), 1)


def extremum(p: NodeContext, position: int) -> Value:
    """Max and Min: to the input that was chosen, to the first of equals."""
    if len(p.node.inputs) == 2:
        first = p.op(
            "GreaterOrEqual" if p.node.operator == "Max" else "LessOrEqual",
            p.x(0),
            p.x(1),
            dtype=np.bool_,
        )
        return p.fit(p.steps(p.dy, first if position == 0 else p.op("Not", first)), position)
    chosen = p.x(position).equals(p.y())
    for earlier in range(position):
        chosen = chosen & p.op("Not", p.x(earlier).equals(p.y()))
    return p.fit(p.steps(p.dy, chosen), position)


def mean(p: NodeContext, position: int) -> Value:
    """The mean of several inputs."""
    return p.fit(p.dy / len(p.node.inputs), position)


def prelu(p: NodeContext, position: int) -> Value:
    """The slope is learned too."""
    x, slope = p.x(0), p.x(1)
    if position == 0:
        return p.dy * _either(p, x > 0, 1.0, slope)
    return p.fit(p.dy * p.op("Min", x, p.builder.constant(np.zeros((), x.dtype))), 1)


def where(p: NodeContext, position: int) -> Value | None:
    """To the side that was chosen."""
    if position == 0:
        return None
    return p.fit(p.steps(p.dy, p.x(0) if position == 1 else p.op("Not", p.x(0))), position)


BINARY: Mapping[str, Rule] = {
    "Add": add,
    "Div": divide,
    "Max": extremum,
    "Mean": mean,
    "Min": extremum,
    "Mul": multiply,
    "PRelu": prelu,
    "Pow": power,
    "Sub": subtract,
    "Sum": add,
    "Where": where,
}
FLAT = (
    "And ArgMax ArgMin Ceil ConstantOfShape Equal Floor Greater GreaterOrEqual IsInf IsNaN Less "
    "LessOrEqual NonZero "
    "Not Or Round Shape Sign Size Xor".split()
)
OTHERS: Mapping[str, Rule] = {
    "Cast": cast,
    "CastLike": cast,
    "Clip": clip,
    "Dropout": dropout,
    **dict.fromkeys(FLAT, nothing),
}
