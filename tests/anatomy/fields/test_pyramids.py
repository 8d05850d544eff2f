"""Each level of a pyramid is the field of the unit on that layer, asked for by itself."""

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.results import LayerLike, UnitError
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import read
from tests.anatomy.fields.test_tables import (
    BY_HAND,
    NO_PRODUCTS,
    ROOT,
    SLOW,
    before,
    has_units,
    positions,
)
from tests.anatomy.networks import Network, network
from tests.anatomy.random_networks import networks


def check(
    fields: ReceptiveFields, layer: Layer, unit: Sequence[int], network_layers: Sequence[Layer]
) -> list[LayerLike | None]:
    """The layers of the levels, each of which was compared."""
    levels = fields.pyramid(layer, unit, network_layers)
    for level in levels:
        assert level.status == fields.layer(layer, level.of).status
        assert [level.field] == fields.units(layer, [unit], level.of), (layer.name, unit, level.of)
    return [level.of for level in levels]


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(data=st.data())
def test_in_a_random_network_with_branches_every_level_is_the_field_on_that_layer(
    rank: int, data: st.DataObject
) -> None:
    model: onnx.ModelProto = data.draw(networks(rank))
    net = Network(model)
    layer = net.layers[-1]
    unit = data.draw(st.sampled_from(positions(net.graph, layer)))
    assert check(net.fields, layer, unit, net.layers) == [*reversed(before(net, layer)), None]


@pytest.mark.parametrize(
    "text", [*BY_HAND.values(), *NO_PRODUCTS.values()], ids=[*BY_HAND, *NO_PRODUCTS]
)
def test_by_hand_too_and_for_every_unit_of_every_layer(text: str) -> None:
    net = network(text)
    for layer in filter(has_units, net.layers):
        for unit in positions(net.graph, layer):
            assert check(net.fields, layer, unit, net.layers) == [
                *reversed(before(net, layer)),
                None,
            ]


@pytest.mark.parametrize("name", ["imagenet", "digits", "digits1d", "voxels"])
def test_every_level_of_a_real_network_is_the_field_on_that_layer(
    name: str, imagenet_model: Path
) -> None:
    graph: Graph = read(
        imagenet_model if name == "imagenet" else ROOT / f"models/{name}/1/model.onnx"
    ).graph
    network_layers, fields = layers(graph), ReceptiveFields(graph)
    for layer in list(filter(has_units, network_layers))[-5:]:
        units = positions(graph, layer, 2)
        for unit in (units[0], units[-1]):
            check(fields, layer, unit, network_layers)


def test_a_unit_without_a_position_sees_the_whole_of_every_layer_before() -> None:
    net = network(
        """(float[1,1,9,8] x) => (float[1,5] y) <float[1,1,3,3] v, float[1,2] g, float[2,5] w> {
        a = Conv(x, v)  p = GlobalAveragePool(a)  f = Flatten(p)  h = Gemm(f, g)
        y = MatMul(h, w) }"""
    )
    levels = net.fields.pyramid(net.layer("y"), [], net.layers)
    assert [(level.of and level.of.name, level.field.clipped) for level in levels] == [
        ("h", ()),
        ("p", ((0, 1), (0, 1))),
        ("a", ((0, 7), (0, 6))),
        (None, ((0, 9), (0, 8))),
    ]
    with pytest.raises(UnitError, match="0 spatial axes"):
        net.fields.pyramid(net.layer("y"), [1], net.layers)
    with pytest.raises(UnitError, match="2 spatial axes"):
        net.fields.pyramid(net.layer("a"), [], net.layers)
