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

    def rule(ctx: NodeContext, position: int) -> Value | None:
        return derivative(ctx, ctx.dy, ctx.x(0), ctx.y()) if position == 0 else None

    return rule


def _unary(operator: str) -> Callable[[Value], Value]:
    return lambda value: value.builder.op(operator, value)


_exp, _log, _sqrt, _sin, _cos, _tanh, _erf, _sigmoid = map(
    _unary, ("Exp", "Log", "Sqrt", "Sin", "Cos", "Tanh", "Erf", "Sigmoid")
)


def _select(ctx: NodeContext, condition: Value, true: Value | float, false: Value | float) -> Value:
    """One of two factors, without Where, which ONNX Runtime is slow at on the CPU."""
    chosen = ctx.cast(condition, ctx.x(0).dtype)
    return chosen * (true - false) + false


def _leaky_relu(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return dy * _select(ctx, x > 0, 1.0, ctx.attribute("alpha", 0.01))


def _elu(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return dy * _select(ctx, x > 0, 1.0, y + ctx.attribute("alpha", 1.0))


def _celu(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return dy * _select(ctx, x > 0, 1.0, y / ctx.attribute("alpha", 1.0) + 1)


def _selu(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    """Defaults of the ONNX operator specification."""
    alpha = ctx.attribute("alpha", 1.67326319217681884765625)
    gamma = ctx.attribute("gamma", 1.05070102214813232421875)
    return dy * _select(ctx, x > 0, gamma, y + alpha * gamma)


def _hard_sigmoid(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return ctx.mask(dy * ctx.attribute("alpha", 0.2), (y > 0) & (y < 1))


def _hard_swish(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    """y = x * s with s = max(0, min(1, x/6 + 1/2)), whose slope is 1/6 inside."""
    inside = ctx.op("Abs", x) < 3
    return dy * (ctx.op("HardSigmoid", x, alpha=1 / 6, beta=0.5) + ctx.mask(x / 6, inside))


def _gelu(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    """Hendrycks and Gimpel 2016: x times the normal distribution function, or its approximation by
    tanh.
    """
    if ctx.attribute("approximate", "none") == "tanh":
        scale = math.sqrt(2 / math.pi)
        t = _tanh(scale * (x + 0.044715 * (x * x * x)))
        slope = scale * (1 + 3 * 0.044715 * (x * x))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    density = _exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi)
    return dy * (0.5 * (1 + _erf(x / math.sqrt(2))) + x * density)


def _swish(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    alpha: float = ctx.attribute("alpha", 1.0)
    s = _sigmoid(x * alpha)
    return dy * (s + x * alpha * s * (1 - s))


def _mish(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    t = _tanh(x.builder.op("Softplus", x))
    return dy * (t + x * (1 - t * t) * _sigmoid(x))


def _thresholded_relu(ctx: NodeContext, dy: Value, x: Value, y: Value) -> Value:
    return ctx.mask(dy, x > ctx.attribute("alpha", 1.0))


UNARY: Mapping[str, Rule] = {
    name: unary(derivative)
    for name, derivative in {
        "Abs": lambda ctx, dy, x, y: dy * ctx.op("Sign", x),
        "Celu": _celu,
        "Cos": lambda ctx, dy, x, y: -dy * _sin(x),
        "Elu": _elu,
        "Erf": lambda ctx, dy, x, y: dy * (2 / math.sqrt(math.pi)) * _exp(-(x * x)),
        "Exp": lambda ctx, dy, x, y: dy * y,
        "Gelu": _gelu,
        "HardSigmoid": _hard_sigmoid,
        "HardSwish": _hard_swish,
        "Identity": lambda ctx, dy, x, y: dy,
        "LeakyRelu": _leaky_relu,
        "Log": lambda ctx, dy, x, y: dy / x,
        "Mish": _mish,
        "Neg": lambda ctx, dy, x, y: -dy,
        "Reciprocal": lambda ctx, dy, x, y: -dy * y * y,
        "Relu": lambda ctx, dy, x, y: ctx.mask(dy, y > 0),
        "Selu": _selu,
        "Sigmoid": lambda ctx, dy, x, y: dy * y * (1 - y),
        "Sin": lambda ctx, dy, x, y: dy * _cos(x),
        "Softplus": lambda ctx, dy, x, y: dy * _sigmoid(x),
        "Softsign": lambda ctx, dy, x, y: dy / ((1 + ctx.op("Abs", x)) * (1 + ctx.op("Abs", x))),
        "Sqrt": lambda ctx, dy, x, y: dy / (2 * y),
        "Swish": _swish,
        "Tanh": lambda ctx, dy, x, y: dy * (1 - y * y),
        "ThresholdedRelu": _thresholded_relu,
    }.items()
}


def no_gradient(ctx: NodeContext, position: int) -> Value | None:
    """Piecewise constant: the gradient is zero wherever there is one."""
    return None


def cast(ctx: NodeContext, position: int) -> Value | None:
    """Back to the type that came; what became whole numbers hands nothing back."""
    x = ctx.x(0)
    if x.dtype.kind != "f" or ctx.y().dtype.kind != "f":
        return None
    return ctx.cast(ctx.dy, x.dtype)


def dropout(ctx: NodeContext, position: int) -> Value | None:
    """The identity at inference; in training (input 2) what was kept was also divided by the share
    that is kept.
    """
    if position != 0:
        return None
    if not ctx.has(2):
        return ctx.dy
    ratio = ctx.cast(ctx.x(1), ctx.dy.dtype) if ctx.has(1) else 0.5
    training = ctx.cast(ctx.x(2), ctx.dy.dtype)
    return ctx.mask(ctx.dy / (1 - training * ratio), ctx.y(1, np.bool_))


def clip(ctx: NodeContext, position: int) -> Value | None:
    """Passed on strictly between the bounds."""
    if position != 0:
        raise ctx.unsupported("its bounds")
    dy = ctx.dy
    if ctx.has(1):
        dy = ctx.mask(dy, ctx.x(0) > ctx.x(1))
    return ctx.mask(dy, ctx.x(0) < ctx.x(2)) if ctx.has(2) else dy


def add(ctx: NodeContext, position: int) -> Value:
    """Also Sum of several."""
    return ctx.unbroadcast(ctx.dy, position)


def subtract(ctx: NodeContext, position: int) -> Value:
    """d(a - b)."""
    return ctx.unbroadcast(ctx.dy if position == 0 else -ctx.dy, position)


def multiply(ctx: NodeContext, position: int) -> Value:
    """d(a * b)."""
    return ctx.unbroadcast(ctx.dy * ctx.x(1 - position), position)


def divide(ctx: NodeContext, position: int) -> Value:
    """d(a / b); y / b saves a square."""
    return ctx.unbroadcast(
        ctx.dy / ctx.x(1) if position == 0 else -ctx.dy * ctx.y() / ctx.x(1), position
    )


def power(ctx: NodeContext, position: int) -> Value:
    """d(a ** b); where a is zero, b * a ** (b-1) is the derivative still, 0 if b is 0, and log(a)
    counts as zero.
    """
    a, b = ctx.x(0), ctx.x(1)
    if position == 0:
        exponent = ctx.cast(b, a.dtype)
        slope = a ** (exponent - _one_unless_zero(ctx, exponent))
        return ctx.unbroadcast(ctx.dy * exponent * slope, 0)
    positive = a > 0
    logarithm = ctx.mask(_log(positive.where(a, 1.0)), positive)
    return ctx.unbroadcast(ctx.cast(ctx.dy * ctx.y() * logarithm, b.dtype), 1)


def _one_unless_zero(ctx: NodeContext, exponent: Value) -> Value | float:
    """Zero for an exponent of zero: 0 times the infinity of 0 ** -1 is not a number."""
    constant = ctx.graph.constants.get(ctx.node.inputs[1])
    if constant is not None and constant.all():
        return 1.0
    return ctx.op("Abs", ctx.op("Sign", exponent))


def extremum(ctx: NodeContext, position: int) -> Value:
    """Max and Min: to the input that was chosen, to the first of equals."""
    if len(ctx.node.inputs) == 2:
        chosen = _chosen_of_two(ctx, position)
    else:
        chosen = ctx.x(position).equals(ctx.y())
        for earlier in range(position):
            chosen = chosen & ctx.op("Not", ctx.x(earlier).equals(ctx.y()))
    return ctx.unbroadcast(ctx.mask(ctx.dy, chosen), position)


def _chosen_of_two(ctx: NodeContext, position: int) -> Value:
    comparison = "GreaterOrEqual" if ctx.node.operator == "Max" else "LessOrEqual"
    first = ctx.op(comparison, ctx.x(0), ctx.x(1), dtype=np.bool_)
    return first if position == 0 else ctx.op("Not", first)


def mean(ctx: NodeContext, position: int) -> Value:
    """The mean of several inputs."""
    return ctx.unbroadcast(ctx.dy / len(ctx.node.inputs), position)


def prelu(ctx: NodeContext, position: int) -> Value:
    """The slope is learned too."""
    x, slope = ctx.x(0), ctx.x(1)
    if position == 0:
        return ctx.dy * _select(ctx, x > 0, 1.0, slope)
    return ctx.unbroadcast(
        ctx.dy * ctx.op("Min", x, ctx.builder.constant(np.zeros((), x.dtype))), 1
    )


def where(ctx: NodeContext, position: int) -> Value | None:
    """To the side that was chosen."""
    if position == 0:
        return None
    chosen = ctx.x(0) if position == 1 else ctx.op("Not", ctx.x(0))
    return ctx.unbroadcast(ctx.mask(ctx.dy, chosen), position)


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
PIECEWISE_CONSTANT = (
    "And ArgMax ArgMin Ceil ConstantOfShape Equal Floor Greater GreaterOrEqual IsInf IsNaN Less "
    "LessOrEqual NonZero Not Or Round Shape Sign Size Xor".split()
)
OTHERS: Mapping[str, Rule] = {
    "Cast": cast,
    "CastLike": cast,
    "Clip": clip,
    "Dropout": dropout,
    **dict.fromkeys(PIECEWISE_CONSTANT, no_gradient),
}
