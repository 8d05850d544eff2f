"""Gradients of operators that compute each value for itself: the derivative beside its name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from onnx import helper

from anatomy.builder import Value
from anatomy.pullbacks.base import Pullback, Rule

Attributes = Mapping[str, Any]
Derivative = Callable[[Pullback, Value, Value, Value], Value]
"""dx from the node, dy, x and y."""


def unary(derivative: Derivative) -> Rule:
    """The rule of an operator of one input."""

    def rule(p: Pullback, position: int) -> Value | None:
        return derivative(p, p.dy, p.x(0), p.y()) if position == 0 else None

    return rule


def _unary(operator: str) -> Callable[[Value], Value]:
    return lambda value: value.builder.op(operator, value)


_exp, _log, _sqrt, _sin, _cos, _tanh, _erf, _sigmoid = map(
    _unary, ("Exp", "Log", "Sqrt", "Sin", "Cos", "Tanh", "Erf", "Sigmoid")
)


def _steps(dy: Value, condition: Value) -> Value:
    """dy where the condition holds, else 0: as a product, since ONNX Runtime's Where is ten times slower on the CPU."""
    return dy * dy.builder.op("Cast", condition, dtype=dy.dtype, to=helper.np_dtype_to_tensor_dtype(dy.dtype))


def _leaky_relu(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    return (x > 0).where(dy, dy * p.attribute("alpha", 0.01))


def _elu(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    return (x > 0).where(dy, dy * (y + p.attribute("alpha", 1.0)))


def _celu(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    alpha = p.attribute("alpha", 1.0)
    return (x > 0).where(dy, dy * (y / alpha + 1))


def _selu(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    """Defaults of the ONNX operator specification."""
    alpha, gamma = p.attribute("alpha", 1.67326319217681884765625), p.attribute("gamma", 1.05070102214813232421875)
    return (x > 0).where(dy * gamma, dy * (y + alpha * gamma))


def _hard_sigmoid(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    return _steps(dy * p.attribute("alpha", 0.2), (y > 0) & (y < 1))


def _hard_swish(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    """y = x * max(0, min(1, x/6 + 1/2))."""
    inner = _steps(dy * (x / 3 + 0.5), x > -3)
    return (x < 3).where(inner, dy)


def _gelu(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    """Hendrycks and Gimpel 2016: x times the normal distribution function, or its approximation by tanh."""
    if p.attribute("approximate", "none") == "tanh":
        scale = math.sqrt(2 / math.pi)
        t = _tanh(scale * (x + 0.044715 * (x * x * x)))
        slope = scale * (1 + 3 * 0.044715 * (x * x))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    density = _exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi)
    return dy * (0.5 * (1 + _erf(x / math.sqrt(2))) + x * density)


def _swish(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    alpha: float = p.attribute("alpha", 1.0)
    s = _sigmoid(x * alpha)
    return dy * (s + x * alpha * s * (1 - s))


def _mish(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    t = _tanh(x.builder.op("Softplus", x))
    return dy * (t + x * (1 - t * t) * _sigmoid(x))


def _thresholded_relu(p: Pullback, dy: Value, x: Value, y: Value) -> Value:
    return _steps(dy, x > p.attribute("alpha", 1.0))


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
        "Relu": lambda p, dy, x, y: _steps(dy, y > 0),
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


def nothing(p: Pullback, position: int) -> Value | None:
    """Piecewise constant: the gradient is zero wherever there is one."""
    return None


def cast(p: Pullback, position: int) -> Value | None:
    """Back to the type that came; what became whole numbers hands nothing back."""
    x = p.x(0)
    if x.dtype.kind != "f" or p.y().dtype.kind != "f":
        return None
    return p.op("CastLike", p.dy, x, dtype=x.dtype)


def dropout(p: Pullback, position: int) -> Value | None:
    """At inference it is the identity."""
    return p.dy if position == 0 else None


def clip(p: Pullback, position: int) -> Value | None:
    """Passed on strictly between the bounds."""
    if position != 0:
        raise p.unknown("its bounds")
    dy = p.dy
    if p.has(1):
        dy = _steps(dy, p.x(0) > p.x(1))
    return _steps(dy, p.x(0) < p.x(2)) if p.has(2) else dy


def add(p: Pullback, position: int) -> Value:
    """Also Sum of several."""
    return p.fit(p.dy, position)


def subtract(p: Pullback, position: int) -> Value:
    """d(a - b)."""
    return p.fit(p.dy if position == 0 else -p.dy, position)


def multiply(p: Pullback, position: int) -> Value:
    """d(a * b)."""
    return p.fit(p.dy * p.x(1 - position), position)


def divide(p: Pullback, position: int) -> Value:
    """d(a / b); y / b saves a square."""
    return p.fit(p.dy / p.x(1) if position == 0 else -p.dy * p.y() / p.x(1), position)


def power(p: Pullback, position: int) -> Value:
    """d(a ** b); where a is zero, b * a ** (b-1) is the derivative still, and log(a) counts as zero."""
    a, b = p.x(0), p.x(1)
    if position == 0:
        exponent = p.op("CastLike", b, a, dtype=a.dtype) if b.dtype != a.dtype else b
        return p.fit(p.dy * exponent * (a ** (exponent - 1)), 0)
    return p.fit(p.dy * p.y() * (a > 0).where(_log((a > 0).where(a, 1.0)), 0.0), 1)


def extremum(p: Pullback, position: int) -> Value:
    """Max and Min: to the input that was chosen, to the first of equals."""
    if len(p.node.inputs) > 2:
        raise p.unknown("more than two inputs")
    greater = p.x(0) > p.x(1) if p.node.operator == "Max" else p.x(0) < p.x(1)
    first = p.op("Or", greater, p.x(0).equals(p.x(1)))
    chosen = first if position == 0 else p.op("Not", first)
    return p.fit(_steps(p.dy, chosen), position)


def mean(p: Pullback, position: int) -> Value:
    """The mean of several inputs."""
    return p.fit(p.dy / len(p.node.inputs), position)


def prelu(p: Pullback, position: int) -> Value:
    """The slope is learned too."""
    x, slope = p.x(0), p.x(1)
    if position == 0:
        return (x > 0).where(p.dy, p.dy * slope)
    return p.fit((x > 0).where(p.dy * 0, p.dy * x), 1)


def where(p: Pullback, position: int) -> Value | None:
    """To the side that was chosen."""
    if position == 0:
        return None
    zero = p.dy * 0
    return p.fit(p.x(0).where(p.dy, zero) if position == 1 else p.x(0).where(zero, p.dy), position)


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
OTHERS: Mapping[str, Rule] = {
    "Cast": cast,
    "CastLike": cast,
    "Clip": clip,
    "Dropout": dropout,
    **dict.fromkeys(("Ceil", "Floor", "Round", "Sign", "Shape", "Size"), nothing),
}
