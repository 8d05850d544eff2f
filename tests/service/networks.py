"""Small networks as ONNX text, pictures for them, and ONNX Runtime as the oracle of what is
inside.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import onnx
import onnxruntime
from PIL import Image

from anatomy.cards.card import Card, ImageInput, Resize, SignalInput, VolumeInput

Array = np.ndarray[Any, Any]

PHOTOS = """<ir_version: 8, opset_import: ["" : 18]>
photos (uint8[N,32,32,3] image) => (float[N,4] scores)
<float scale = {255.0}, float[8,3,3,3] w, float[4,8] fw, float[4] fb> {
  cast = Cast<to=1>(image)
  scaled = Div(cast, scale)
  nchw = Transpose<perm=[0,3,1,2]>(scaled)
  convolved = Conv<pads=[1,1,1,1], strides=[2,2]>(nchw, w)
  rectified = Relu(convolved)
  pooled = MaxPool<kernel_shape=[2,2], strides=[2,2]>(rectified)
  averaged = GlobalAveragePool(pooled)
  flat = Flatten(averaged)
  logits = Gemm<transB=1>(flat, fw, fb)
  scores = Softmax<axis=1>(logits)
}"""

SIGNALS = """<ir_version: 8, opset_import: ["" : 18]>
signals (float[N,2,L] x) => (float[N,3,M] y) <float[3,2,5] w> {
  c = Conv<pads=[2,2]>(x, w)  y = Relu(c) }"""

VOLUMES = """<ir_version: 8, opset_import: ["" : 18]>
volumes (float[N,1,6,7,8] x) => (float[N,2,3,4,5] y) <float[2,1,2,2,2] w, float[2,2,3,3,3] v> {
  c = Conv(x, w)
  y = Conv(c, v)
}"""

DECODER = """<ir_version: 8, opset_import: ["" : 18]>
decoder (float[N,4,3,3] x) => (float[N,2] y)
  <float[4,3,2,2] up, float[216,5] inner, float[5,2] outer> {
  wide = ConvTranspose<strides=[2,2], group=2>(x, up)
  flat = Flatten(wide)
  hidden = MatMul(flat, inner)
  y = Gemm(hidden, outer)
}"""

MATRIX = """<ir_version: 8, opset_import: ["" : 18]>
matrix (float[N,4] x) => (float[N,3] y) <float[4,3] w> { y = MatMul(x, w) }"""

OUTSIDE = """<ir_version: 8, opset_import: ["" : 18]>
outside (float[N,1,8] x) => (float[N,1,M] y) <float[1,1,3] w> { y = Conv(x, w) }"""

WAVES = """<ir_version: 8, opset_import: ["" : 18]>
waves (float[N,2,40] x) => (float[N,3] scores) <float[4,2,5] w, float[3,4] fw, float[3] fb> {
  convolved = Conv<strides=[2], pads=[2,2]>(x, w)
  rectified = Relu(convolved)
  pooled = MaxPool<kernel_shape=[2], strides=[2]>(rectified)
  averaged = GlobalAveragePool(pooled)
  flat = Flatten(averaged)
  logits = Gemm<transB=1>(flat, fw, fb)
  scores = Softmax<axis=1>(logits)
}"""

PULSES = (
    WAVES.replace("waves", "pulses").replace("[N,2,40]", "[N,1,40]").replace("[4,2,5]", "[4,1,5]")
)

SOLIDS = """<ir_version: 8, opset_import: ["" : 18]>
solids (float[N,1,6,7,8] x) => (float[N,2] scores)
  <float[4,1,3,3,3] w, float[2,4] fw, float[2] fb> {
  convolved = Conv<pads=[1,1,1,1,1,1]>(x, w)
  rectified = Relu(convolved)
  pooled = MaxPool<kernel_shape=[2,2,2], strides=[2,2,2]>(rectified)
  averaged = GlobalAveragePool(pooled)
  flat = Flatten(averaged)
  logits = Gemm<transB=1>(flat, fw, fb)
  scores = Softmax<axis=1>(logits)
}"""

DIGITS = """<ir_version: 8, opset_import: ["" : 18]>
digits (uint8[N,28,28,1] image) => (float[N,10] scores)
<float scale = {255.0}, float[4,1,5,5] w, float[10,4] fw, float[10] fb> {
  cast = Cast<to=1>(image)
  scaled = Div(cast, scale)
  nchw = Transpose<perm=[0,3,1,2]>(scaled)
  convolved = Conv<strides=[2,2]>(nchw, w)
  rectified = Relu(convolved)
  averaged = GlobalAveragePool(rectified)
  flat = Flatten(averaged)
  logits = Gemm<transB=1>(flat, fw, fb)
  scores = Softmax<axis=1>(logits)
}"""

KINDS = {
    "waves": (
        WAVES,
        Card(title="Waves", labels=("sine", "saw", "square"), input=SignalInput(2, 40)),
    ),
    "pulses": (PULSES, Card(title="Pulses", input=SignalInput(1, 40))),
    "solids": (
        SOLIDS,
        Card(title="Solids", labels=("cube", "ball"), input=VolumeInput(1, (6, 7, 8))),
    ),
    "digits": (
        DIGITS,
        Card(title="Digits", input=ImageInput((28, 28), "L", Resize("digit", box=20), "auto")),
    ),
}

LABELS = ("cat", "dog", "bird", "fish")
CONVOLUTION = "stem/block 1/conv"


def parsed(text: str, seed: int = 0) -> onnx.ModelProto:
    """A model from ONNX text; weights that the text only declares are drawn at random."""
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(seed)
    declared = [
        value for value in model.graph.value_info if value.type.tensor_type.HasField("shape")
    ]
    made = {name for node in model.graph.node for name in node.output}
    for value in declared:
        if value.name not in made:
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            weights = random.normal(size=shape).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(weights, value.name))
    return model


def photo_model() -> tuple[onnx.ModelProto, Card]:
    """A classifier of pictures; its convolution has a name with slashes and a space."""
    model = parsed(PHOTOS)
    for node in model.graph.node:
        node.name = CONVOLUTION if node.op_type == "Conv" else node.output[0]
    return model, Card(
        title="Four animals",
        labels=LABELS,
        input=ImageInput((32, 32), "RGB", Resize("centre_crop", 0.875)),
    )


def reading_outside() -> onnx.ModelProto:
    """A model that keeps its weights in a file of the host."""
    model = parsed(OUTSIDE)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../../etc/hostname")
    return model


def tensors(model: onnx.ModelProto, names: Sequence[str], array: Array) -> list[Array]:
    """What ONNX Runtime computes for these tensors of the graph, each declared as an output."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {model.graph.input[0].name: array}))


def weights_of(model: onnx.ModelProto, name: str) -> Array:
    """A tensor of the file."""
    found = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return np.asarray(onnx.numpy_helper.to_array(found))


def encoded(pixels: Array, kind: str = "PNG") -> bytes:
    """Pixels as the bytes of a picture."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def npy(array: Array) -> bytes:
    """An array as the bytes of an .npy file."""
    stream = BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def loaded(data: bytes) -> Array:
    """The array in the bytes of an .npy file."""
    array: Array = np.load(BytesIO(data), allow_pickle=False)
    return array


def pixels_of(data: bytes) -> Array:
    """The pixels in the bytes of a picture."""
    return np.asarray(Image.open(BytesIO(data)))
