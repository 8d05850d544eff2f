"""The gradient of a convolution with respect to its kernels, the slow one: every tap of every
kernel sums over a batch.

All taps are one matrix product: the patches that the kernel was laid on, [batch x units, taps x
channels], against the cotangent, [batch x units, outputs]. A single Gather lays the patches out,
channels last, so that it copies whole rows of channels. With few channels rows are short, and a
convolution with batch and channels exchanged is faster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from anatomy.gradients.rules.base import NodeContext, UnknownGradientError
from anatomy.graphs.builder import Value
from anatomy.graphs.graph import Dim, Shape

FEW_CHANNELS = 2

Operand = tuple[Value, Shape]


@dataclass(frozen=True)
class SlidingWindow:
    """A sliding window: one entry an axis, padding as (before, after)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int = 1

    @property
    def rank(self) -> int:
        """How many spatial axes there are."""
        return len(self.kernel)

    @property
    def reach(self) -> tuple[int, ...]:
        """The kernel's extent, holes included."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True))

    @property
    def flat_pads(self) -> list[int]:
        """Padding as ONNX writes it: all befores, then all afters."""
        return [pad[side] for side in (0, 1) for pad in self.pads]

    @property
    def attributes(self) -> dict[str, Any]:
        """What a convolution with this window is written with, padding aside."""
        return {
            "kernel_shape": self.kernel,
            "strides": self.strides,
            "dilations": self.dilations,
            "group": self.groups,
        }


def weight_gradient(
    ctx: NodeContext, source: Operand, cotangent: Operand, window: SlidingWindow
) -> Value:
    """[O, C/g, taps …] from what was convolved [N, C, …] and the cotangent [N, O, units …].

    Raises UnknownGradientError for a grouped convolution whose sizes are open.
    """
    (x, x_shape), (dy, dy_shape) = source, cotangent
    open_sizes = not all(isinstance(size, int) for size in (*x_shape[1:], *dy_shape[1:]))
    if window.groups == 1 and (open_sizes or x_shape[1] in range(1 + FEW_CHANNELS)):
        return _conv_over_batch(ctx, x, dy, window)
    channels, *sizes = known_sizes(ctx, x_shape[1:])
    outputs, *units = known_sizes(ctx, dy_shape[1:])
    patches = _im2col(ctx, x, channels, sizes, units, window)
    if window.groups == 1:
        return _matrix_product(ctx, patches, dy, channels, outputs, window)
    return _grouped_matrix_product(ctx, patches, dy, channels, outputs, window)


def known_sizes(ctx: NodeContext, sizes: Sequence[Dim]) -> tuple[int, ...]:
    """The sizes as numbers; raises UnknownGradientError if the model leaves one open."""
    known = tuple(size for size in sizes if isinstance(size, int))
    if len(known) != len(sizes):
        raise UnknownGradientError(
            f"the gradient of {ctx.node.operator} '{ctx.node.name}' needs its sizes; "
            "give the model an input shape"
        )
    return known


def _conv_over_batch(ctx: NodeContext, x: Value, dy: Value, window: SlidingWindow) -> Value:
    """A convolution over the batch: strides and dilations change places too."""
    axes = range(2, 2 + window.rank)
    exchange = [1, 0, *axes]
    kernels = ctx.op(
        "Conv",
        ctx.op("Transpose", x, perm=exchange),
        ctx.op("Transpose", dy, perm=exchange),
        strides=window.dilations,
        dilations=window.strides,
        pads=window.flat_pads,
    )
    if max(window.strides) > 1:
        zeros = ctx.integers([0] * window.rank)
        kernels = ctx.op("Slice", kernels, zeros, ctx.integers(window.kernel), ctx.integers(axes))
    return ctx.op("Transpose", kernels, perm=exchange)


def _im2col(
    ctx: NodeContext,
    x: Value,
    channels: int,
    sizes: Sequence[int],
    units: Sequence[int],
    window: SlidingWindow,
) -> Value:
    """[N, units, taps, C]: what each tap saw at each unit."""
    last = ctx.op("Transpose", x, perm=[0, *range(2, 2 + window.rank), 1])
    if any(window.flat_pads):
        befores, afters = window.flat_pads[: window.rank], window.flat_pads[window.rank :]
        last = ctx.op("Pad", last, ctx.integers([0, *befores, 0, 0, *afters, 0]))
    flat = ctx.op("Reshape", last, ctx.integers([0, -1, channels]))
    padded = [size + sum(pad) for size, pad in zip(sizes, window.pads, strict=True)]
    return ctx.op(
        "Gather", flat, ctx.builder.constant(im2col_indices(padded, units, window)), axis=1
    )


def im2col_indices(
    padded: Sequence[int], units: Sequence[int], window: SlidingWindow
) -> np.ndarray:
    """[units, taps]: the index in the flattened padded input that each tap of each unit reads."""
    result = np.zeros((1, 1), np.int64)
    for axis, size in enumerate(padded):
        starts = np.arange(units[axis]) * window.strides[axis]
        taps = np.arange(window.kernel[axis]) * window.dilations[axis]
        along = starts[:, None] + taps
        result = (result[:, None, :, None] * size + along[None, :, None, :]).reshape(
            result.shape[0] * len(starts), result.shape[1] * len(taps)
        )
    return result


def _matrix_product(
    ctx: NodeContext, patches: Value, dy: Value, channels: int, outputs: int, window: SlidingWindow
) -> Value:
    taps = prod(window.kernel)
    last = ctx.op("Transpose", dy, perm=[0, *range(2, 2 + window.rank), 1])
    left = ctx.op("Reshape", last, ctx.integers([-1, outputs]))
    right = ctx.op("Reshape", patches, ctx.integers([-1, taps * channels]))
    product = ctx.op("Gemm", left, right, transA=1)
    channels_last = ctx.op("Reshape", product, ctx.integers([outputs, taps, channels]))
    channels_first = ctx.op("Transpose", channels_last, perm=[0, 2, 1])
    return ctx.op("Reshape", channels_first, ctx.integers([outputs, channels, *window.kernel]))


def _grouped_matrix_product(
    ctx: NodeContext, patches: Value, dy: Value, channels: int, outputs: int, window: SlidingWindow
) -> Value:
    """The same product for each group."""
    groups, taps = window.groups, prod(window.kernel)
    group_outputs, group_channels = outputs // groups, channels // groups
    split = ctx.op("Reshape", patches, ctx.integers([0, 0, taps, groups, group_channels]))
    patches_by_group = ctx.op("Transpose", split, perm=[3, 0, 1, 4, 2])
    right_shape = ctx.integers([groups, -1, group_channels * taps])
    right = ctx.op("Reshape", patches_by_group, right_shape)
    split_dy = ctx.op("Reshape", dy, ctx.integers([0, groups, group_outputs, -1]))
    dy_by_group = ctx.op("Transpose", split_dy, perm=[1, 2, 0, 3])
    left = ctx.op("Reshape", dy_by_group, ctx.integers([groups, group_outputs, -1]))
    product = ctx.op("MatMul", left, right)
    return ctx.op("Reshape", product, ctx.integers([outputs, group_channels, *window.kernel]))
