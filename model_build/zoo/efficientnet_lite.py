"""EfficientNet-Lite0: mobile inverted bottlenecks, ReLU6, convolutions padded SAME.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the
Lite variants were published by their authors in 2020. 4.65 million parameters, input 224 by 224.
"""

from typing import NamedTuple

import onnx_ir as ir
from onnxscript import OpBuilder
from onnxscript.nn import ModuleList

from model_build.nn import Add, BatchNorm, Conv, Flatten, GlobalAveragePool, Linear, Module, Relu6

EPSILON = 1e-3
STEM, HEAD = 32, 1280


class Stage(NamedTuple):
    """A run of blocks; the first of them has the stride and changes the number of channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(blocks=1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(blocks=2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(blocks=2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(blocks=3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(blocks=3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(blocks=4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(blocks=1, kernel=3, stride=1, expansion=6, channels=320),
)


class ConvNormRelu(Module):
    """Convolution, batch norm, ReLU6: the network's first and last layers."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = Conv(channels_in, channels_out, (kernel, kernel), stride=stride, bias=False)
        self.norm = BatchNorm(channels_out, EPSILON)
        self.relu = Relu6()

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, channels_in, H, W] -> [N, channels_out, ceil(H / stride), ceil(W / stride)]."""
        return self.relu(op, self.norm(op, self.conv(op, x)))


class Block(Module):
    """Mobile inverted bottleneck.

    Widen with 1x1, one kernel per channel, narrow with 1x1, add the input if it fits.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expands = expansion != 1
        if self.expands:
            self.expand = Conv(channels_in, wide, (1, 1), bias=False)
            self.expand_norm = BatchNorm(wide, EPSILON)
            self.expand_relu = Relu6()
        self.depthwise = Conv(wide, wide, (kernel, kernel), stride=stride, groups=wide, bias=False)
        self.depthwise_norm = BatchNorm(wide, EPSILON)
        self.depthwise_relu = Relu6()
        self.project = Conv(wide, channels_out, (1, 1), bias=False)
        self.project_norm = BatchNorm(channels_out, EPSILON)
        self.residual = Add() if stride == 1 and channels_in == channels_out else None

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, channels_in, H, W] -> [N, channels_out, ceil(H / stride), ceil(W / stride)]."""
        y = x
        if self.expands:
            y = self.expand_relu(op, self.expand_norm(op, self.expand(op, y)))
        y = self.depthwise_relu(op, self.depthwise_norm(op, self.depthwise(op, y)))
        y = self.project_norm(op, self.project(op, y))
        return self.residual(op, x, y) if self.residual else y


class EfficientNetLite0(Module):
    """The network, from normalised pixels to logits."""

    size = (224, 224)

    def __init__(self, classes: int = 1000) -> None:
        # Its layers are `stem.conv`, wherever it is used, and not `network.stem.conv`.
        super().__init__(name="")
        self.stem = ConvNormRelu(3, STEM, kernel=3, stride=2)
        blocks: list[Block] = []
        channels = STEM
        for stage in STAGES:
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                blocks.append(
                    Block(channels, stage.channels, stage.kernel, stride, stage.expansion)
                )
                channels = stage.channels
        self.blocks = ModuleList([*blocks])
        self.head = ConvNormRelu(channels, HEAD, kernel=1, stride=1)
        self.pool = GlobalAveragePool()
        self.flatten = Flatten()
        self.classifier = Linear(HEAD, classes)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """[N, 3, 224, 224] -> logits [N, classes]."""
        y = self.stem(op, x)
        for block in self.blocks:
            y = block(op, y)
        return self.classifier(op, self.flatten(op, self.pool(op, self.head(op, y))))
