"""Gradients of the operators that slide a kernel: convolution, transposed convolution, pools; any
number of axes.

With respect to its input a convolution's gradient is the transposed convolution, and the other way
round (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016).
"""

from collections.abc import Sequence

import numpy as np

from anatomy.fields.rules.base import RuleNotApplicable
from anatomy.fields.rules.sliding import pads_of, transposed_pads, window_geometry
from anatomy.gradients.rules.base import NodeContext
from anatomy.gradients.rules.kernels import Sliding, known_sizes, weight_gradient
from anatomy.graphs.builder import Value

LEAST = -(1 << 62)


def convolution(p: NodeContext, position: int) -> Value:
    """Conv(x, w, b)."""
    if position == 2:
        return _over_positions(p)
    window = _window(p)
    if _covers(p, window):
        return _covering(p, position)
    if position == 1:
        return weight_gradient(p, (p.x(0), p.shape(0)), (p.dy, p.output_shape()), window)
    return _convolved_back(p, window)


def transposed_convolution(p: NodeContext, position: int) -> Value:
    """ConvTranspose(x, w, b): x and dy change places."""
    if position == 2:
        return _over_positions(p)
    window = _transposed_window(p)
    if position == 1:
        return weight_gradient(p, (p.dy, p.output_shape()), (p.x(0), p.shape(0)), window)
    return p.op("Conv", p.dy, p.x(1), **window.attributes, pads=window.flat_pads)


def average_pool(p: NodeContext, position: int) -> Value:
    """Each unit hands an equal share to all that it averaged."""
    rank = len(p.shape(0)) - 2
    sizes, channels = p.sizes(0, range(2, 2 + rank)), p.sizes(0, [1])[0]
    outputs = known_sizes(p, p.output_shape()[2:])
    window = _window(p, groups=channels)
    counts = _counts(window, sizes, outputs, bool(p.attribute("count_include_pad", 0)))
    shares = p.dy * p.builder.constant((1 / counts).astype(p.dy.dtype))
    ones = p.builder.constant(np.ones((channels, 1, *window.kernel), p.dy.dtype))
    return _laid_over(p, shares, ones, window)


def max_pool(p: NodeContext, position: int) -> Value:
    """To the place of each maximum, summed where windows overlap; the places are the pool's second
    output.
    """
    if p.attribute("storage_order", 0):
        raise p.unknown("places counted by columns")
    places = p.op("Reshape", p.y(1), p.integers([-1]), dtype=np.int64)
    count = p.op("Reshape", p.op("Size", p.x(0), dtype=np.int64), p.integers([1]), dtype=np.int64)
    empty = p.op("Expand", p.builder.constant(np.zeros(1, p.dy.dtype)), count)
    flat = p.op("Reshape", p.dy, p.integers([-1]))
    return p.reshape_like(p.op("ScatterElements", empty, places, flat, axis=0, reduction="add"), 0)


def _over_positions(p: NodeContext) -> Value:
    rank = len(p.output_shape())
    return p.op("ReduceSum", p.dy, p.integers([0, *range(2, rank)]), keepdims=0)


def _covers(p: NodeContext, window: Sliding) -> bool:
    """Whether each channel has one kernel of the size of its map, and one unit."""
    alone = p.shape(1)[:2] == (window.groups, 1) and p.shape(0)[1] == window.groups
    return alone and not any(window.flat_pads) and window.reach == window.kernel == p.shape(0)[2:]


def _covering(p: NodeContext, position: int) -> Value:
    """Then the convolution is a sum of products, and so is its gradient."""
    if position == 1:
        return p.reshape_like(p.op("ReduceSum", p.dy * p.x(0), p.integers([0]), keepdims=0), 1)
    exchanged = [1, 0, *range(2, len(p.shape(1)))]
    return p.dy * p.op("Transpose", p.x(1), perm=exchanged)


def _convolved_back(p: NodeContext, window: Sliding) -> Value:
    """At stride 1 a convolution with the kernels turned round, which runtimes do faster than a
    transposed one.
    """
    margins = [
        (reach - 1 - pad[0], reach - 1 - pad[1])
        for reach, pad in zip(window.reach, window.pads, strict=True)
    ]
    if set(window.strides) == {1} and min(min(margin) for margin in margins) >= 0:
        pads = [margin[side] for side in (0, 1) for margin in margins]
        return p.op("Conv", p.dy, _turned(p, window), **window.attributes, pads=pads)
    return _laid_over(p, p.dy, p.x(1), window)


def _turned(p: NodeContext, window: Sliding) -> Value:
    """The kernels [O, C/g, …] turned by half a turn, with inputs and outputs of each group
    exchanged: [C, O/g, …].
    """
    outputs, inputs = p.sizes(1, [0, 1])
    w, groups, axes = p.x(1), window.groups, list(range(2, 2 + window.rank))
    if max(window.kernel) > 1:
        back, ends = p.integers([-1] * window.rank), p.integers([LEAST] * window.rank)
        w = p.op("Slice", w, back, ends, p.integers(axes), back)
    if groups == 1:
        return p.op("Transpose", w, perm=[1, 0, *axes])
    grouped = p.op("Reshape", w, p.integers([groups, outputs // groups, inputs, *window.kernel]))
    exchanged = p.op("Transpose", grouped, perm=[0, 2, 1, *(axis + 1 for axis in axes)])
    return p.op(
        "Reshape", exchanged, p.integers([groups * inputs, outputs // groups, *window.kernel])
    )


def _laid_over(p: NodeContext, dy: Value, kernels: Value, window: Sliding) -> Value:
    """Transposed convolution of dy to the size of the input."""
    sizes, units = p.shape(0)[2:], p.output_shape()[2:]
    if all(isinstance(size, int) for size in (*sizes, *units)):
        # How far the last window reaches beyond the input, or stays short of its end.
        excess = [
            (unit - 1) * stride + reach - pad[0] - size
            for unit, stride, reach, pad, size in zip(
                known_sizes(p, units),
                window.strides,
                window.reach,
                window.pads,
                known_sizes(p, sizes),
                strict=True,
            )
        ]
        pads = [*(pad[0] for pad in window.pads), *(max(more, 0) for more in excess)]
        short = [max(-more, 0) for more in excess]
        return p.op(
            "ConvTranspose", dy, kernels, **window.attributes, pads=pads, output_padding=short
        )
    longest = [stride - 1 for stride in window.strides]
    whole = p.op("ConvTranspose", dy, kernels, **window.attributes, output_padding=longest)
    before = p.integers([pad[0] for pad in window.pads])
    ends = before + p.op("Shape", p.x(0), dtype=np.int64, start=2)
    return p.op("Slice", whole, before, ends, p.integers(range(2, 2 + window.rank)))


def _counts(
    window: Sliding, sizes: Sequence[int], outputs: Sequence[int], padding_counts: bool
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


def _window(p: NodeContext, groups: int | None = None) -> Sliding:
    try:
        kernel, strides, dilations = window_geometry(p.node, p.graph)
        pads = pads_of(p.node, p.graph)
    except RuleNotApplicable as error:
        raise p.unknown(f"this one: {error}") from None
    return Sliding(
        kernel, strides, dilations, _known_pads(p, pads), groups or p.attribute("group", 1)
    )


def _transposed_window(p: NodeContext) -> Sliding:
    kernel, strides, dilations = window_geometry(p.node, p.graph)
    befores = transposed_pads(p.node, p.graph)
    given = p.attribute("pads")
    window = Sliding(kernel, strides, dilations, ((0, 0),) * len(kernel), p.attribute("group", 1))
    pads: list[tuple[int, int] | None] = []
    for axis, before in enumerate(befores):
        after = given[len(kernel) + axis] if given else _after(p, window, axis, before)
        pads.append(None if before is None or after is None else (before, after))
    return Sliding(kernel, strides, dilations, _known_pads(p, pads), window.groups)


def _after(p: NodeContext, window: Sliding, axis: int, before: int | None) -> int | None:
    size, wanted = p.shape(0)[2 + axis], p.output_shape()[2 + axis]
    if (
        p.attribute("auto_pad", "NOTSET") in ("NOTSET", "", "VALID")
        and p.attribute("output_shape") is None
    ):
        return 0
    if not isinstance(size, int) or not isinstance(wanted, int) or before is None:
        return None
    extra = p.attribute("output_padding", (0,) * window.rank)[axis]
    return window.strides[axis] * (size - 1) + int(extra) + window.reach[axis] - wanted - before


def _known_pads(
    p: NodeContext, pads: Sequence[tuple[int, int] | None]
) -> tuple[tuple[int, int], ...]:
    known = tuple(pad for pad in pads if pad is not None)
    if len(known) != len(pads):
        raise p.unknown("padding that depends on an unknown size")
    return known
