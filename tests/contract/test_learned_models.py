"""The models that were learned and are kept in the repository do what their cards say, on every
test example.
"""

from pathlib import Path

import numpy as np
import pytest

from anatomy.fields.rule_table import RULES, RULES_BY_OUTPUT
from anatomy.gradients.vjps import VJPS
from anatomy.layers.layers import layers
from anatomy.model_file import ModelFile, read
from model_build.commands.learn import LEARNED
from model_build.datasets import mnist, mnist1d, voxels
from model_build.datasets.split import Split
from model_build.evaluate import evaluate
from model_build.experiments.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[2]
PROMISED = {"digits": 0.996, "digits1d": 0.96, "voxels": 0.97}


def path(name: str) -> Path:
    return ROOT / "models" / name / "1" / "model.onnx"


@pytest.fixture(scope="module", params=LEARNED)
def learned(request: pytest.FixtureRequest) -> tuple[str, ModelFile]:
    return request.param, read(path(request.param))


def examples(name: str) -> Split:
    """All that the network has not learned from."""
    if name == "digits1d":
        return mnist1d.load().test
    digits = mnist.load_test(ROOT / "tests" / "data" / "mnist")
    return (
        digits
        if name == "digits"
        else voxels.turned(digits, np.random.default_rng([voxels.SEED, voxels.TEST]))
    )


def test_every_learned_model_has_a_course() -> None:
    assert set(LEARNED) == set(EXPERIMENTS) == set(PROMISED)


def test_it_names_as_many_test_examples_as_its_card_says_and_was_promised(
    learned: tuple[str, ModelFile],
) -> None:
    name, model = learned
    assert model.card is not None
    scores = evaluate(path(name), examples(name))
    assert scores.examples == (1000 if name == "digits1d" else 10_000)
    # Another processor rounds otherwise: one example may change sides.
    assert scores.accuracy == pytest.approx(
        model.card.scores["test_accuracy"], abs=1.5 / scores.examples
    )
    assert scores.accuracy >= PROMISED[name]


def test_it_is_small(learned: tuple[str, ModelFile]) -> None:
    name, model = learned
    assert path(name).stat().st_size < 3_000_000
    assert sum(layer.parameters for layer in layers(model.graph)) <= 150_000


def test_its_card_says_what_it_takes_where_it_comes_from_and_how_it_was_learned(
    learned: tuple[str, ModelFile],
) -> None:
    name, model = learned
    experiment = EXPERIMENTS[name]
    assert model.card is not None
    assert (model.card.input, model.card.labels) == (experiment.card.input, experiment.card.labels)
    assert (model.card.provenance, model.card.licence) == (
        experiment.card.provenance,
        experiment.card.licence,
    )
    assert len(model.card.history["epochs"]) == experiment.hyperparameters.epochs
    assert model.card.history["seed"] == experiment.hyperparameters.seed


def test_every_operator_has_a_receptive_field_rule_and_a_gradient(
    learned: tuple[str, ModelFile],
) -> None:
    used = {node.operator for node in learned[1].graph.nodes}
    assert used <= {*RULES, *RULES_BY_OUTPUT}
    assert used <= VJPS.keys()


def test_pictures_of_its_training_lie_beside_it(learned: tuple[str, ModelFile]) -> None:
    for picture in ("training.png", "confusion.png", "kernels.png"):
        assert (path(learned[0]).parent / picture).read_bytes().startswith(b"\x89PNG")
