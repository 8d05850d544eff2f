"""Gradients of normalisations.

All that is reduced to one number a channel is worked out first; every value then costs dy * a + x *
b + c only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.gradients.rules.mixing import averaged, count, summed
from anatomy.graphs.builder import Value


def batch_normalization(p: NodeContext, position: int) -> Value | None:
    """Ioffe and Szegedy 2015."""
    if len({value.dtype for value in map(p.x, range(5))}) > 1:
        raise p.unknown("inputs of different types")
    return _trained(p, position) if p.attribute("training_mode", 0) else _inferred(p, position)


@dataclass(frozen=True)
class _Channels:
    """What a batch norm knows of each channel: lists of C numbers."""

    mean: Value
    inverse: Value
    """1 / sqrt(variance + epsilon)."""
    dy_sum: Value
    product_sum: Value
    """The sum of dy * (x - mean)."""


def _channels(p: NodeContext, mean: Value, variance: Value) -> _Channels:
    axes = _batch_axes(p)
    dy_sum = summed(p.dy, axes, keep=False)
    product_sum = summed(p.dy * p.x(0), axes, keep=False) - mean * dy_sum
    inverse = p.op("Reciprocal", p.op("Sqrt", variance + p.attribute("epsilon", 1e-5)))
    return _Channels(mean, inverse, dy_sum, product_sum)


def _inferred(p: NodeContext, position: int) -> Value:
    """y = (x - mean) * scale / sqrt(variance + epsilon) + bias, with statistics that are given."""
    scale, channels = p.x(1), _channels(p, p.x(3), p.x(4))
    factor = scale * channels.inverse
    match position:
        case 0:
            return p.dy * _wide(p, factor)
        case 1:
            return channels.product_sum * channels.inverse
        case 2:
            return channels.dy_sum
        case 3:
            return -channels.dy_sum * factor
        case _:
            return -0.5 * (channels.product_sum * factor * channels.inverse * channels.inverse)


def _trained(p: NodeContext, position: int) -> Value | None:
    """The same with the statistics of the batch, which depend on x too; the running ones are
    outputs beside y.
    """
    momentum = p.attribute("momentum", 0.9)
    if position > 2:
        given = p.received(position - 2)
        return None if given is None else given * momentum
    channels = _channels(p, *_statistics(p, momentum))
    if position > 0:
        return channels.product_sum * channels.inverse if position == 1 else channels.dy_sum
    number = count(p, _batch_axes(p))
    factor = p.x(1) * channels.inverse
    slope = -(channels.product_sum * channels.inverse * channels.inverse) / number
    shift = -channels.dy_sum / number - slope * channels.mean
    dx = (p.dy + p.x(0) * _wide(p, slope) + _wide(p, shift)) * _wide(p, factor)
    return _with_running(p, dx, channels.mean, (1 - momentum) / number)


def _statistics(p: NodeContext, momentum: float) -> tuple[Value, Value]:
    """Mean and biased variance of the batch: with momentum 0 they are the outputs beside y."""
    if momentum == 0:
        return p.y(1, p.x(0).dtype), p.y(2, p.x(0).dtype)
    axes, flat = _batch_axes(p), p.integers([-1])
    mean = averaged(p, p.x(0), axes)
    centred = p.x(0) - mean
    variance = averaged(p, centred * centred, axes)
    return p.op("Reshape", mean, flat), p.op("Reshape", variance, flat)


def _with_running(p: NodeContext, dx: Value, mean: Value, share: Value | float) -> Value:
    """What comes back from the running mean (d mean / dx = 1/m) and variance (2 (x - mean) / m)."""
    of_mean, of_variance = p.received(1), p.received(2)
    if of_mean is not None:
        dx = dx + _wide(p, of_mean * share)
    if of_variance is not None:
        slope = of_variance * share * 2
        dx = dx + (p.x(0) - _wide(p, mean)) * _wide(p, slope)
    return dx


def _batch_axes(p: NodeContext) -> list[int]:
    return [axis for axis in range(len(p.shape(0))) if axis != 1]


def _wide(p: NodeContext, channels: Value) -> Value:
    """One number a channel, in a shape that is broadcast to [N, C, …]."""
    return p.op("Reshape", channels, p.integers([-1, *[1] * (len(p.shape(0)) - 2)]))


def layer_normalization(p: NodeContext, position: int) -> Value:
    """Ba, Kiros and Hinton 2016: normalised over the axes from `axis` on, then scaled and shifted
    value by value.
    """
    if any(p.received(i) is not None for i in (1, 2)):
        raise p.unknown("its statistics")
    rank = len(p.shape(0))
    axes = range(p.attribute("axis", -1) % rank, rank)
    if position == 2:
        return p.fit(p.dy, 2)
    normal, inverse = _normalised(p, p.x(0), axes, p.attribute("epsilon", 1e-5))
    if position == 1:
        return p.fit(p.dy * normal, 1)
    return _centred_back(p, p.dy * p.x(1), normal, inverse, axes)


def instance_normalization(p: NodeContext, position: int) -> Value:
    """Ulyanov et al. 2016: every channel of every sample by itself, over its positions."""
    axes = range(2, len(p.shape(0)))
    if position == 2:
        return summed(p.dy, _batch_axes(p), keep=False)
    normal, inverse = _normalised(p, p.x(0), axes, p.attribute("epsilon", 1e-5))
    if position == 1:
        return summed(p.dy * normal, _batch_axes(p), keep=False)
    return _centred_back(p, p.dy * _wide(p, p.x(1)), normal, inverse, axes)


def group_normalization(p: NodeContext, position: int) -> Value:
    """Wu and He 2018: groups of channels of every sample; one scale and shift a channel, as since
    opset 21.
    """
    if p.graph.opset < 21:
        raise p.unknown("scales of groups, as before opset 21")
    if position == 2:
        return summed(p.dy, _batch_axes(p), keep=False)
    grouped = p.integers([0, p.attribute("num_groups"), -1])
    x = p.op("Reshape", p.x(0), grouped)
    normal, inverse = _normalised(p, x, [2], p.attribute("epsilon", 1e-5))
    if position == 1:
        return summed(p.dy * p.reshape_like(normal, 0), _batch_axes(p), keep=False)
    scaled = p.op("Reshape", p.dy * _wide(p, p.x(1)), grouped)
    return p.reshape_like(_centred_back(p, scaled, normal, inverse, [2]), 0)


def _normalised(
    p: NodeContext, x: Value, axes: Sequence[int], epsilon: float
) -> tuple[Value, Value]:
    """(x - mean) / deviation along these axes, and 1 / deviation."""
    centred = x - averaged(p, x, axes)
    inverse = p.op("Reciprocal", p.op("Sqrt", averaged(p, centred * centred, axes) + epsilon))
    return centred * inverse, inverse


def _centred_back(
    p: NodeContext, dy: Value, normal: Value, inverse: Value, axes: Sequence[int]
) -> Value:
    """(dy - mean(dy) - normal * mean(dy * normal)) / deviation."""
    return (dy - averaged(p, dy, axes) - normal * averaged(p, dy * normal, axes)) * inverse


def local_response_normalization(p: NodeContext, position: int) -> Value:
    """y = x s^-beta with s = bias + alpha/size * (sum of x² over neighbouring channels) (Krizhevsky
    et al. 2012).

    dx = dy s^-beta - 2 alpha beta / size * x * (sum of dy y / s over the channels that have x for a
    neighbour).
    """
    size: int = p.attribute("size")
    alpha: float = p.attribute("alpha", 1e-4)
    beta: float = p.attribute("beta", 0.75)
    (channels,) = p.sizes(0, [1])
    before, after = (size - 1) // 2, size // 2
    offsets = np.arange(channels)[None, :] - np.arange(channels)[:, None]
    band = ((-before <= offsets) & (offsets <= after)).astype(p.dy.dtype)
    x, y = p.x(0), p.y()
    s: Value = _over_channels(p, x * x, band) * (alpha / size) + p.attribute("bias", 1.0)
    spread = _over_channels(p, p.dy * y / s, band.T) * (2 * alpha * beta / size)
    return p.dy * s**-beta - x * spread


def _over_channels(p: NodeContext, value: Value, matrix: np.ndarray) -> Value:
    """The matrix times the channels of every position."""
    flat = p.op("Reshape", value, p.integers([0, 0, -1]))
    return p.reshape_like(p.op("MatMul", p.builder.constant(np.ascontiguousarray(matrix)), flat), 0)


NORMALISING: Mapping[str, Rule] = {
    "BatchNormalization": batch_normalization,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": local_response_normalization,
    "LayerNormalization": layer_normalization,
}
