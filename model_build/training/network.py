"""A network that is to be trained: its module, its input, its augmentation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import onnx_ir as ir

from model_build.export import Augmentation
from model_build.nn import Module


class InputSpec(NamedTuple):
    """Shape and type of one example."""

    shape: tuple[int, ...]
    dtype: ir.DataType = ir.DataType.FLOAT

    def __str__(self) -> str:
        return f"{self.dtype.numpy()} {list(self.shape)}"


@dataclass(frozen=True)
class Network:
    """What is trained: `make` gives the module up to its logits, anew at each call.

    `input` is one example as the module takes it; `augmented_from` one as the augmentation takes
    it, where that is something else.
    """

    name: str
    make: Callable[[], Module]
    input: InputSpec
    augmentation: Augmentation | None = None
    augmented_from: InputSpec | None = None

    @property
    def training_input(self) -> InputSpec:
        """One example of those that are learned from."""
        return self.augmented_from or self.input
