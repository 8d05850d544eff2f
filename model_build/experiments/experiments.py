"""What the learned networks are: network, data, how long and how they learn, and what their cards
say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from anatomy.cards.card import Card, ImageInput, Resize, SignalInput, VolumeInput
from model_build.datasets import mnist, mnist1d, voxels
from model_build.datasets.motions import Motions
from model_build.datasets.split import DIGITS, Split
from model_build.nn import Module, Normalise
from model_build.training.augment import DisturbedSignals, MovedPictures, TurnedSolids
from model_build.training.optimiser import SGD, AdamW
from model_build.training.schedule import Cosine
from model_build.training.step_graph import StepConfig
from model_build.training.train import Example, Hyperparameters, Network
from model_build.zoo.small import SmallNet, Stage, Standardise, WithPreprocessing

LogCallback = Callable[[str], None]


@dataclass(frozen=True)
class Splits:
    """What one training reads: examples to learn from, some of them held out, and those of the
    test.
    """

    learned: Split
    held_out: Split
    test: Split


@dataclass(frozen=True)
class Experiment:
    """A network that can be learned from nothing. `card` has no scores and no history yet; `credit`
    is for the data.
    """

    network: Network
    plan: Hyperparameters
    card: Card
    lesson: Callable[[Path | None, LogCallback], Splits]
    credit: str = ""

    @property
    def name(self) -> str:
        """The name it is served under."""
        return self.network.name


def _digits() -> Module:
    """73,000 weights, 5.5 million multiply-adds."""
    stages = [Stage(16), Stage(32, stride=2), Stage(32), Stage(64, stride=2), Stage(64)]
    return WithPreprocessing(
        Normalise(mean=[33.3], deviation=[78.6]), SmallNet(1, (28, 28), stages)
    )


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


def _mnist(data: Path | None, say: LogCallback) -> Splits:
    found = mnist.load(data, say)
    learned, held_out = found.train.parted(1000, seed=0)
    return Splits(learned, held_out, found.test)


def _mnist1d(data: Path | None, say: LogCallback) -> Splits:
    found = mnist1d.load()
    learned, held_out = found.train.parted(200, seed=0)
    return Splits(learned, held_out, found.test)


def _voxel_digits(data: Path | None, say: LogCallback) -> Splits:
    """Learns from pictures, which are extruded and turned anew in every batch."""
    found = mnist.load(data, say)
    learned, held_out = found.train.parted(1000, seed=0)
    return Splits(learned, _turned(held_out, stream=2), _turned(found.test, stream=voxels.TEST))


def _turned(pictures: Split, stream: int) -> Split:
    solid = voxels.turned(pictures, np.random.default_rng([voxels.SEED, stream]))
    return Split(solid.inputs.astype(np.float32), solid.labels)


EXPERIMENTS: Mapping[str, Experiment] = {
    course.name: course
    for course in (
        Experiment(
            Network(
                "digits",
                _digits,
                Example((28, 28, 1), ir.DataType.UINT8),
                MovedPictures(
                    (28, 28),
                    Motions(
                        turn=12, zoom=0.08, stretch=0.08, shear=0.2, shift=2, bend=0.5, knots=4
                    ),
                ),
            ),
            Hyperparameters(
                14,
                128,
                Cosine(0.1),
                recipe=StepConfig(SGD(nesterov=True, decay=5e-4), smoothing=0.1),
            ),
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
        ),
        Experiment(
            Network(
                "digits1d",
                _digits1d,
                Example((1, 40)),
                DisturbedSignals(1, 40, Motions(zoom=0.1, shift=3), gain=0.2, noise=0.03),
            ),
            Hyperparameters(
                150,
                100,
                Cosine(3e-3),
                recipe=StepConfig(AdamW(decay=0.05), smoothing=0.1, averaging=0.998),
            ),
            Card(
                title="Digits as signals",
                description=(
                    "Names the digit whose stroke a signal of 40 samples follows, under "
                    "noise and distortion."
                ),
                labels=DIGITS,
                input=SignalInput(1, 40),
                provenance=f"Learned by `python -m model_build digits1d`. {mnist1d.PROVENANCE}",
                licence=f"MIT; learned from data under {mnist1d.LICENCE}",
            ),
            _mnist1d,
            f"{mnist1d.PROVENANCE} {mnist1d.LICENCE}.",
        ),
        Experiment(
            Network(
                "voxels",
                _voxels,
                Example((1, 16, 16, 16)),
                TurnedSolids((28, 28)),
                learns_from=Example((28, 28, 1), ir.DataType.UINT8),
            ),
            Hyperparameters(
                6,
                128,
                Cosine(0.1),
                recipe=StepConfig(SGD(nesterov=True, decay=5e-4), smoothing=0.1),
            ),
            Card(
                title="Solid digits",
                description=(
                    "Names the digit that a volume of 16 x 16 x 16 voxels holds, turned "
                    "by up to 30 degrees."
                ),
                labels=DIGITS,
                input=VolumeInput(1, (16, 16, 16)),
                provenance=f"Learned by `python -m model_build voxels`. {voxels.PROVENANCE}",
                licence=f"MIT; learned from data under {mnist.LICENCE}",
            ),
            _voxel_digits,
            f"{voxels.PROVENANCE} {mnist.LICENCE}.",
        ),
    )
}
