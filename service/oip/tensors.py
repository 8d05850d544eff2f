"""A model's inputs and outputs as the protocol sees them: names, datatypes and shapes; and its
layers as outputs.

A layer is named `layer:N`, by its number, or by its name; the name of a real output means that
output.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anatomy.cards.card import ImageInput
from anatomy.graphs.graph import Shape
from anatomy.layers.layers import Layer
from service.errors import InvalidRequest, UnknownLayer
from service.oip.datatypes import datatype_of
from service.repository.model import Model, short

LARGEST_BATCH = 128
"""Items that one request may carry: all of them go through the network at once, and take their
memory at once.
"""

LAYER = "layer:"


@dataclass(frozen=True)
class TensorMetadata:
    """A tensor of the graph under the name that a caller knows; `datatype` and `shape` are None
    where unknown.
    """

    name: str
    tensor: str
    datatype: str | None
    shape: Shape | None

    @property
    def sizes(self) -> list[int]:
        """The shape with -1 for what is open; none where not even the rank is known."""
        return [size if isinstance(size, int) else -1 for size in self.shape or ()]


def input_of(model: Model) -> TensorMetadata:
    """The model's one input."""
    return _tensor(model, model.file.input, model.file.input)


def outputs_of(model: Model) -> list[TensorMetadata]:
    """The model's real outputs."""
    return [_tensor(model, name, name) for name in model.main_session.outputs]


def layers_of(model: Model) -> Iterator[tuple[Layer, TensorMetadata]]:
    """Every layer with the tensor that it answers with."""
    return ((layer, _tensor(model, layer.name, layer.tensor)) for layer in model.layers)


def find_output(model: Model, name: str) -> TensorMetadata:
    """The output of this name, or the layer; raises InvalidRequest for what is neither."""
    if name in model.main_session.outputs:
        return _tensor(model, name, name)
    try:
        layer = (
            model.layer(name.removeprefix(LAYER)) if name.startswith(LAYER) else _named(model, name)
        )
    except UnknownLayer:
        outputs = ", ".join(model.main_session.outputs)
        raise InvalidRequest(
            f"model '{model.name}' has no output '{short(name)}'; it has {outputs}, and its "
            "layers, layer:0 to "
            f"layer:{len(model.layers) - 1}, by number or by name"
        ) from None
    return _tensor(model, name, layer.tensor)


def takes_pictures(model: Model) -> bool:
    """Whether an encoded picture can become its input."""
    return isinstance(model.card.input, ImageInput)


def batched(model: Model, tensors: Sequence[str]) -> bool:
    """Whether these have an item of the batch along their first axis for sure: the graph gives it
    the input's size.
    """
    shape = model.file.graph.shape(model.file.input)
    batch = shape[0] if shape else None
    if not isinstance(batch, str):
        return False
    shapes = [model.file.graph.shape(tensor) for tensor in tensors]
    return all(sizes is not None and len(sizes) > 0 and sizes[0] == batch for sizes in shapes)


def check_shape(model: Model, shape: Sequence[int]) -> None:
    """Raise InvalidRequest if the model's input does not take this shape."""
    expected = input_of(model)
    if 0 in shape:
        raise InvalidRequest(f"input '{expected.name}' must not be empty; got shape {list(shape)}")
    if expected.shape is None:
        return
    same = all(size in (-1, got) for size, got in zip(expected.sizes, shape, strict=False))
    if len(shape) != len(expected.shape) or not same:
        raise InvalidRequest(
            f"unexpected shape for input '{expected.name}': "
            f"expected {expected.sizes}, got {list(shape)}"
        )
    if model.supports_batching:
        check_batch(model, shape[0])


def check_batch(model: Model, count: int) -> None:
    """Raise InvalidRequest if these are more items than the model takes at once, or none."""
    shape = model.file.graph.shape(model.file.input)
    fixed = shape[0] if shape and isinstance(shape[0], int) else None
    if fixed is not None and count != fixed:
        raise InvalidRequest(f"model '{model.name}' takes {fixed} at once; got {count}")
    if not 1 <= count <= LARGEST_BATCH:
        raise InvalidRequest(
            f"model '{model.name}' takes 1 to {LARGEST_BATCH} at once; got {count}"
        )


def _named(model: Model, name: str) -> Layer:
    """The layer of this name; a bare number is the name of none, unless one is called so."""
    layer = next((candidate for candidate in model.layers if candidate.name == name), None)
    if layer is None:
        raise UnknownLayer(name)
    return layer


def _tensor(model: Model, name: str, tensor: str) -> TensorMetadata:
    dtype = model.file.graph.dtype(tensor)
    return TensorMetadata(
        name,
        tensor,
        datatype_of(None if dtype is None else np.dtype(dtype)),
        model.file.graph.shape(tensor),
    )
