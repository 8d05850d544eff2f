"""Gradients of Resize and Pad: a matrix along each axis, whose transpose hands back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.resize import resize_weights
from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value
from anatomy.graphs.graph import Dim

Matrix = NDArray[Any]

TO_THE_END = np.iinfo(np.int64).max


def pad(ctx: NodeContext, position: int) -> Value | None:
    """What lies in the padding falls off, or goes back to the values that it mirrors; what was
    cropped gets zeros.
    """
    mode = ctx.attribute("mode", "constant")
    if mode == "constant":
        return _pad_constant(ctx, position)
    if position != 0:
        return None
    rank, pads = len(ctx.shape(0)), ctx.constant(1)
    axes = [axis % rank for axis in ctx.constant(3, range(rank))]
    matrices: dict[int, Matrix] = {}
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if before or after:
            matrices[axis] = _pad_matrix(ctx.sizes(0, [axis])[0], before, after, mode)
    return _resample_transposed(ctx, matrices)


def _pad_matrix(size: int, before: int, after: int, mode: Any) -> Matrix:
    """The matrix [after, before] that pads one axis, or crops it where a padding is negative."""
    kept = np.arange(max(0, -before), size - max(0, -after))
    indices = np.pad(kept, (max(0, before), max(0, after)), mode)
    return np.eye(size)[indices]


def _pad_constant(ctx: NodeContext, position: int) -> Value | None:
    if position not in (0, 2):
        return None
    back = _unpad(ctx)
    if position == 0:
        return back
    outside = ctx.op("ReduceSum", ctx.dy, keepdims=0) - ctx.op("ReduceSum", back, keepdims=0)
    return ctx.reshape_like(outside, 2)


def _unpad(ctx: NodeContext) -> Value:
    """Cropping for padding, padding for cropping; where paddings are computed, both by their
    negative.
    """
    axes = ctx.x(3) if ctx.has(3) else None
    if ctx.node.inputs[1] not in ctx.graph.constants:
        return ctx.op("Pad", ctx.dy, -ctx.x(1), None, axes)
    pads, value = ctx.graph.constants[ctx.node.inputs[1]], ctx.dy
    before, after = np.split(np.maximum(pads, 0), 2)
    if before.any() or after.any():
        starts = ctx.builder.constant(before)
        ends = ctx.builder.constant(np.where(after > 0, -after, TO_THE_END))
        value = ctx.op("Slice", value, starts, ends, axes)
    if (pads < 0).any():
        cropped = ctx.builder.constant(np.maximum(-pads, 0))
        value = ctx.op("Pad", value, cropped, None, axes)
    return value


def resize(ctx: NodeContext, position: int) -> Value | None:
    """Interpolation along each axis is a matrix that `anatomy.fields.resize` knows; its transpose
    hands back.
    """
    if position != 0:
        return None
    if ctx.attribute("keep_aspect_ratio_policy", "stretch") != "stretch" and ctx.has(3):
        raise ctx.unsupported("sizes that keep the aspect ratio")
    rank = len(ctx.shape(0))
    matrices: dict[int, Matrix] = {}
    for axis, scale in enumerate(_scales(ctx, rank)):
        before, after = ctx.shape(0)[axis], ctx.output_shape()[axis]
        if _is_unchanged(before, after, scale):
            continue
        (size,) = ctx.sizes(0, [axis])
        if not isinstance(after, int):
            raise ctx.unsupported(f"an open size of '{ctx.node.outputs[0]}'")
        weights = resize_weights(ctx.node.operator, ctx.node.attributes, size, after, scale)
        if weights is None:
            raise ctx.unsupported("this interpolation")
        matrices[axis] = weights
    return _resample_transposed(ctx, matrices)


def _is_unchanged(before: Dim, after: Dim, scale: float | None) -> bool:
    return scale == 1 or (before is not None and before == after and scale is None)


def _scales(ctx: NodeContext, rank: int) -> Sequence[float | None]:
    """One scale an axis; None where sizes are given."""
    axes = [axis % rank for axis in ctx.attribute("axes", range(rank))]
    result: list[float | None] = [None] * rank
    for axis, scale in zip(axes, ctx.constant(2) or [None] * len(axes), strict=True):
        result[axis] = scale
    untouched = set(range(rank)) - set(axes)
    return [1.0 if axis in untouched else scale for axis, scale in enumerate(result)]


def _resample_transposed(ctx: NodeContext, matrices: Mapping[int, Matrix]) -> Value:
    """The cotangent of y = matrix [after, before] times x along each of these axes."""
    value, rank = ctx.dy, len(ctx.shape(0))
    for axis, matrix in sorted(matrices.items()):
        if axis == rank - 1:
            value = ctx.op("MatMul", value, ctx.builder.constant(matrix.astype(value.dtype)))
            continue
        transposed = ctx.builder.constant(np.ascontiguousarray(matrix.T, value.dtype))
        if axis == rank - 2:
            value = ctx.op("MatMul", transposed, value)
        else:
            value = _matmul_along(ctx, transposed, value, axis)
    return value


def _matmul_along(ctx: NodeContext, matrix: Value, value: Value, axis: int) -> Value:
    """A matrix times an axis that is not among the last two."""
    later_sizes = ctx.output_shape()[axis + 1 :]
    known = [size for size in later_sizes if isinstance(size, int)]
    if len(known) != len(later_sizes):
        raise ctx.unsupported(f"open sizes of '{ctx.node.outputs[0]}'")
    unchanged = [0] * (axis + 1)
    flat = ctx.op("Reshape", value, ctx.integers([*unchanged, -1]))
    product = ctx.op("MatMul", matrix, flat)
    return ctx.op("Reshape", product, ctx.integers([*unchanged, *known]))


RESAMPLING: Mapping[str, Rule] = {"Pad": pad, "Resize": resize}
