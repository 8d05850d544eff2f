"""Numbers for a network's input: brought to its rank and type, or refused with what it takes."""

from collections.abc import Sequence

import numpy as np

from anatomy.cards.card import ImageInput, SignalInput, VolumeInput
from anatomy.graphs.graph import Shape
from service.errors import Impossible
from service.repository.model import Model


def coerce(model: Model, array: np.ndarray) -> np.ndarray:
    """The array with its batch axis, and its channel axis if that has size 1, in the input's type.

    Raises Impossible for another shape, and for numbers that the type (or, of a signal or volume, a
    float) cannot hold.
    """
    name = model.file.input
    shape, dtype = model.file.graph.shape(name), model.file.graph.dtype(name)
    if shape is not None:
        array = _with_all_axes(model, array, shape)
    if dtype is None:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(cast, array):
        raise Impossible(
            f"input '{name}' takes {dtype}: some of these numbers are fractions or out of its range"
        )
    if isinstance(model.card.input, SignalInput | VolumeInput):
        _check_finite(cast)
    return cast


def fits(shape: Sequence[int], expected: Shape) -> bool:
    """Whether an array of this shape is one input, batch axis included."""
    if len(shape) != len(expected) or shape[0] != 1:
        return False
    sizes = zip(shape[1:], expected[1:], strict=True)
    return all(size == allowed or not isinstance(allowed, int) for size, allowed in sizes)


def shown(shape: Sequence[object]) -> str:
    """A shape as messages write it: ? for a size that is open."""
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def describe_input(model: Model) -> str:
    """What the model takes, and how it is posted."""
    match model.card.input:
        case ImageInput() as image:
            height, width = image.size
            return (
                f"a picture, or its pixels as uint8 {shown(image.shape)} in JSON or .npy "
                f"({height} x {width})"
            )
        case SignalInput() as signal:
            return (
                f"a signal of {signal.channels} x {signal.length} samples, {shown(signal.shape)}: "
                "post it as JSON "
                '{"inputs": lists}, as text/csv with a column for each channel, or as .npy'
            )
        case VolumeInput() as volume:
            return (
                f"a volume, {shown(volume.shape)}: post it as .npy, or as JSON "
                '{"inputs": nested lists}'
            )
    shape = model.file.graph.shape(model.file.input)
    expected = "any" if shape is None else shown(shape[1:])
    return f"an array of shape {expected}: post it as .npy or as JSON"


def _with_all_axes(model: Model, array: np.ndarray, shape: Shape) -> np.ndarray:
    """The array as [1, ...]; raises Impossible if it does not fit."""
    batch = array
    channels = len(shape) - 1 if isinstance(model.card.input, ImageInput) else 1
    if array.ndim == len(shape) - 2 >= 1 and shape[channels] == 1:
        batch = np.expand_dims(array, channels - 1)
    if batch.ndim == len(shape) - 1:
        batch = batch[None]
    if fits(batch.shape, shape):
        return batch
    raise Impossible(
        f"input '{model.file.input}' takes one array of shape {shown(shape)}, with or without the "
        f"batch axis, not {shown(array.shape)}{_advice(batch.shape, shape)}; "
        f"model '{model.name}' takes {describe_input(model)}"
    )


def _advice(shape: Sequence[int], expected: Shape) -> str:
    if len(shape) != len(expected):
        return f", which has {len(shape)} axes instead of {len(expected)}"
    if shape[0] != 1:
        return ", which holds several; post them one by one"
    turned = len(shape) == 3 and fits((1, shape[2], shape[1]), expected)
    return "; turn it, the channels come first" if turned else "; cut, fill or resample it"


def _check_finite(array: np.ndarray) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        first = np.unravel_index(int(np.argmin(finite)), array.shape)
        position = ", ".join(str(index) for index in first[1:])
        raise Impossible(
            f"the number at [{position}] is NaN, infinite or too large for {array.dtype}; fill "
            "gaps before posting"
        )
