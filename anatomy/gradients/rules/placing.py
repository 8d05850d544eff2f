"""Gradients of operators that leave values as they are and move, repeat or drop them: each goes
back where it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.resample import resize_weights
from anatomy.gradients.rules.base import NodeContext, Rule
from anatomy.graphs.builder import Value
from anatomy.graphs.graph import Dim

LAST = np.iinfo(np.int64).max
FIRST = -int(LAST)


def reshaped(p: NodeContext, position: int) -> Value | None:
    """The values in their old shape; shapes and axes receive nothing."""
    return p.reshape_like(p.dy, 0) if position == 0 else None


def transpose(p: NodeContext, position: int) -> Value:
    """The inverse permutation."""
    order = p.attribute("perm", tuple(reversed(range(len(p.shape(0))))))
    return p.op("Transpose", p.dy, perm=[order.index(axis) for axis in range(len(order))])


def expand(p: NodeContext, position: int) -> Value | None:
    """The sum over what was repeated."""
    return p.fit(p.dy, 0) if position == 0 else None


def tile(p: NodeContext, position: int) -> Value | None:
    """The sum over the repeats: each axis of the cotangent is [repeats, size]."""
    if position != 0:
        return None
    repeats, sizes = (
        p.op("Unsqueeze", value, p.integers([1])) for value in (p.x(1), p.shape_of(p.x(0)))
    )
    shape = p.op("Reshape", p.op("Concat", repeats, sizes, axis=1), p.integers([-1]))
    apart = p.op("Reshape", p.dy, shape)
    return p.op("ReduceSum", apart, p.integers(range(0, 2 * len(p.shape(0)), 2)), keepdims=0)


def concat(p: NodeContext, position: int) -> Value:
    """The part of the cotangent that an input became."""
    axis, count = p.attribute("axis"), len(p.node.inputs)
    sizes = [p.shape(i)[axis] for i in range(count)]
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) == count:
        lengths = p.integers(known)
    else:
        lengths = p.op(
            "Concat", *(p.size_along(p.x(i), p.shape(i), axis) for i in range(count)), axis=0
        )
    return p.builder.ops("Split", p.dy, lengths, types=[None] * count, axis=axis)[position]


def split(p: NodeContext, position: int) -> Value | None:
    """The parts side by side again."""
    if position != 0:
        return None
    parts = [p.dys(i) for i in range(len(p.node.outputs))]
    return p.op("Concat", *parts, axis=p.attribute("axis", 0))


def slice_(p: NodeContext, position: int) -> Value | None:
    """Zeros between the values (steps) and around them; a step backwards turns the axis round
    first.
    """
    if position != 0:
        return None
    names = [name for name in p.node.inputs[1:] if name]
    if not all(name in p.graph.constants for name in names):
        return scattered(p, position)
    shape, starts = p.shape(0), p.constant(1)
    axes = [axis % len(shape) for axis in p.constant(3, range(len(starts)))]
    steps = p.constant(4, [1] * len(starts))
    if not all(isinstance(shape[axis], int) for axis in axes):
        return scattered(p, position)
    value, pads = p.dy, np.zeros((2, len(shape)), np.int64)
    for size, axis, start, end, step in zip(
        p.sizes(0, axes), axes, starts, p.constant(2), steps, strict=True
    ):
        taken = range(size)[start:end:step]
        if not taken:
            return p.zeros_like(p.x(0))
        value = _apart(p, value, axis, step)
        first, width = min(taken), (len(taken) - 1) * abs(step) + 1
        pads[:, axis] = first, size - first - width
    return p.op("Pad", value, p.integers(pads.ravel().tolist())) if pads.any() else value


def _apart(p: NodeContext, value: Value, axis: int, step: int) -> Value:
    """`abs(step) - 1` zeros between neighbours along an axis, and the axis turned round if the step
    is negative.
    """
    where = p.integers([axis])
    if step < 0:
        value = p.op("Slice", value, p.integers([-1]), p.integers([FIRST]), where, p.integers([-1]))
    if abs(step) == 1:
        return value
    rank = len(p.shape(0))
    gaps = [0] * (2 * rank + 2)
    gaps[rank + 1 + axis + 1] = abs(step) - 1
    wide = p.op("Pad", p.op("Unsqueeze", value, p.integers([axis + 1])), p.integers(gaps))
    factors = [abs(step) if i == axis else 1 for i in range(rank)]
    merged = p.op("Reshape", wide, p.shape_of(value) * p.integers(factors))
    return p.op("Slice", merged, p.integers([0]), p.integers([1 - abs(step)]), where)


def scattered(p: NodeContext, position: int) -> Value | None:
    """Gather and its kin: the same operator on the numbers of all places tells which place each
    value came from.
    """
    if position != 0:
        return None
    repeats = p.node.operator != "Slice"
    if repeats and p.graph.opset < 16:
        raise p.unknown("values that are read more than once, before opset 16")
    x, flat = p.x(0), p.integers([-1])
    zero, one = (p.builder.constant(np.array(i, np.int64)) for i in (0, 1))
    count = p.op("Size", x, dtype=np.int64)
    numbers = p.op("Reshape", p.op("Range", zero, count, one, dtype=np.int64), p.shape_of(x))
    others = [p.x(i) if p.has(i) else None for i in range(1, len(p.node.inputs))]
    places = p.op("Reshape", p.op(p.node.operator, numbers, *others, **p.node.attributes), flat)
    empty = p.op(
        "Expand", p.builder.constant(np.zeros(1, p.dy.dtype)), p.op("Reshape", count, flat)
    )
    values = p.op("Reshape", p.dy, flat)
    return p.reshape_like(
        p.op(
            "ScatterElements", empty, places, values, axis=0, reduction="add" if repeats else None
        ),
        0,
    )


def scatter_elements(p: NodeContext, position: int) -> Value | None:
    """The updates take what comes to their places; the data behind them receive the rest."""
    reduction = p.attribute("reduction", "none")
    if reduction not in ("none", "add"):
        raise p.unknown(f"reduction '{reduction}'")
    axis = p.attribute("axis", 0)
    if position == 2:
        return p.op("GatherElements", p.dy, p.x(1), axis=axis)
    if position == 1 or reduction == "add":
        return p.dy if position == 0 else None
    return p.op("ScatterElements", p.dy, p.x(1), p.zeros_like(p.x(2)), axis=axis)


def pad(p: NodeContext, position: int) -> Value | None:
    """What lies in the padding falls off, or goes back to the values that it mirrors; what was
    cropped gets zeros.
    """
    mode = p.attribute("mode", "constant")
    if mode == "constant":
        return _pad_constant(p, position)
    if position != 0:
        return None
    rank, pads = len(p.shape(0)), p.constant(1)
    axes = [axis % rank for axis in p.constant(3, range(rank))]
    matrices: dict[int, NDArray[Any]] = {}
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if before or after:
            (size,) = p.sizes(0, [axis])
            kept = np.arange(max(0, -before), size - max(0, -after))
            read = np.pad(kept, (max(0, before), max(0, after)), mode)
            matrices[axis] = np.eye(size)[read]
    return _transformed_back(p, matrices)


def _pad_constant(p: NodeContext, position: int) -> Value | None:
    if position not in (0, 2):
        return None
    back = _unpadded(p)
    if position == 0:
        return back
    outside = p.op("ReduceSum", p.dy, keepdims=0) - p.op("ReduceSum", back, keepdims=0)
    return p.reshape_like(outside, 2)


def _unpadded(p: NodeContext) -> Value:
    """Cropping for padding, padding for cropping; where paddings are computed, both by their
    negative.
    """
    axes = p.x(3) if p.has(3) else None
    if p.node.inputs[1] not in p.graph.constants:
        return p.op("Pad", p.dy, -p.x(1), None, axes)
    pads, value = p.graph.constants[p.node.inputs[1]], p.dy
    before, after = np.split(np.maximum(pads, 0), 2)
    if before.any() or after.any():
        ends = np.where(after > 0, -after, LAST)
        value = p.op("Slice", value, p.builder.constant(before), p.builder.constant(ends), axes)
    return (
        p.op("Pad", value, p.builder.constant(np.maximum(-pads, 0)), None, axes)
        if (pads < 0).any()
        else value
    )


def resize(p: NodeContext, position: int) -> Value | None:
    """Interpolation along each axis is a matrix that `anatomy.fields.resample` knows; its transpose
    hands back.
    """
    if position != 0:
        return None
    if p.attribute("keep_aspect_ratio_policy", "stretch") != "stretch" and p.has(3):
        raise p.unknown("sizes that keep the aspect ratio")
    rank = len(p.shape(0))
    matrices: dict[int, NDArray[Any]] = {}
    for axis, scale in enumerate(_scales(p, rank)):
        before, after = p.shape(0)[axis], p.output_shape()[axis]
        if _is_same(before, after, scale):
            continue
        (size,) = p.sizes(0, [axis])
        if not isinstance(after, int):
            raise p.unknown(f"an open size of '{p.node.outputs[0]}'")
        weights = resize_weights(p.node.operator, p.node.attributes, size, after, scale)
        if weights is None:
            raise p.unknown("this interpolation")
        matrices[axis] = weights
    return _transformed_back(p, matrices)


def _is_same(before: Dim, after: Dim, scale: float | None) -> bool:
    return scale == 1 or (before is not None and before == after and scale is None)


def _scales(p: NodeContext, rank: int) -> Sequence[float | None]:
    """One scale an axis; None where sizes are given."""
    axes = [axis % rank for axis in p.attribute("axes", range(rank))]
    result: list[float | None] = [None] * rank
    for axis, scale in zip(axes, p.constant(2) or [None] * len(axes), strict=True):
        result[axis] = scale
    untouched = set(range(rank)) - set(axes)
    return [1.0 if axis in untouched else scale for axis, scale in enumerate(result)]


def _transformed_back(p: NodeContext, matrices: Mapping[int, NDArray[Any]]) -> Value:
    """The cotangent of y = matrix [after, before] times x along each of these axes."""
    value, rank = p.dy, len(p.shape(0))
    for axis, matrix in sorted(matrices.items()):
        if axis == rank - 1:
            value = p.op("MatMul", value, p.builder.constant(matrix.astype(value.dtype)))
            continue
        transposed = p.builder.constant(np.ascontiguousarray(matrix.T, value.dtype))
        if axis == rank - 2:
            value = p.op("MatMul", transposed, value)
            continue
        rest = [p.output_shape()[i] for i in range(axis + 1, rank)]
        if not all(isinstance(size, int) for size in rest):
            raise p.unknown(f"open sizes of '{p.node.outputs[0]}'")
        flat = p.op("Reshape", value, p.integers([*[0] * (axis + 1), -1]))
        product = p.op("MatMul", transposed, flat)
        value = p.op(
            "Reshape",
            product,
            p.integers([*[0] * (axis + 1), *[size for size in rest if isinstance(size, int)]]),
        )
    return value


def depth_to_space(p: NodeContext, position: int) -> Value:
    """The inverse; in mode CRD the block's place counts faster than the channel."""
    size = p.attribute("blocksize")
    back = p.op("SpaceToDepth", p.dy, blocksize=size)
    if p.attribute("mode", "DCR") == "DCR":
        return back
    (channels,) = p.sizes(0, [1])
    order = np.arange(channels).reshape(size * size, -1).T.ravel()
    return p.op("Gather", back, p.integers(order.tolist()), axis=1)


def space_to_depth(p: NodeContext, position: int) -> Value:
    """The inverse."""
    return p.op("DepthToSpace", p.dy, blocksize=p.attribute("blocksize"), mode="DCR")


PLACING: Mapping[str, Rule] = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": reshaped,
    "Gather": scattered,
    "GatherElements": scattered,
    "GatherND": scattered,
    "Pad": pad,
    "Reshape": reshaped,
    "Resize": resize,
    "ScatterElements": scatter_elements,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": reshaped,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": reshaped,
}
