"""Gradients of operators that leave values as they are and move, repeat or drop them: each goes
back where it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.resize import resize_weights
from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value
from anatomy.graphs.graph import Dim

LAST = np.iinfo(np.int64).max
FIRST = -int(LAST)


def reshape(ctx: NodeContext, position: int) -> Value | None:
    """The values in their old shape; shapes and axes receive nothing."""
    return ctx.reshape_like(ctx.dy, 0) if position == 0 else None


def transpose(ctx: NodeContext, position: int) -> Value:
    """The inverse permutation."""
    order = ctx.attribute("perm", tuple(reversed(range(len(ctx.shape(0))))))
    return ctx.op("Transpose", ctx.dy, perm=[order.index(axis) for axis in range(len(order))])


def expand(ctx: NodeContext, position: int) -> Value | None:
    """The sum over what was repeated."""
    return ctx.unbroadcast(ctx.dy, 0) if position == 0 else None


def tile(ctx: NodeContext, position: int) -> Value | None:
    """The sum over the repeats: each axis of the cotangent is [repeats, size]."""
    if position != 0:
        return None
    repeats, sizes = (
        ctx.op("Unsqueeze", value, ctx.integers([1]))
        for value in (ctx.x(1), ctx.shape_of(ctx.x(0)))
    )
    shape = ctx.op("Reshape", ctx.op("Concat", repeats, sizes, axis=1), ctx.integers([-1]))
    apart = ctx.op("Reshape", ctx.dy, shape)
    return ctx.op("ReduceSum", apart, ctx.integers(range(0, 2 * len(ctx.shape(0)), 2)), keepdims=0)


def concat(ctx: NodeContext, position: int) -> Value:
    """The part of the cotangent that an input became."""
    axis, count = ctx.attribute("axis"), len(ctx.node.inputs)
    sizes = [ctx.shape(i)[axis] for i in range(count)]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == count:
        lengths = ctx.integers(known)
    else:
        lengths = ctx.op(
            "Concat", *(ctx.size_along(ctx.x(i), ctx.shape(i), axis) for i in range(count)), axis=0
        )
    return ctx.builder.ops("Split", ctx.dy, lengths, types=[None] * count, axis=axis)[position]


def split(ctx: NodeContext, position: int) -> Value | None:
    """The parts side by side again."""
    if position != 0:
        return None
    parts = [ctx.cotangent_or_zeros(i) for i in range(len(ctx.node.outputs))]
    return ctx.op("Concat", *parts, axis=ctx.attribute("axis", 0))


def slice_(ctx: NodeContext, position: int) -> Value | None:
    """Zeros between the values (steps) and around them; a step backwards turns the axis round
    first.
    """
    if position != 0:
        return None
    names = [name for name in ctx.node.inputs[1:] if name]
    if not all(name in ctx.graph.constants for name in names):
        return gather(ctx, position)
    shape, starts = ctx.shape(0), ctx.constant(1)
    axes = [axis % len(shape) for axis in ctx.constant(3, range(len(starts)))]
    steps = ctx.constant(4, [1] * len(starts))
    if not all(isinstance(shape[axis], int) for axis in axes):
        return gather(ctx, position)
    value, pads = ctx.dy, np.zeros((2, len(shape)), np.int64)
    for size, axis, start, end, step in zip(
        ctx.sizes(0, axes), axes, starts, ctx.constant(2), steps, strict=True
    ):
        taken = range(size)[start:end:step]
        if not taken:
            return ctx.zeros_like(ctx.x(0))
        value = _dilate(ctx, value, axis, step)
        first, width = min(taken), (len(taken) - 1) * abs(step) + 1
        pads[:, axis] = first, size - first - width
    return ctx.op("Pad", value, ctx.integers(pads.ravel().tolist())) if pads.any() else value


def _dilate(ctx: NodeContext, value: Value, axis: int, step: int) -> Value:
    """`abs(step) - 1` zeros between neighbours along an axis, and the axis turned round if the step
    is negative.
    """
    where = ctx.integers([axis])
    if step < 0:
        value = ctx.op(
            "Slice", value, ctx.integers([-1]), ctx.integers([FIRST]), where, ctx.integers([-1])
        )
    if abs(step) == 1:
        return value
    rank = len(ctx.shape(0))
    gaps = [0] * (2 * rank + 2)
    gaps[rank + 1 + axis + 1] = abs(step) - 1
    wide = ctx.op("Pad", ctx.op("Unsqueeze", value, ctx.integers([axis + 1])), ctx.integers(gaps))
    factors = [abs(step) if i == axis else 1 for i in range(rank)]
    merged = ctx.op("Reshape", wide, ctx.shape_of(value) * ctx.integers(factors))
    return ctx.op("Slice", merged, ctx.integers([0]), ctx.integers([1 - abs(step)]), where)


def gather(ctx: NodeContext, position: int) -> Value | None:
    """Gather and its kin: the same operator on the numbers of all places tells which place each
    value came from.
    """
    if position != 0:
        return None
    repeats = ctx.node.operator != "Slice"
    if repeats and ctx.graph.opset < 16:
        raise ctx.unsupported("values that are read more than once, before opset 16")
    x, flat = ctx.x(0), ctx.integers([-1])
    zero, one = (ctx.builder.constant(np.array(i, np.int64)) for i in (0, 1))
    count = ctx.op("Size", x, dtype=np.int64)
    numbers = ctx.op("Reshape", ctx.op("Range", zero, count, one, dtype=np.int64), ctx.shape_of(x))
    others = [ctx.x(i) if ctx.has(i) else None for i in range(1, len(ctx.node.inputs))]
    places = ctx.op(
        "Reshape", ctx.op(ctx.node.operator, numbers, *others, **ctx.node.attributes), flat
    )
    empty = ctx.op(
        "Expand", ctx.builder.constant(np.zeros(1, ctx.dy.dtype)), ctx.op("Reshape", count, flat)
    )
    values = ctx.op("Reshape", ctx.dy, flat)
    return ctx.reshape_like(
        ctx.op(
            "ScatterElements", empty, places, values, axis=0, reduction="add" if repeats else None
        ),
        0,
    )


def scatter_elements(ctx: NodeContext, position: int) -> Value | None:
    """The updates take what comes to their places; the data behind them receive the rest."""
    reduction = ctx.attribute("reduction", "none")
    if reduction not in ("none", "add"):
        raise ctx.unsupported(f"reduction '{reduction}'")
    axis = ctx.attribute("axis", 0)
    if position == 2:
        return ctx.op("GatherElements", ctx.dy, ctx.x(1), axis=axis)
    if position == 1 or reduction == "add":
        return ctx.dy if position == 0 else None
    return ctx.op("ScatterElements", ctx.dy, ctx.x(1), ctx.zeros_like(ctx.x(2)), axis=axis)


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
    matrices: dict[int, NDArray[Any]] = {}
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if before or after:
            (size,) = ctx.sizes(0, [axis])
            kept = np.arange(max(0, -before), size - max(0, -after))
            read = np.pad(kept, (max(0, before), max(0, after)), mode)
            matrices[axis] = np.eye(size)[read]
    return _resample_transposed(ctx, matrices)


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
        ends = np.where(after > 0, -after, LAST)
        value = ctx.op(
            "Slice", value, ctx.builder.constant(before), ctx.builder.constant(ends), axes
        )
    return (
        ctx.op("Pad", value, ctx.builder.constant(np.maximum(-pads, 0)), None, axes)
        if (pads < 0).any()
        else value
    )


def resize(ctx: NodeContext, position: int) -> Value | None:
    """Interpolation along each axis is a matrix that `anatomy.fields.resize` knows; its transpose
    hands back.
    """
    if position != 0:
        return None
    if ctx.attribute("keep_aspect_ratio_policy", "stretch") != "stretch" and ctx.has(3):
        raise ctx.unsupported("sizes that keep the aspect ratio")
    rank = len(ctx.shape(0))
    matrices: dict[int, NDArray[Any]] = {}
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


def _resample_transposed(ctx: NodeContext, matrices: Mapping[int, NDArray[Any]]) -> Value:
    """The cotangent of y = matrix [after, before] times x along each of these axes."""
    value, rank = ctx.dy, len(ctx.shape(0))
    for axis, matrix in sorted(matrices.items()):
        if axis == rank - 1:
            value = ctx.op("MatMul", value, ctx.builder.constant(matrix.astype(value.dtype)))
            continue
        transposed = ctx.builder.constant(np.ascontiguousarray(matrix.T, value.dtype))
        if axis == rank - 2:
            value = ctx.op("MatMul", transposed, value)
            continue
        rest = [ctx.output_shape()[i] for i in range(axis + 1, rank)]
        if not all(isinstance(size, int) for size in rest):
            raise ctx.unsupported(f"open sizes of '{ctx.node.outputs[0]}'")
        flat = ctx.op("Reshape", value, ctx.integers([*[0] * (axis + 1), -1]))
        product = ctx.op("MatMul", transposed, flat)
        value = ctx.op(
            "Reshape",
            product,
            ctx.integers([*[0] * (axis + 1), *[size for size in rest if isinstance(size, int)]]),
        )
    return value


def depth_to_space(ctx: NodeContext, position: int) -> Value:
    """The inverse; in mode CRD the block's place counts faster than the channel."""
    size = ctx.attribute("blocksize")
    back = ctx.op("SpaceToDepth", ctx.dy, blocksize=size)
    if ctx.attribute("mode", "DCR") == "DCR":
        return back
    (channels,) = ctx.sizes(0, [1])
    order = np.arange(channels).reshape(size * size, -1).T.ravel()
    return ctx.op("Gather", back, ctx.integers(order.tolist()), axis=1)


def space_to_depth(ctx: NodeContext, position: int) -> Value:
    """The inverse."""
    return ctx.op("DepthToSpace", ctx.dy, blocksize=ctx.attribute("blocksize"), mode="DCR")


SHAPE_OPS: Mapping[str, Rule] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": reshape,
    "Gather": gather,
    "GatherElements": gather,
    "GatherND": gather,
    "Pad": pad,
    "Reshape": reshape,
    "Resize": resize,
    "ScatterElements": scatter_elements,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": reshape,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
