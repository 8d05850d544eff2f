"""Gradients of products of matrices."""

from collections.abc import Mapping

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.gradients.rules.reductions import reduce_sum
from anatomy.graphs.builder import Value


def gemm(ctx: NodeContext, position: int) -> Value:
    """alpha A'B' + beta C, where ' may transpose: dA' = alpha dY B'ᵀ, dB' = alpha A'ᵀ dY; Gemm
    itself transposes.
    """
    if position == 2:
        beta = ctx.attribute("beta", 1.0)
        return ctx.unbroadcast(ctx.dy if beta == 1 else ctx.dy * beta, 2)
    trans_a, trans_b = ctx.attribute("transA", 0), ctx.attribute("transB", 0)
    a, b, dy = ctx.x(0), ctx.x(1), ctx.dy
    if position == 0:
        left, right, transposed = (b, dy, (trans_b, 1)) if trans_a else (dy, b, (0, 1 - trans_b))
    else:
        left, right, transposed = (dy, a, (1, trans_a)) if trans_b else (a, dy, (1 - trans_a, 0))
    alpha = ctx.attribute("alpha")
    return ctx.op("Gemm", left, right, alpha=alpha, transA=transposed[0], transB=transposed[1])


def matmul(ctx: NodeContext, position: int) -> Value:
    """dA = dY Bᵀ, dB = Aᵀ dY, summed over what was broadcast."""
    a, b, dy = ctx.x(0), ctx.x(1), ctx.dy
    ranks = len(ctx.shape(0)), len(ctx.shape(1))
    if min(ranks) < 2:
        return _vector_product(ctx, position)
    if ranks == (2, 2) and position == 0:
        return ctx.op("Gemm", dy, b, transB=1)
    if ranks[1] == 2 and position == 1:
        return _weight_product(ctx, a, dy, ranks[0])
    if position == 0:
        product = ctx.op("MatMul", dy, _matrix_transpose(ctx, b, ranks[1]))
    else:
        product = ctx.op("MatMul", _matrix_transpose(ctx, a, ranks[0]), dy)
    unreduced = (*ctx.output_shape()[:-2], *ctx.shape(position)[-2:])
    return ctx.unbroadcast(product, position, unreduced)


def _weight_product(ctx: NodeContext, a: Value, dy: Value, rank: int) -> Value:
    """Aᵀ dY of stacks of matrices times one matrix: their rows are one long matrix."""
    if rank > 2:
        a, dy = (ctx.op("Flatten", value, axis=rank - 1) for value in (a, dy))
    return ctx.op("Gemm", a, dy, transA=1)


def _matrix_transpose(ctx: NodeContext, value: Value, rank: int) -> Value:
    """Each matrix of a stack transposed."""
    return ctx.op("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2])


def _vector_product(ctx: NodeContext, position: int) -> Value:
    """The outer product of the cotangent with the other operand, summed over what is not the
    operand's own.
    """
    left, right = ctx.shape(0), ctx.shape(1)
    other = ctx.x(1 - position)
    if len(right) == 1:
        outer = ctx.op("Unsqueeze", ctx.dy, ctx.integers([-1])) * other
        return ctx.unbroadcast(outer, position, left)
    dy = ctx.op("Unsqueeze", ctx.dy, ctx.integers([-2]))
    if position == 1:
        return ctx.op("Unsqueeze", other, ctx.integers([1])) * dy
    return ctx.unbroadcast(reduce_sum(other * dy, [-1], keep=False), 0, right[:-1])


MATRIX_PRODUCTS: Mapping[str, Rule] = {"Gemm": gemm, "MatMul": matmul}
