"""Convolutions, pools and products computed in NumPy from what the API says of a layer, and from
nothing else.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Json = dict[str, Any]


def answered(
    layer: Json, operands: Sequence[Array], kernels: Json | None, shape: Sequence[int]
) -> Array:
    """What the operator of a layer makes of its operands, [channels, *map] as it is of this
    shape.
    """
    x = operands[0].astype(np.float64)
    match layer["kind"]:
        case "convolution" | "transposed_convolution":
            assert kernels is not None
            compute = _convolved if layer["kind"] == "convolution" else _spread
            result = compute(x, np.array(kernels["kernels"], np.float64), layer, shape)
        case "dense":
            assert kernels is not None
            return np.asarray(x @ np.array(kernels["kernels"]).T + np.array(kernels["bias"] or 0.0))
        case "pool":
            return _pooled(x, layer, shape)
        case _:
            if layer["operator"] == "Concat":
                return np.concatenate(list(operands), axis=layer["attributes"]["axis"] - 1)
            merge = np.add if layer["operator"] == "Add" else np.multiply
            return np.asarray(merge(*operands))
    bias = np.reshape(kernels["bias"] or [0.0], (-1, *[1] * (x.ndim - 1)))
    return np.asarray(result + bias)


def _convolved(x: Array, weights: Array, layer: Json, shape: Sequence[int]) -> Array:
    result = np.zeros(shape)
    parts, outputs = layer["groups"], len(weights) // layer["groups"]
    for offset, window in _windows(x, layer, shape[1:], outside=0.0):
        for group, part in enumerate(np.split(window, parts)):
            rows = slice(group * outputs, (group + 1) * outputs)
            result[rows] += np.tensordot(weights[(rows, slice(None), *offset)], part, axes=1)
    return result


def _spread(x: Array, weights: Array, layer: Json, shape: Sequence[int]) -> Array:
    """Each input adds its kernel at its place; what falls onto the padding is cut off."""
    rank, parts, outputs = x.ndim - 1, layer["groups"], len(weights) // layer["groups"]
    pads = layer["pads"]
    wide = np.zeros(
        (shape[0], *(size + pads[i] + pads[i + rank] for i, size in enumerate(shape[1:])))
    )
    for offset in product(*map(range, layer["kernel_shape"])):
        starts = [at * dilation for at, dilation in zip(offset, layer["dilations"], strict=True)]
        places = tuple(
            slice(start, start + (size - 1) * stride + 1, stride)
            for start, size, stride in zip(starts, x.shape[1:], layer["strides"], strict=True)
        )
        for group, part in enumerate(np.split(x, parts)):
            rows = slice(group * outputs, (group + 1) * outputs)
            kernel: Any = (rows, slice(None), *offset)
            wide[(rows, *places)] += np.tensordot(weights[kernel], part, axes=1)
    return wide[
        (slice(None), *(slice(pads[i], pads[i] + size) for i, size in enumerate(shape[1:])))
    ]


def _pooled(x: Array, layer: Json, shape: Sequence[int]) -> Array:
    if layer["kernel_shape"] is None:
        axes = tuple(range(1, x.ndim))
        return np.reshape(x.mean(axes) if "Average" in layer["operator"] else x.max(axes), shape)
    # Beyond the padding lies what ceil_mode adds, which counts for nothing.
    windows = np.stack([each for _, each in _windows(x, layer, shape[1:], outside=np.nan)])
    if layer["operator"] == "MaxPool":
        return np.asarray(np.nanmax(windows, axis=0))
    counted = np.ones_like(x)
    padding = 1.0 if layer["attributes"].get("count_include_pad") else 0.0
    counts = np.stack([each for _, each in _windows(counted, layer, shape[1:], np.nan, padding)])
    return np.asarray(np.nansum(windows, axis=0) / np.nansum(counts, axis=0))


def _windows(
    x: Array, layer: Json, sizes: Sequence[int], outside: float, padding: float | None = None
) -> Any:
    """For each offset in the kernel: what of the padded input lies under it at every position of
    the map.
    """
    rank, pads = x.ndim - 1, layer["pads"]
    framed = np.pad(
        x,
        [(0, 0), *((pads[i], pads[i + rank]) for i in range(rank))],
        constant_values=outside if padding is None else padding,
    )
    strides, dilations = layer["strides"], layer["dilations"]
    needed = [
        (size - 1) * s + (k - 1) * d + 1
        for size, s, k, d in _zip(sizes, strides, layer["kernel_shape"], dilations)
    ]
    more = [max(0, need - have) for need, have in zip(needed, framed.shape[1:], strict=True)]
    framed = np.pad(framed, [(0, 0), *((0, each) for each in more)], constant_values=outside)
    for offset in product(*map(range, layer["kernel_shape"])):
        places = [
            slice(at * d, at * d + (size - 1) * s + 1, s)
            for at, d, size, s in _zip(offset, dilations, sizes, strides)
        ]
        yield offset, framed[(slice(None), *places)]


def _zip(*values: Sequence[int]) -> Any:
    return zip(*values, strict=True)
