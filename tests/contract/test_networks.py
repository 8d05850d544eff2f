"""What holds for every network that the builder can build."""

from pathlib import Path

import pytest

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.rule_table import RULES, RULES_BY_OUTPUT
from anatomy.layers.layers import layers
from anatomy.model_file import ModelFile, read


@pytest.fixture(scope="module")
def model(imagenet_model: Path) -> ModelFile:
    return read(imagenet_model)


def test_every_operator_has_a_receptive_field_rule(model: ModelFile) -> None:
    assert {node.operator for node in model.graph.nodes} <= {*RULES, *RULES_BY_OUTPUT}


def test_no_layer_has_a_mere_upper_bound(model: ModelFile) -> None:
    fields = ReceptiveFields(model.graph)
    found = layers(model.graph)
    assert [layer.name for layer in found if fields.layer(layer).status == "upper_bound"] == []
    assert sum(fields.layer(layer).status == "exact" for layer in found) > 40


def test_layers_lose_no_parameter_and_no_operator(model: ModelFile) -> None:
    weights = sum(
        array.size
        for name, array in model.graph.constants.items()
        if array.ndim > 0 and array.size > 9
    )
    assert sum(layer.parameters for layer in layers(model.graph)) == weights
