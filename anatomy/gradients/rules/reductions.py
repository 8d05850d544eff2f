"""Gradients of operators that reduce axes, and of softmax and cumulated sums."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value

AXES_ARE_INPUT = 18
"""The opset from which all reductions take their axes as an input; ReduceSum does so since 13."""

Reduction = Callable[[NodeContext, Value, Value, Value], Value]
"""dx from the node, dy and y with the reduced axes kept, and x."""


def reduce_sum(value: Value, axes: Sequence[int], *, keep: bool = True) -> Value:
    """The sum along constant axes."""
    builder = value.builder
    return builder.op("ReduceSum", value, builder.integers(axes), keepdims=int(keep))


def reduce_mean(ctx: NodeContext, value: Value, axes: Sequence[int]) -> Value:
    """The mean along constant axes, which stay with size 1."""
    if ctx.graph.opset < AXES_ARE_INPUT:
        return ctx.op("ReduceMean", value, axes=list(axes), keepdims=1)
    return ctx.op("ReduceMean", value, ctx.integers(axes), keepdims=1)


def reduced_size(ctx: NodeContext, axes: Sequence[int]) -> Value | float:
    """How many values of the input are reduced to one along these axes."""
    sizes = [ctx.shape(0)[axis] for axis in axes]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == len(sizes):
        return float(np.prod(known, dtype=np.float64))
    sizes_at_run = ctx.op("Gather", ctx.shape_of(ctx.x(0)), ctx.integers(axes))
    return ctx.cast(ctx.op("ReduceProd", sizes_at_run, keepdims=0), ctx.x(0).dtype)


def reduction(derivative: Reduction, *, keeps_values: bool = False) -> Rule:
    """The rule of a reduction; one that `keeps_values` is the identity where nothing is reduced."""

    def rule(ctx: NodeContext, position: int) -> Value | None:
        if position != 0:
            return None
        axes = _axes(ctx)
        if axes is not None:
            dy, y = _keep_dims(ctx, ctx.dy, axes), _keep_dims(ctx, ctx.y(), axes)
            return derivative(ctx, dy, y, ctx.x(0))
        if not keeps_values:
            raise ctx.unsupported("no axes at all")
        return ctx.dy

    return rule


def _axes(ctx: NodeContext) -> list[int] | None:
    """The reduced axes; None where there are none."""
    rank = len(ctx.shape(0))
    axes = ctx.attribute("axes") if "axes" in ctx.node.attributes else ctx.constant(1)
    if ctx.node.operator.startswith("Global"):
        axes = range(2, rank)
    if axes:
        return sorted(axis % rank for axis in axes)
    return None if ctx.attribute("noop_with_empty_axes", 0) else list(range(rank))


def _keep_dims(ctx: NodeContext, value: Value, axes: Sequence[int]) -> Value:
    """A value of the output's shape with the reduced axes as axes of size 1."""
    if ctx.attribute("keepdims", 1) or not axes:
        return value
    return ctx.op("Unsqueeze", value, ctx.integers(axes))


def _extremum(ctx: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    """Equal shares to all that equal the extremum."""
    chosen = ctx.cast(x.equals(y), x.dtype)
    return chosen * (dy / reduce_sum(chosen, _axes(ctx) or []))


def _mean(ctx: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    return ctx.expand_like(dy / reduced_size(ctx, _axes(ctx) or []), 0)


def _norm(ctx: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    """x / |x|, and zero where all are zero."""
    return x * (dy / (y + ctx.cast(y.equals(0.0), y.dtype)))


def _product(ctx: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    """The product of the others: zeros count as ones, and wherever another one is zero so is the
    gradient.
    """
    axes = _axes(ctx) or []
    zero = ctx.cast(x.equals(0.0), x.dtype)
    filled = x + zero
    if ctx.graph.opset < AXES_ARE_INPUT:
        product = ctx.op("ReduceProd", filled, axes=axes, keepdims=1)
    else:
        product = ctx.op("ReduceProd", filled, ctx.integers(axes), keepdims=1)
    return ctx.mask(dy * product / filled, (reduce_sum(zero, axes) - zero).equals(0.0))


def softmax(ctx: NodeContext, position: int) -> Value:
    """y * (dy - sum(dy * y))."""
    y, dy = ctx.y(), ctx.dy
    return y * (dy - reduce_sum(dy * y, [ctx.attribute("axis", -1)]))


def log_softmax(ctx: NodeContext, position: int) -> Value:
    """dy - softmax * sum(dy)."""
    return ctx.dy - ctx.op("Exp", ctx.y()) * reduce_sum(ctx.dy, [ctx.attribute("axis", -1)])


def cumsum(ctx: NodeContext, position: int) -> Value | None:
    """The sum from the other end."""
    if position != 0:
        return None
    return ctx.op(
        "CumSum",
        ctx.dy,
        ctx.x(1),
        exclusive=ctx.attribute("exclusive", 0),
        reverse=1 - ctx.attribute("reverse", 0),
    )


REDUCTIONS: Mapping[str, Rule] = {
    "CumSum": cumsum,
    "GlobalAveragePool": reduction(_mean),
    "GlobalMaxPool": reduction(_extremum),
    "LogSoftmax": log_softmax,
    "ReduceL1": reduction(lambda ctx, dy, y, x: dy * ctx.op("Sign", x)),
    "ReduceL2": reduction(_norm),
    "ReduceLogSum": reduction(lambda ctx, dy, y, x: ctx.expand_like(dy / ctx.op("Exp", y), 0)),
    "ReduceLogSumExp": reduction(lambda ctx, dy, y, x: dy * ctx.op("Exp", x - y)),
    "ReduceMax": reduction(_extremum, keeps_values=True),
    "ReduceMean": reduction(_mean, keeps_values=True),
    "ReduceMin": reduction(_extremum, keeps_values=True),
    "ReduceProd": reduction(_product, keeps_values=True),
    "ReduceSum": reduction(lambda ctx, dy, y, x: ctx.expand_like(dy, 0), keeps_values=True),
    "ReduceSumSquare": reduction(lambda ctx, dy, y, x: x * (2 * dy)),
    "Softmax": softmax,
}
