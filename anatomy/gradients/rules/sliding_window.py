"""Gradients of the operators that slide a kernel: convolution, transposed convolution, pools; any
number of axes.

With respect to its input a convolution's gradient is the transposed convolution, and the other way
round (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from anatomy.fields.rules.base import RuleNotApplicable
from anatomy.fields.rules.sliding_window import pads_of, transposed_pads, window_geometry
from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.gradients.rules.weight_gradient import SlidingWindow, known_sizes, weight_gradient
from anatomy.graphs.builder import Value

LEAST = -(1 << 62)


def convolution(ctx: NodeContext, position: int) -> Value:
    """Conv(x, w, b)."""
    if position == 2:
        return _bias_gradient(ctx)
    window = _window(ctx)
    if _is_global_depthwise(ctx, window):
        return _global_depthwise(ctx, position)
    if position == 1:
        return weight_gradient(ctx, (ctx.x(0), ctx.shape(0)), (ctx.dy, ctx.output_shape()), window)
    return _input_gradient(ctx, window)


def transposed_convolution(ctx: NodeContext, position: int) -> Value:
    """ConvTranspose(x, w, b): x and dy change places."""
    if position == 2:
        return _bias_gradient(ctx)
    window = _transposed_window(ctx)
    if position == 1:
        return weight_gradient(ctx, (ctx.dy, ctx.output_shape()), (ctx.x(0), ctx.shape(0)), window)
    return ctx.op("Conv", ctx.dy, ctx.x(1), **window.attributes, pads=window.flat_pads)


def average_pool(ctx: NodeContext, position: int) -> Value:
    """Each unit hands an equal share to all that it averaged."""
    rank = len(ctx.shape(0)) - 2
    sizes, channels = ctx.sizes(0, range(2, 2 + rank)), ctx.sizes(0, [1])[0]
    outputs = known_sizes(ctx, ctx.output_shape()[2:])
    window = _window(ctx, groups=channels)
    counts = _counts(window, sizes, outputs, bool(ctx.attribute("count_include_pad", 0)))
    shares = ctx.dy * ctx.builder.constant((1 / counts).astype(ctx.dy.dtype))
    ones = ctx.builder.constant(np.ones((channels, 1, *window.kernel), ctx.dy.dtype))
    return _conv_transpose(ctx, shares, ones, window)


def max_pool(ctx: NodeContext, position: int) -> Value:
    """To the index of each maximum, summed where windows overlap; the indices are the pool's second
    output.
    """
    if ctx.attribute("storage_order", 0):
        raise ctx.unsupported("indices counted by columns")
    flat = ctx.integers([-1])
    indices = ctx.op("Reshape", ctx.y(1), flat, dtype=np.int64)
    size = ctx.op("Size", ctx.x(0), dtype=np.int64)
    zero = ctx.builder.constant(np.zeros(1, ctx.dy.dtype))
    zeros = ctx.op("Expand", zero, ctx.op("Reshape", size, ctx.integers([1]), dtype=np.int64))
    values = ctx.op("Reshape", ctx.dy, flat)
    dx = ctx.op("ScatterElements", zeros, indices, values, axis=0, reduction="add")
    return ctx.reshape_like(dx, 0)


def _bias_gradient(ctx: NodeContext) -> Value:
    rank = len(ctx.output_shape())
    return ctx.op("ReduceSum", ctx.dy, ctx.integers([0, *range(2, rank)]), keepdims=0)


def _is_global_depthwise(ctx: NodeContext, window: SlidingWindow) -> bool:
    """Whether each channel has one kernel of the size of its map, and one unit."""
    alone = ctx.shape(1)[:2] == (window.groups, 1) and ctx.shape(0)[1] == window.groups
    return alone and not any(window.flat_pads) and window.reach == window.kernel == ctx.shape(0)[2:]


def _global_depthwise(ctx: NodeContext, position: int) -> Value:
    """Then the convolution is a sum of products, and so is its gradient."""
    if position == 1:
        return ctx.reshape_like(
            ctx.op("ReduceSum", ctx.dy * ctx.x(0), ctx.integers([0]), keepdims=0), 1
        )
    exchanged = [1, 0, *range(2, len(ctx.shape(1)))]
    return ctx.dy * ctx.op("Transpose", ctx.x(1), perm=exchanged)


def _input_gradient(ctx: NodeContext, window: SlidingWindow) -> Value:
    """At stride 1 a convolution with the kernels turned round, which runtimes do faster than a
    transposed one.
    """
    margins = [
        (reach - 1 - pad[0], reach - 1 - pad[1])
        for reach, pad in zip(window.reach, window.pads, strict=True)
    ]
    if set(window.strides) == {1} and min(min(margin) for margin in margins) >= 0:
        pads = [margin[side] for side in (0, 1) for margin in margins]
        return ctx.op("Conv", ctx.dy, _flip_kernels(ctx, window), **window.attributes, pads=pads)
    return _conv_transpose(ctx, ctx.dy, ctx.x(1), window)


def _flip_kernels(ctx: NodeContext, window: SlidingWindow) -> Value:
    """The kernels [O, C/g, …] turned by half a turn, with inputs and outputs of each group
    exchanged: [C, O/g, …].
    """
    outputs, inputs = ctx.sizes(1, [0, 1])
    w, groups, axes = ctx.x(1), window.groups, list(range(2, 2 + window.rank))
    if max(window.kernel) > 1:
        back, ends = ctx.integers([-1] * window.rank), ctx.integers([LEAST] * window.rank)
        w = ctx.op("Slice", w, back, ends, ctx.integers(axes), back)
    if groups == 1:
        return ctx.op("Transpose", w, perm=[1, 0, *axes])
    grouped = ctx.op(
        "Reshape", w, ctx.integers([groups, outputs // groups, inputs, *window.kernel])
    )
    exchanged = ctx.op("Transpose", grouped, perm=[0, 2, 1, *(axis + 1 for axis in axes)])
    return ctx.op(
        "Reshape", exchanged, ctx.integers([groups * inputs, outputs // groups, *window.kernel])
    )


def _conv_transpose(ctx: NodeContext, dy: Value, kernels: Value, window: SlidingWindow) -> Value:
    """Transposed convolution of dy to the size of the input."""
    sizes, units = ctx.shape(0)[2:], ctx.output_shape()[2:]
    if all(isinstance(size, int) for size in (*sizes, *units)):
        excess = _excess(window, known_sizes(ctx, sizes), known_sizes(ctx, units))
        befores = [before for before, _ in window.pads]
        return ctx.op(
            "ConvTranspose",
            dy,
            kernels,
            **window.attributes,
            pads=[*befores, *(max(beyond, 0) for beyond in excess)],
            output_padding=[max(-beyond, 0) for beyond in excess],
        )
    longest = [stride - 1 for stride in window.strides]
    uncropped = ctx.op("ConvTranspose", dy, kernels, **window.attributes, output_padding=longest)
    starts = ctx.integers([before for before, _ in window.pads])
    ends = starts + ctx.op("Shape", ctx.x(0), dtype=np.int64, start=2)
    return ctx.op("Slice", uncropped, starts, ends, ctx.integers(range(2, 2 + window.rank)))


def _excess(window: SlidingWindow, sizes: Sequence[int], units: Sequence[int]) -> list[int]:
    """How far the last window reaches beyond the end of each axis; negative if it stays short."""
    excess: list[int] = []
    for axis, (before, _) in enumerate(window.pads):
        last_start = (units[axis] - 1) * window.strides[axis] - before
        excess.append(last_start + window.reach[axis] - sizes[axis])
    return excess


def _counts(
    window: SlidingWindow, sizes: Sequence[int], outputs: Sequence[int], padding_counts: bool
) -> np.ndarray:
    """How many inputs each unit of an average pool averages: [1, 1, outputs …]."""
    result = np.ones((1, 1, *[1] * window.rank))
    for axis, (size, units) in enumerate(zip(sizes, outputs, strict=True)):
        before, after = window.pads[axis]
        taps = np.arange(units)[:, None] * window.strides[axis] - before
        taps = taps + window.dilations[axis] * np.arange(window.kernel[axis])
        first, last = (-before, size + after) if padding_counts else (0, size)
        shape = [1] * (2 + window.rank)
        shape[2 + axis] = units
        result = result * ((taps >= first) & (taps < last)).sum(axis=1).reshape(shape)
    return result


def _window(ctx: NodeContext, groups: int = 0) -> SlidingWindow:
    try:
        kernel, strides, dilations = window_geometry(ctx.node, ctx.graph)
        pads = pads_of(ctx.node, ctx.graph)
    except RuleNotApplicable as error:
        raise ctx.unsupported(f"this one: {error}") from None
    groups = groups or ctx.attribute("group", 1)
    return SlidingWindow(kernel, strides, dilations, _known_pads(ctx, pads), groups)


def _transposed_window(ctx: NodeContext) -> SlidingWindow:
    kernel, strides, dilations = window_geometry(ctx.node, ctx.graph)
    befores = transposed_pads(ctx.node, ctx.graph)
    no_pads = ((0, 0),) * len(kernel)
    window = SlidingWindow(kernel, strides, dilations, no_pads, ctx.attribute("group", 1))
    explicit = ctx.attribute("pads")
    pads: list[tuple[int, int] | None] = []
    for axis, before in enumerate(befores):
        after = explicit[len(kernel) + axis] if explicit else _pad_after(ctx, window, axis, before)
        pads.append(None if before is None or after is None else (before, after))
    return replace(window, pads=_known_pads(ctx, pads))


def _pad_after(
    ctx: NodeContext, window: SlidingWindow, axis: int, before: int | None
) -> int | None:
    """What a transposed convolution without explicit pads cuts off after an axis."""
    is_automatic = ctx.attribute("auto_pad", "NOTSET") not in ("NOTSET", "", "VALID")
    if not is_automatic and ctx.attribute("output_shape") is None:
        return 0
    size, output_size = ctx.shape(0)[2 + axis], ctx.output_shape()[2 + axis]
    if not isinstance(size, int) or not isinstance(output_size, int) or before is None:
        return None
    extra = int(ctx.attribute("output_padding", (0,) * window.rank)[axis])
    full_size = window.strides[axis] * (size - 1) + extra + window.reach[axis]
    return full_size - output_size - before


def _known_pads(
    ctx: NodeContext, pads: Sequence[tuple[int, int] | None]
) -> tuple[tuple[int, int], ...]:
    known = tuple(pad for pad in pads if pad is not None)
    if len(known) != len(pads):
        raise ctx.unsupported("padding that depends on an unknown size")
    return known


SLIDING_WINDOW: Mapping[str, Rule] = {
    "AveragePool": average_pool,
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "MaxPool": max_pool,
}
