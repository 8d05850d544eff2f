"""A small network with random weights: what a server adds is largest beside a model that costs next
to nothing.
"""

from pathlib import Path

import onnx
import onnx_ir as ir
from onnxscript import OpBuilder

from anatomy.cards.card import Card, Resize
from anatomy.graphs.graph import Graph
from anatomy.model_file import ModelFile, write
from model_build.adopting.adopt import adopt
from model_build.adopting.preprocessing import Preprocessing
from model_build.export import Signature, export
from model_build.nn import Conv, Flatten, Linear, Module, initial, load

NAME = "small"
SIDE = 28
CLASSES = 10


class SmallCnn(Module):
    """Two convolutions with pools, two dense layers: 4.2 million multiply-adds on one channel of 28
    x 28.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(1, 32, (3, 3))
        self.conv2 = Conv(32, 64, (3, 3))
        self.flatten = Flatten()
        self.dense = Linear(64 * (SIDE // 4) ** 2, 128)
        self.classifier = Linear(128, CLASSES)

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """float32 [N, 1, 28, 28] -> [N, 10], not normalised."""
        for conv in (self.conv1, self.conv2):
            x = op.MaxPool(op.Relu(conv(op, x)), kernel_shape=[2, 2], strides=[2, 2])
        return self.classifier(op, op.Relu(self.dense(op, self.flatten(op, x))))


def build() -> tuple[onnx.ModelProto, Card]:
    """The network as `python -m model_build adopt` wraps one: pixels in, probabilities out, resized
    whole.
    """
    module = SmallCnn()
    load(module, initial(module, 0))
    proto = export(module, Signature("x", ir.DataType.FLOAT, ("N", 1, SIDE, SIDE), "logits"), NAME)
    preprocessing = Preprocessing(resize=Resize("stretch", interpolation="bilinear"), softmax=True)
    card = Card(
        title="Small CNN, random weights",
        labels=tuple(f"class {index}" for index in range(CLASSES)),
    )
    return adopt(ModelFile(None, proto, Graph(proto), None), preprocessing, card)


def put(models: Path) -> Path:
    """Write it into a folder of models; the path of the file."""
    path = models / NAME / "1" / "model.onnx"
    proto, card = build()
    write(proto, path, card)
    return path
