"""Gradients of normalisations.

All that is reduced to one number a channel is worked out first; every value then costs dy * a + x *
b + c only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.gradients.rules.reductions import reduce_mean, reduce_sum, reduced_size
from anatomy.graphs.builder import Value


def batch_normalization(ctx: NodeContext, position: int) -> Value | None:
    """Ioffe and Szegedy 2015."""
    if len({value.dtype for value in map(ctx.x, range(5))}) > 1:
        raise ctx.unsupported("inputs of different types")
    if ctx.attribute("training_mode", 0):
        return _in_training(ctx, position)
    return _at_inference(ctx, position)


@dataclass(frozen=True)
class _ChannelSums:
    """What a batch norm knows of each channel: lists of C numbers."""

    mean: Value
    inverse: Value
    """1 / sqrt(variance + epsilon)."""
    dy_sum: Value
    product_sum: Value
    """The sum of dy * (x - mean)."""


def _channel_sums(ctx: NodeContext, mean: Value, variance: Value) -> _ChannelSums:
    axes = _batch_axes(ctx)
    dy_sum = reduce_sum(ctx.dy, axes, keep=False)
    product_sum = reduce_sum(ctx.dy * ctx.x(0), axes, keep=False) - mean * dy_sum
    inverse = ctx.op("Reciprocal", ctx.op("Sqrt", variance + ctx.attribute("epsilon", 1e-5)))
    return _ChannelSums(mean, inverse, dy_sum, product_sum)


def _at_inference(ctx: NodeContext, position: int) -> Value:
    """y = (x - mean) * scale / sqrt(variance + epsilon) + bias, with statistics that are given."""
    scale, channels = ctx.x(1), _channel_sums(ctx, ctx.x(3), ctx.x(4))
    factor = scale * channels.inverse
    match position:
        case 0:
            return ctx.dy * _per_channel(ctx, factor)
        case 1:
            return channels.product_sum * channels.inverse
        case 2:
            return channels.dy_sum
        case 3:
            return -channels.dy_sum * factor
        case _:
            return -0.5 * (channels.product_sum * factor * channels.inverse * channels.inverse)


def _in_training(ctx: NodeContext, position: int) -> Value | None:
    """The same with the statistics of the batch, which depend on x too; the running ones are
    outputs beside y.
    """
    momentum = ctx.attribute("momentum", 0.9)
    if position > 2:
        running = ctx.cotangent(position - 2)
        return None if running is None else running * momentum
    channels = _channel_sums(ctx, *_statistics(ctx, momentum))
    if position > 0:
        return channels.product_sum * channels.inverse if position == 1 else channels.dy_sum
    number = reduced_size(ctx, _batch_axes(ctx))
    factor = ctx.x(1) * channels.inverse
    slope = -(channels.product_sum * channels.inverse * channels.inverse) / number
    shift = -channels.dy_sum / number - slope * channels.mean
    projected_dy = ctx.dy + ctx.x(0) * _per_channel(ctx, slope) + _per_channel(ctx, shift)
    dx = projected_dy * _per_channel(ctx, factor)
    return _add_running_statistics(ctx, dx, channels.mean, (1 - momentum) / number)


def _statistics(ctx: NodeContext, momentum: float) -> tuple[Value, Value]:
    """Mean and biased variance of the batch: with momentum 0 they are the outputs beside y."""
    if momentum == 0:
        return ctx.y(1, ctx.x(0).dtype), ctx.y(2, ctx.x(0).dtype)
    axes, flat = _batch_axes(ctx), ctx.integers([-1])
    mean = reduce_mean(ctx, ctx.x(0), axes)
    centred = ctx.x(0) - mean
    variance = reduce_mean(ctx, centred * centred, axes)
    return ctx.op("Reshape", mean, flat), ctx.op("Reshape", variance, flat)


def _add_running_statistics(
    ctx: NodeContext, dx: Value, mean: Value, share: Value | float
) -> Value:
    """What comes back from the running mean (d mean / dx = 1/m) and variance (2 (x - mean) / m)."""
    of_mean, of_variance = ctx.cotangent(1), ctx.cotangent(2)
    if of_mean is not None:
        dx = dx + _per_channel(ctx, of_mean * share)
    if of_variance is not None:
        slope = of_variance * share * 2
        dx = dx + (ctx.x(0) - _per_channel(ctx, mean)) * _per_channel(ctx, slope)
    return dx


def _batch_axes(ctx: NodeContext) -> list[int]:
    return [axis for axis in range(len(ctx.shape(0))) if axis != 1]


def _per_channel(ctx: NodeContext, channels: Value) -> Value:
    """One number a channel, in a shape that is broadcast to [N, C, …]."""
    return ctx.op("Reshape", channels, ctx.integers([-1, *[1] * (len(ctx.shape(0)) - 2)]))


def layer_normalization(ctx: NodeContext, position: int) -> Value:
    """Ba, Kiros and Hinton 2016: normalised over the axes from `axis` on, then scaled and shifted
    value by value.
    """
    if any(ctx.cotangent(i) is not None for i in (1, 2)):
        raise ctx.unsupported("its statistics")
    rank = len(ctx.shape(0))
    axes = range(ctx.attribute("axis", -1) % rank, rank)
    if position == 2:
        return ctx.unbroadcast(ctx.dy, 2)
    normal, inverse = _standardise(ctx, ctx.x(0), axes, ctx.attribute("epsilon", 1e-5))
    if position == 1:
        return ctx.unbroadcast(ctx.dy * normal, 1)
    return _standardise_vjp(ctx, ctx.dy * ctx.x(1), normal, inverse, axes)


def instance_normalization(ctx: NodeContext, position: int) -> Value:
    """Ulyanov et al. 2016: every channel of every sample by itself, over its positions."""
    axes = range(2, len(ctx.shape(0)))
    if position == 2:
        return reduce_sum(ctx.dy, _batch_axes(ctx), keep=False)
    normal, inverse = _standardise(ctx, ctx.x(0), axes, ctx.attribute("epsilon", 1e-5))
    if position == 1:
        return reduce_sum(ctx.dy * normal, _batch_axes(ctx), keep=False)
    return _standardise_vjp(ctx, ctx.dy * _per_channel(ctx, ctx.x(1)), normal, inverse, axes)


def group_normalization(ctx: NodeContext, position: int) -> Value:
    """Wu and He 2018: groups of channels of every sample; one scale and shift a channel, as since
    opset 21.
    """
    if ctx.graph.opset < 21:
        raise ctx.unsupported("scales of groups, as before opset 21")
    if position == 2:
        return reduce_sum(ctx.dy, _batch_axes(ctx), keep=False)
    grouped = ctx.integers([0, ctx.attribute("num_groups"), -1])
    x = ctx.op("Reshape", ctx.x(0), grouped)
    normal, inverse = _standardise(ctx, x, [2], ctx.attribute("epsilon", 1e-5))
    if position == 1:
        return reduce_sum(ctx.dy * ctx.reshape_like(normal, 0), _batch_axes(ctx), keep=False)
    scaled = ctx.op("Reshape", ctx.dy * _per_channel(ctx, ctx.x(1)), grouped)
    return ctx.reshape_like(_standardise_vjp(ctx, scaled, normal, inverse, [2]), 0)


def _standardise(
    ctx: NodeContext, x: Value, axes: Sequence[int], epsilon: float
) -> tuple[Value, Value]:
    """(x - mean) / deviation along these axes, and 1 / deviation."""
    centred = x - reduce_mean(ctx, x, axes)
    variance = reduce_mean(ctx, centred * centred, axes)
    inverse = ctx.op("Reciprocal", ctx.op("Sqrt", variance + epsilon))
    return centred * inverse, inverse


def _standardise_vjp(
    ctx: NodeContext, dy: Value, normal: Value, inverse: Value, axes: Sequence[int]
) -> Value:
    """(dy - mean(dy) - normal * mean(dy * normal)) / deviation."""
    projection = normal * reduce_mean(ctx, dy * normal, axes)
    return (dy - reduce_mean(ctx, dy, axes) - projection) * inverse


def local_response_normalization(ctx: NodeContext, position: int) -> Value:
    """y = x s^-beta with s = bias + alpha/size * (sum of x² over neighbouring channels) (Krizhevsky
    et al. 2012).

    dx = dy s^-beta - 2 alpha beta / size * x * (sum of dy y / s over the channels that have x for a
    neighbour).
    """
    size: int = ctx.attribute("size")
    alpha: float = ctx.attribute("alpha", 1e-4)
    beta: float = ctx.attribute("beta", 0.75)
    (channels,) = ctx.sizes(0, [1])
    before, after = (size - 1) // 2, size // 2
    offsets = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    band = ((-before <= offsets) & (offsets <= after)).astype(ctx.dy.dtype)
    x, y = ctx.x(0), ctx.y()
    s: Value = _matmul_channels(ctx, x * x, band) * (alpha / size) + ctx.attribute("bias", 1.0)
    spread = _matmul_channels(ctx, ctx.dy * y / s, band.T) * (2 * alpha * beta / size)
    return ctx.dy * s**-beta - x * spread


def _matmul_channels(ctx: NodeContext, value: Value, matrix: np.ndarray) -> Value:
    """The matrix times the channels of every position."""
    flat = ctx.op("Reshape", value, ctx.integers([0, 0, -1]))
    constant = ctx.builder.constant(np.ascontiguousarray(matrix))
    return ctx.reshape_like(ctx.op("MatMul", constant, flat), 0)


NORMALISATION: Mapping[str, Rule] = {
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_normalization,
    "LayerNormalization": layer_normalization,
}
