"""Gradients of operators that mix whole axes: reductions, softmax and products of matrices."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value

AXES_ARE_INPUT = 18
"""The opset from which all reductions take their axes as an input; ReduceSum does so since 13."""

Reduction = Callable[[NodeContext, Value, Value, Value], Value]
"""dx from the node, dy and y with the reduced axes kept, and x."""


def summed(value: Value, axes: Sequence[int], *, keep: bool = True) -> Value:
    """The sum along constant axes."""
    builder = value.builder
    return builder.op("ReduceSum", value, builder.integers(axes), keepdims=int(keep))


def averaged(p: NodeContext, value: Value, axes: Sequence[int]) -> Value:
    """The mean along constant axes, which stay with size 1."""
    if p.graph.opset < AXES_ARE_INPUT:
        return p.op("ReduceMean", value, axes=list(axes), keepdims=1)
    return p.op("ReduceMean", value, p.integers(axes), keepdims=1)


def count(p: NodeContext, axes: Sequence[int]) -> Value | float:
    """How many values of the input are reduced to one along these axes."""
    sizes = [p.shape(0)[axis] for axis in axes]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == len(sizes):
        return float(np.prod(known, dtype=np.float64))
    sizes_at_run = p.op("Gather", p.shape_of(p.x(0)), p.integers(axes))
    return p.cast(p.op("ReduceProd", sizes_at_run, keepdims=0), p.x(0).dtype)


def reduction(derivative: Reduction, *, keeps_values: bool = False) -> Rule:
    """The rule of a reduction; one that `keeps_values` is the identity where nothing is reduced."""

    def rule(p: NodeContext, position: int) -> Value | None:
        if position != 0:
            return None
        axes = _axes(p)
        if axes is not None:
            return derivative(p, _kept(p, p.dy, axes), _kept(p, p.y(), axes), p.x(0))
        if not keeps_values:
            raise p.unknown("no axes at all")
        return p.dy

    return rule


def _axes(p: NodeContext) -> list[int] | None:
    """The reduced axes; None where there are none."""
    given = p.attribute("axes") if "axes" in p.node.attributes else p.constant(1)
    if p.node.operator.startswith("Global"):
        given = range(2, len(p.shape(0)))
    if not given and p.attribute("noop_with_empty_axes", 0):
        return None
    rank = len(p.shape(0))
    return sorted(axis % rank for axis in given) if given else list(range(rank))


def _kept(p: NodeContext, value: Value, axes: Sequence[int]) -> Value:
    """A value of the output's shape with the reduced axes as axes of size 1."""
    if p.attribute("keepdims", 1) or not axes:
        return value
    return p.op("Unsqueeze", value, p.integers(axes))


def _chosen(p: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    """Equal shares to all that equal the extremum."""
    chosen = p.cast(x.equals(y), x.dtype)
    return chosen * (dy / summed(chosen, _axes(p) or []))


def _mean(p: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    return p.expand_like(dy / count(p, _axes(p) or []), 0)


def _norm(p: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    """x / |x|, and zero where all are zero."""
    return x * (dy / (y + p.cast(y.equals(0.0), y.dtype)))


def _product(p: NodeContext, dy: Value, y: Value, x: Value) -> Value:
    """The product of the others: zeros count as ones, and wherever another one is zero so is the
    gradient.
    """
    axes = _axes(p) or []
    zero = p.cast(x.equals(0.0), x.dtype)
    filled = x + zero
    if p.graph.opset < AXES_ARE_INPUT:
        product = p.op("ReduceProd", filled, axes=axes, keepdims=1)
    else:
        product = p.op("ReduceProd", filled, p.integers(axes), keepdims=1)
    return p.steps(dy * product / filled, (summed(zero, axes) - zero).equals(0.0))


def softmax(p: NodeContext, position: int) -> Value:
    """y * (dy - sum(dy * y))."""
    y, dy = p.y(), p.dy
    return y * (dy - summed(dy * y, [p.attribute("axis", -1)]))


def log_softmax(p: NodeContext, position: int) -> Value:
    """dy - softmax * sum(dy)."""
    return p.dy - p.op("Exp", p.y()) * summed(p.dy, [p.attribute("axis", -1)])


def cumulated(p: NodeContext, position: int) -> Value | None:
    """The sum from the other end."""
    if position != 0:
        return None
    turned = 1 - p.attribute("reverse", 0)
    return p.op("CumSum", p.dy, p.x(1), exclusive=p.attribute("exclusive", 0), reverse=turned)


def gemm(p: NodeContext, position: int) -> Value:
    """alpha A'B' + beta C, where ' may transpose: dA' = alpha dY B'ᵀ, dB' = alpha A'ᵀ dY; Gemm
    itself transposes.
    """
    if position == 2:
        beta = p.attribute("beta", 1.0)
        return p.fit(p.dy if beta == 1 else p.dy * beta, 2)
    turned_a, turned_b = p.attribute("transA", 0), p.attribute("transB", 0)
    a, b, dy = p.x(0), p.x(1), p.dy
    if position == 0:
        left, right, turns = (b, dy, (turned_b, 1)) if turned_a else (dy, b, (0, 1 - turned_b))
    else:
        left, right, turns = (dy, a, (1, turned_a)) if turned_b else (a, dy, (1 - turned_a, 0))
    return p.op("Gemm", left, right, alpha=p.attribute("alpha"), transA=turns[0], transB=turns[1])


def matmul(p: NodeContext, position: int) -> Value:
    """dA = dY Bᵀ, dB = Aᵀ dY, summed over what was broadcast."""
    a, b, dy = p.x(0), p.x(1), p.dy
    ranks = len(p.shape(0)), len(p.shape(1))
    if min(ranks) < 2:
        return _vector_product(p, position)
    if ranks == (2, 2):
        return p.op("Gemm", dy, b, transB=1) if position == 0 else p.op("Gemm", a, dy, transA=1)
    if ranks[1] == 2 and position == 1:
        flat_a, flat_dy = (p.op("Flatten", value, axis=ranks[0] - 1) for value in (a, dy))
        return p.op("Gemm", flat_a, flat_dy, transA=1)
    factors = (dy, _turned(p, b, ranks[1])) if position == 0 else (_turned(p, a, ranks[0]), dy)
    back = p.op("MatMul", *factors)
    return p.fit(back, position, (*p.output_shape()[:-2], *p.shape(position)[-2:]))


def _turned(p: NodeContext, value: Value, rank: int) -> Value:
    """Matrices transposed."""
    return p.op("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])


def _vector_product(p: NodeContext, position: int) -> Value:
    """The outer product of the cotangent with the other operand, summed over what is not the
    operand's own.
    """
    left, right = p.shape(0), p.shape(1)
    other = p.x(1 - position)
    if len(right) == 1:
        outer = p.op("Unsqueeze", p.dy, p.integers([-1])) * other
        return p.fit(outer, position, left)
    dy = p.op("Unsqueeze", p.dy, p.integers([-2]))
    if position == 1:
        return p.op("Unsqueeze", other, p.integers([1])) * dy
    return p.fit(summed(other * dy, [-1], keep=False), 0, right[:-1])


MIXING: Mapping[str, Rule] = {
    "CumSum": cumulated,
    "Gemm": gemm,
    "GlobalAveragePool": reduction(_mean),
    "GlobalMaxPool": reduction(_chosen),
    "LogSoftmax": log_softmax,
    "MatMul": matmul,
    "ReduceL1": reduction(lambda p, dy, y, x: dy * p.op("Sign", x)),
    "ReduceL2": reduction(_norm),
    "ReduceLogSum": reduction(lambda p, dy, y, x: p.expand_like(dy / p.op("Exp", y), 0)),
    "ReduceLogSumExp": reduction(lambda p, dy, y, x: dy * p.op("Exp", x - y)),
    "ReduceMax": reduction(_chosen, keeps_values=True),
    "ReduceMean": reduction(_mean, keeps_values=True),
    "ReduceMin": reduction(_chosen, keeps_values=True),
    "ReduceProd": reduction(_product, keeps_values=True),
    "ReduceSum": reduction(lambda p, dy, y, x: p.expand_like(dy, 0), keeps_values=True),
    "ReduceSumSquare": reduction(lambda p, dy, y, x: x * (2 * dy)),
    "Softmax": softmax,
}
