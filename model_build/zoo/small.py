"""A small convolutional network of any number of spatial axes, which trains in minutes.

Convolutions with batch norm and Relu, strides in place of pools; then each channel has one kernel
as large as its map, so that the head knows where it found what; then a linear layer. Nearly all
weights are in the convolutions (LeCun et al. 1998 for the plan; Ioffe and Szegedy 2015 for the
norms; Howard et al. 2017 for convolutions of single channels).
"""
# onnxscript makes operators by attribute access, which no type checker can see through.
# mypy: no-warn-return-any

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from onnxscript import OpBuilder, nn

from model_build.nn import BatchNorm, Conv, Flatten, Linear, Module, Padding, Softmax


class Stage(NamedTuple):
    """One convolution: its channels, the side of its kernel, its stride."""

    channels: int
    kernel: int = 3
    stride: int = 1


class Block(Module):
    """Convolution, batch norm, Relu."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: Sequence[int],
        *,
        stride: int = 1,
        groups: int = 1,
        covers_map: bool = False,
    ) -> None:
        super().__init__()
        padding: Padding = "valid" if covers_map else "same"
        self.conv = Conv(
            channels_in,
            channels_out,
            kernel,
            stride=stride,
            groups=groups,
            padding=padding,
            bias=False,
        )
        self.norm = BatchNorm(channels_out)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, channels_in, spatial...] -> [N, channels_out, spatial...]."""
        return op.Relu(self.norm(op, self.conv(op, x)))


class Standardise(Module):
    """(x - mean) / std, of arrays with the channels first, as signals and volumes come."""

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean = nn.Parameter([], data=ir.tensor(np.array(mean, np.float32)))
        self.std = nn.Parameter([], data=ir.tensor(np.array(std, np.float32)))

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """Any shape -> the same shape."""
        return op.Div(op.Sub(x, self.mean), self.std)


class WithPreprocessing(Module):
    """Raw input to logits: preprocessing first, then the network, whose layers keep their names."""

    def __init__(self, preprocess: Module, network: Module) -> None:
        super().__init__(name="")
        self.preprocess = preprocess
        self.network = network

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """What is served -> [N, classes]."""
        return self.network(op, self.preprocess(op, x))


class Probabilities(Module):
    """A network of logits, with a softmax behind."""

    def __init__(self, network: Module) -> None:
        super().__init__()
        self.network = network
        self.softmax = Softmax()

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """What is served -> probabilities [N, classes]."""
        return self.softmax(op, self.network(op, x))


class SmallNet(Module):
    """[N, channels, size...] -> logits [N, classes]."""

    def __init__(
        self, channels: int, size: Sequence[int], stages: Sequence[Stage], classes: int = 10
    ) -> None:
        super().__init__(name="")
        widths = [channels, *(stage.channels for stage in stages)]
        sides = tuple(size)
        for stage in stages:
            sides = tuple(-(-side // stage.stride) for side in sides)
        self.blocks = nn.ModuleList(
            [
                Block(width, stage.channels, [stage.kernel] * len(sides), stride=stage.stride)
                for width, stage in zip(widths, stages, strict=False)
            ]
        )
        self.head = Block(widths[-1], widths[-1], sides, groups=widths[-1], covers_map=True)
        self.flatten = Flatten()
        self.classifier = Linear(widths[-1], classes)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """The features of each stage, then one number a channel, then the scores."""
        for block in self.blocks:
            x = block(op, x)
        return self.classifier(op, self.flatten(op, self.head(op, x)))
