"""The constant tensors of a graph as arrays, without a second copy of the weights.

A protobuf gives its bytes away as a copy only, so large tensors are read each time somebody asks
for one; what is asked for again and again, their shapes and types and the small ones, is kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

KEPT_BYTES = 16_384


class UnreadableTensor(Exception):
    """A tensor's bytes are not of the type and shape that it declares; the message is its name."""


class Constants(Mapping[str, np.ndarray]):
    """Arrays by name. Raises UnreadableTensor when it is made of a tensor that cannot be read."""

    def __init__(
        self, tensors: Mapping[str, onnx.TensorProto], arrays: Mapping[str, np.ndarray]
    ) -> None:
        self._kept: dict[str, np.ndarray] = {}
        self._large: dict[str, onnx.TensorProto] = {}
        self._kinds: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        for name, tensor in tensors.items():
            array = array_of(tensor)
            self._kinds[name] = array.shape, array.dtype
            if array.nbytes > KEPT_BYTES:
                self._large[name] = tensor
            else:
                self._kept[name] = array
        self.add(arrays)

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep what was computed from constants."""
        self._kept.update(arrays)
        self._kinds.update({name: (array.shape, array.dtype) for name, array in arrays.items()})

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; raises KeyError."""
        return self._kinds[name][0]

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of a tensor; raises KeyError."""
        return self._kinds[name][1]

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._large:
            return array_of(self._large[name])
        return self._kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def array_of(tensor: onnx.TensorProto) -> np.ndarray:
    """The numbers of a tensor; raises UnreadableTensor."""
    try:
        return numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError):
        raise UnreadableTensor(tensor.name) from None
