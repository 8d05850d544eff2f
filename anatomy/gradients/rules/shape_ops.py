"""Gradients of operators that move or repeat values without looking at them: each goes back to
where it was.
"""

from collections.abc import Mapping

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value


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
    "Reshape": reshape,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": reshape,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
