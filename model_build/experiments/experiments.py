"""The networks that are learned from nothing: module, data, hyper-parameters and card of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from anatomy.cards.card import Card, ImageInput, Resize, SignalInput, VolumeInput
from model_build.datasets import mnist, mnist1d, voxels
from model_build.datasets.motions import Motions
from model_build.datasets.split import DIGITS, Split
from model_build.experiments.hyperparameters import HYPERPARAMETERS
from model_build.nn import Module, Normalise
from model_build.training.augment import DisturbedSignals, MovedImages, TurnedSolids
from model_build.training.hyperparameters import Hyperparameters
from model_build.training.network import InputSpec, Network
from model_build.zoo.small import SmallNet, Stage, Standardise, WithPreprocessing

LogCallback = Callable[[str], None]


@dataclass(frozen=True)
class Splits:
    """What one training reads: examples to learn from, examples held out of them, and the test."""

    train: Split
    held_out: Split
    test: Split


@dataclass(frozen=True)
class Experiment:
    """A network that can be learned from nothing.

    `card` has no scores and no history yet; `load` reads the data, from a folder or the cache;
    `credit` is for the data.
    """

    network: Network
    hyperparameters: Hyperparameters
    card: Card
    load: Callable[[Path | None, LogCallback], Splits]
    credit: str = ""

    @property
    def name(self) -> str:
        """The name under which it is served."""
        return self.network.name


def _digits() -> Module:
    """73,000 weights, 5.5 million multiply-adds."""
    stages = [Stage(16), Stage(32, stride=2), Stage(32), Stage(64, stride=2), Stage(64)]
    return WithPreprocessing(Normalise(mean=[33.3], std=[78.6]), SmallNet(1, (28, 28), stages))


def _digits1d() -> Module:
    stages = [
        Stage(32, 5),
        Stage(32, 5),
        Stage(64, 5, 2),
        Stage(64, 5),
        Stage(64, 5, 2),
        Stage(64, 5),
    ]
    return WithPreprocessing(Standardise(0.0, 1.0), SmallNet(1, (40,), stages))


def _voxels() -> Module:
    stages = [Stage(16, stride=2), Stage(24), Stage(48, stride=2), Stage(48)]
    return WithPreprocessing(Standardise(15.0, 45.0), SmallNet(1, (16, 16, 16), stages))


def _mnist(data: Path | None, log: LogCallback) -> Splits:
    dataset = mnist.load(data, log)
    train, held_out = dataset.train.parted(1000, seed=0)
    return Splits(train, held_out, dataset.test)


def _mnist1d(data: Path | None, log: LogCallback) -> Splits:
    dataset = mnist1d.load()
    train, held_out = dataset.train.parted(200, seed=0)
    return Splits(train, held_out, dataset.test)


def _voxel_digits(data: Path | None, log: LogCallback) -> Splits:
    """Learns from images, which are extruded and turned anew in every batch."""
    images = _mnist(data, log)
    return Splits(
        images.train,
        _turned(images.held_out, stream=2),
        _turned(images.test, stream=voxels.TEST),
    )


def _turned(images: Split, stream: int) -> Split:
    solids = voxels.turned(images, np.random.default_rng([voxels.SEED, stream]))
    return Split(solids.inputs.astype(np.float32), solids.labels)


DIGITS_2D = Experiment(
    Network(
        "digits",
        _digits,
        InputSpec((28, 28, 1), ir.DataType.UINT8),
        MovedImages(
            (28, 28),
            Motions(turn=12, zoom=0.08, stretch=0.08, shear=0.2, shift=2, bend=0.5, knots=4),
        ),
    ),
    HYPERPARAMETERS["digits"],
    Card(
        title="Handwritten digits",
        description=(
            "Names the digit that is drawn or photographed, dark on light or light on dark."
        ),
        labels=DIGITS,
        input=ImageInput((28, 28), "L", Resize("digit", box=20), polarity="auto"),
        provenance=f"Learned by `python -m model_build digits`. {mnist.PROVENANCE}",
        licence=f"MIT; learned from data under {mnist.LICENCE}",
    ),
    _mnist,
    f"{mnist.PROVENANCE} {mnist.LICENCE}.",
)

DIGITS_1D = Experiment(
    Network(
        "digits1d",
        _digits1d,
        InputSpec((1, 40)),
        DisturbedSignals(1, 40, Motions(zoom=0.1, shift=3), gain=0.2, noise=0.03),
    ),
    HYPERPARAMETERS["digits1d"],
    Card(
        title="Digits as signals",
        description=(
            "Names the digit whose stroke a signal of 40 samples follows, under noise and "
            "distortion."
        ),
        labels=DIGITS,
        input=SignalInput(1, 40),
        provenance=f"Learned by `python -m model_build digits1d`. {mnist1d.PROVENANCE}",
        licence=f"MIT; learned from data under {mnist1d.LICENCE}",
    ),
    _mnist1d,
    f"{mnist1d.PROVENANCE} {mnist1d.LICENCE}.",
)

DIGITS_3D = Experiment(
    Network(
        "voxels",
        _voxels,
        InputSpec((1, 16, 16, 16)),
        TurnedSolids((28, 28)),
        augmented_from=InputSpec((28, 28, 1), ir.DataType.UINT8),
    ),
    HYPERPARAMETERS["voxels"],
    Card(
        title="Solid digits",
        description=(
            "Names the digit that a volume of 16 x 16 x 16 voxels holds, turned by up to 30 "
            "degrees."
        ),
        labels=DIGITS,
        input=VolumeInput(1, (16, 16, 16)),
        provenance=f"Learned by `python -m model_build voxels`. {voxels.PROVENANCE}",
        licence=f"MIT; learned from data under {mnist.LICENCE}",
    ),
    _voxel_digits,
    f"{voxels.PROVENANCE} {mnist.LICENCE}.",
)

EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.name: experiment for experiment in (DIGITS_2D, DIGITS_1D, DIGITS_3D)
}
