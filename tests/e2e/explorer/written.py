"""Networks that nobody trained, written node by node: one of 80 layers, and one whose paths part
and meet again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from anatomy import model_file
from anatomy.cards.card import Card, ImageInput, Resize

SIDE = 96
CLASSES = 5
RESIDUAL_BLOCKS = 25


class Writer:
    """Writes nodes one after another; weights are random. Every method answers the name of the
    node's output.
    """

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        cast = self.node("Cast", "cast", ["pixels"], to=TensorProto.FLOAT)
        scaled = self.node("Div", "scaled", [cast, self._constant("scale", np.float32(255))])
        self.top = self.node("Transpose", "turned", [scaled], perm=[0, 3, 1, 2])

    def node(self, operator: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self._nodes.append(
            helper.make_node(operator, inputs, [f"{name}_out"], name=name, **attributes)
        )
        return f"{name}_out"

    def _constant(self, name: str, array: np.ndarray | np.generic) -> str:
        self._weights.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def conv(
        self,
        name: str,
        read: str,
        channels: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        group: int = 1,
    ) -> str:
        out, into = channels[1], channels[0] // group
        shape = (out, into, kernel, kernel)
        weights = self._random.normal(0, (2 / (into * kernel * kernel)) ** 0.5, shape)
        found = self.node(
            "Conv",
            name,
            [read, self._constant(f"{name}_w", weights)],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=group,
        )
        return self.node("Relu", f"{name}_relu", [found])

    def model(self, read: str, channels: int) -> onnx.ModelProto:
        """Close with a mean, a dense layer and a softmax."""
        pooled = self.node("Flatten", "flat", [self.node("GlobalAveragePool", "pool", [read])])
        weights = self._constant("classifier_w", self._random.normal(0, 0.5, (channels, CLASSES)))
        scores = self.node(
            "Softmax", "softmax", [self.node("Gemm", "classifier", [pooled, weights])]
        )
        graph = helper.make_graph(
            self._nodes,
            "written",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["N", CLASSES])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        model.ir_version = 10
        return model


def deep() -> onnx.ModelProto:
    """80 layers: three of each of 25 residual blocks, and five others."""
    writer = Writer()
    top, channels = writer.conv("stem", writer.top, (3, 12), stride=2), 12
    for block in range(RESIDUAL_BLOCKS):
        if block in (8, 16):
            top, channels = (
                writer.conv(f"down.{block}", top, (channels, channels * 2), 3, 2),
                channels * 2,
            )
        depthwise = writer.conv(
            f"blocks.{block}.depthwise", top, (channels, channels), group=channels
        )
        project = writer.conv(f"blocks.{block}.project", depthwise, (channels, channels), 1)
        top = writer.node("Add", f"blocks.{block}.residual", [top, project])
    return writer.model(top, channels)


def branching() -> onnx.ModelProto:
    """Two blocks of four branches that are concatenated, and a shortcut of one layer around two."""
    writer = Writer()
    top, channels = writer.conv("/stem/conv1/Conv", writer.top, (3, 16), stride=2), 16
    for block in ("mixed_a", "mixed_b"):
        one = writer.conv(f"/{block}/branch1x1/Conv", top, (channels, 8), 1)
        three = writer.conv(f"/{block}/branch3x3/reduce/Conv", top, (channels, 8), 1)
        three = writer.conv(f"/{block}/branch3x3/Conv", three, (8, 8))
        double = writer.conv(f"/{block}/branch3x3double/reduce/Conv", top, (channels, 8), 1)
        for part in (1, 2):
            double = writer.conv(f"/{block}/branch3x3double/conv{part}/Conv", double, (8, 8))
        pool = writer.node(
            "MaxPool",
            f"/{block}/branch_pool/MaxPool",
            [top],
            kernel_shape=[3, 3],
            strides=[1, 1],
            pads=[1, 1, 1, 1],
        )
        pool = writer.conv(f"/{block}/branch_pool/project/Conv", pool, (channels, 8), 1)
        top, channels = (
            writer.node("Concat", f"/{block}/Concat", [one, three, double, pool], axis=1),
            32,
        )
    inner = writer.conv("/residual/conv1/Conv", top, (32, 32), stride=2)
    inner = writer.conv("/residual/conv2/Conv", inner, (32, 32))
    shortcut = writer.conv("/residual/downsample/Conv", top, (32, 32), 1, 2)
    return writer.model(writer.node("Add", "/residual/Add", [inner, shortcut]), 32)


def serve_from(folder: Path) -> Path:
    """Write both networks, each with a picture to try, into a folder of models, and return it."""
    across, down = np.meshgrid(np.linspace(0, 255, SIDE), np.linspace(0, 255, SIDE))
    waves = 127 + 127 * np.sin(across / 12) * np.cos(down / 20)
    picture = Image.fromarray(np.stack([across, waves, down], axis=-1).astype(np.uint8))
    for name, model in (("deep", deep()), ("branching", branching())):
        card = Card(
            title="Not trained",
            labels=tuple(f"class {each}" for each in range(CLASSES)),
            input=ImageInput((SIDE, SIDE), "RGB", Resize()),
        )
        model_file.write(model, folder / name / "1/model.onnx", card)
        samples = folder / name / "1/samples"
        samples.mkdir()
        picture.save(samples / "waves.png")
    return folder
