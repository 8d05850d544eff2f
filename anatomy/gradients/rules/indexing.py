"""Gradients of operators that pick values by index: slices, gathers and their inverse."""

from collections.abc import Mapping

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value

BEFORE_FIRST = -int(np.iinfo(np.int64).max)
"""The end of a slice that goes backwards through all of an axis."""


def slice_(ctx: NodeContext, position: int) -> Value | None:
    """Zeros between the values (steps) and around them; a step backwards flips the axis first."""
    if position != 0:
        return None
    names = [name for name in ctx.node.inputs[1:] if name]
    if not all(name in ctx.graph.constants for name in names):
        return gather(ctx, position)
    shape, starts, ends = ctx.shape(0), ctx.constant(1), ctx.constant(2)
    axes = [axis % len(shape) for axis in ctx.constant(3, range(len(starts)))]
    if not all(isinstance(shape[axis], int) for axis in axes):
        return gather(ctx, position)
    steps = ctx.constant(4, [1] * len(starts))
    slices = [slice(*bounds) for bounds in zip(starts, ends, steps, strict=True)]
    return _unslice(ctx, dict(zip(axes, slices, strict=True)))


def _unslice(ctx: NodeContext, slices: Mapping[int, slice]) -> Value:
    value, pads = ctx.dy, np.zeros((2, len(ctx.shape(0))), np.int64)
    for axis, taken in slices.items():
        (size,) = ctx.sizes(0, [axis])
        indices = range(size)[taken]
        if not indices:
            return ctx.zeros_like(ctx.x(0))
        value = _dilate(ctx, value, axis, taken.step)
        pads[:, axis] = min(indices), size - 1 - max(indices)
    return ctx.op("Pad", value, ctx.integers(pads.ravel().tolist())) if pads.any() else value


def _dilate(ctx: NodeContext, value: Value, axis: int, step: int) -> Value:
    """`abs(step) - 1` zeros between neighbours along an axis, which a negative step flips."""
    axes = ctx.integers([axis])
    if step < 0:
        last, before_first = ctx.integers([-1]), ctx.integers([BEFORE_FIRST])
        value = ctx.op("Slice", value, last, before_first, axes, ctx.integers([-1]))
    if abs(step) == 1:
        return value
    rank = len(ctx.shape(0))
    pads = [0] * (2 * rank + 2)
    pads[rank + 1 + axis + 1] = abs(step) - 1
    column = ctx.op("Unsqueeze", value, ctx.integers([axis + 1]))
    padded = ctx.op("Pad", column, ctx.integers(pads))
    factors = [abs(step) if i == axis else 1 for i in range(rank)]
    merged = ctx.op("Reshape", padded, ctx.shape_of(value) * ctx.integers(factors))
    return ctx.op("Slice", merged, ctx.integers([0]), ctx.integers([1 - abs(step)]), axes)


def gather(ctx: NodeContext, position: int) -> Value | None:
    """Gather and its kin: the same operator, on the flat indices of all values, tells which index
    a value came from.
    """
    if position != 0:
        return None
    repeats = ctx.node.operator != "Slice"
    if repeats and ctx.graph.opset < 16:
        raise ctx.unsupported("values that are read more than once, before opset 16")
    flat = ctx.integers([-1])
    size = ctx.op("Size", ctx.x(0), dtype=np.int64)
    others = [ctx.x(i) if ctx.has(i) else None for i in range(1, len(ctx.node.inputs))]
    read = ctx.op(ctx.node.operator, _flat_indices(ctx, size), *others, **ctx.node.attributes)
    zero = ctx.builder.constant(np.zeros(1, ctx.dy.dtype))
    scattered = ctx.op(
        "ScatterElements",
        ctx.op("Expand", zero, ctx.op("Reshape", size, flat)),
        ctx.op("Reshape", read, flat),
        ctx.op("Reshape", ctx.dy, flat),
        axis=0,
        reduction="add" if repeats else None,
    )
    return ctx.reshape_like(scattered, 0)


def _flat_indices(ctx: NodeContext, size: Value) -> Value:
    """0, 1, 2 … in the shape of the input."""
    zero, one = (ctx.builder.constant(np.array(i, np.int64)) for i in (0, 1))
    indices = ctx.op("Range", zero, size, one, dtype=np.int64)
    return ctx.op("Reshape", indices, ctx.shape_of(ctx.x(0)))


def scatter_elements(ctx: NodeContext, position: int) -> Value | None:
    """The updates take what comes to their indices; the data behind them receive the rest."""
    reduction = ctx.attribute("reduction", "none")
    if reduction not in ("none", "add"):
        raise ctx.unsupported(f"reduction '{reduction}'")
    axis = ctx.attribute("axis", 0)
    if position == 2:
        return ctx.op("GatherElements", ctx.dy, ctx.x(1), axis=axis)
    if position == 1 or reduction == "add":
        return ctx.dy if position == 0 else None
    return ctx.op("ScatterElements", ctx.dy, ctx.x(1), ctx.zeros_like(ctx.x(2)), axis=axis)


INDEXING: Mapping[str, Rule] = {
    "Gather": gather,
    "GatherElements": gather,
    "GatherND": gather,
    "ScatterElements": scatter_elements,
    "Slice": slice_,
}
