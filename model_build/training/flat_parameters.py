"""Many tensors as one vector.

A step then updates all weights with a dozen operators, not a dozen for each tensor.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from anatomy.graphs.builder import Builder, Value

Vector = NDArray[np.float32]


class ParameterLayoutError(ValueError):
    """The arrays are not those of the layout; the message names the first that differs."""


@dataclass(frozen=True)
class ParameterLayout:
    """Which tensor lies where: names and shapes, one after the other."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[int]]) -> "ParameterLayout":
        """The layout of these tensors, in this order."""
        return cls(tuple(shapes), tuple(tuple(shape) for shape in shapes.values()))

    def __add__(self, other: "ParameterLayout") -> "ParameterLayout":
        return ParameterLayout(self.names + other.names, self.shapes + other.shapes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Numbers in each tensor."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """Numbers in the vector."""
        return sum(self.sizes)

    def pack(self, arrays: Mapping[str, NDArray[Any]]) -> Vector:
        """The vector of these arrays.

        Raises ParameterLayoutError unless they are exactly those of the layout.
        """
        actual = {name: array.shape for name, array in arrays.items()}
        expected = dict(zip(self.names, self.shapes, strict=True))
        for name in [*expected, *actual]:
            if actual.get(name) != expected.get(name):
                raise ParameterLayoutError(
                    f"{name}: expected {_text(expected.get(name))}, got {_text(actual.get(name))}"
                )
        parts = [np.ravel(arrays[name]).astype(np.float32) for name in self.names]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def unpack(self, vector: Vector) -> dict[str, Vector]:
        """The arrays in a vector, by name, each its own copy."""
        parts = np.split(vector, np.cumsum(self.sizes)[:-1])
        return {
            name: part.reshape(shape).copy()
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def write_unpack(self, builder: Builder, vector: Value) -> None:
        """Write nodes that split a vector of the graph into the tensors, under their own names."""
        parts = builder.ops(
            "Split", vector, builder.integers(self.sizes), types=[None] * len(self.names), axis=0
        )
        for part, name, shape in zip(parts, self.names, self.shapes, strict=True):
            write_as(builder, builder.op("Reshape", part, builder.integers(shape)), name)


def write_pack(builder: Builder, tensors: Sequence[str]) -> Value:
    """Write nodes that join float32 tensors of the graph into one vector."""
    flat = builder.integers([-1])
    parts = [
        builder.op("Reshape", Value(name, np.dtype(np.float32), builder), flat) for name in tensors
    ]
    return builder.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]


def write_as(builder: Builder, value: Value, name: str) -> None:
    """Write a tensor under another name; the runtime takes the node that this needs out again."""
    builder.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))


def _text(shape: tuple[int, ...] | None) -> str:
    return "no such tensor" if shape is None else f"shape {list(shape)}"
