"""A table of all units says of each what `units` says of it alone, or that there is none."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.results import FieldTable, Interval, UnitError
from anatomy.fields.tables import MAX_CELLS
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import read
from tests.anatomy.networks import Network, network
from tests.anatomy.random_networks import networks

ROOT = Path(__file__).parents[3]
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
Field = tuple[tuple[Interval, ...], tuple[Interval, ...]]


def emptied(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """Empty along every axis if along any."""
    return ((0, 0),) * len(intervals) if (0, 0) in intervals else tuple(intervals)


def told(table: FieldTable, unit: Sequence[int]) -> Field:
    """What the table says of one unit."""
    indices = [0 if axis.follows is None else unit[axis.follows] for axis in table.axes]
    interval = [axis.interval[index] for axis, index in zip(table.axes, indices, strict=True)]
    clipped = [axis.clipped[index] for axis, index in zip(table.axes, indices, strict=True)]
    return emptied(interval), emptied(clipped)


def positions(graph: Graph, layer: Layer, most: int = 400) -> list[tuple[int, ...]]:
    """All positions of a layer's map, or so many at random."""
    sizes = [
        size
        for axis in layer.spatial_axes
        if isinstance(size := (graph.shape(layer.tensor) or ())[axis], int)
    ]
    if np.prod(sizes) <= most:
        return list(product(*map(range, sizes)))
    random = np.random.default_rng(layer.index)
    return [tuple(int(random.integers(size)) for size in sizes) for _ in range(most)]


def check(
    graph: Graph, fields: ReceptiveFields, layer: Layer, of: Layer | None = None
) -> FieldTable:
    table = fields.table(layer, of)
    assert table.status == fields.layer(layer, of).status
    sizes = [(graph.shape(layer.tensor) or ())[axis] for axis in layer.spatial_axes]
    for axis in table.axes:
        count = 1 if axis.follows is None else sizes[axis.follows]
        assert len(axis.interval) == len(axis.clipped) == count
    units = positions(graph, layer)
    for unit, field in zip(units, fields.units(layer, units, of), strict=True):
        assert told(table, unit) == (emptied(field.interval), emptied(field.clipped)), (
            layer.name,
            unit,
        )
    return table


def is_product(graph: Graph, fields: ReceptiveFields, layer: Layer) -> bool:
    """Whether units in one row have the same rows, and so on, by the fields of all units one by
    one.
    """
    units = positions(graph, layer, 10**6)
    unit_fields = fields.units(layer, units)
    return all(
        holds(units, [emptied(intervals) for intervals in kind])
        for kind in (
            [field.clipped for field in unit_fields],
            [field.interval for field in unit_fields],
        )
    )


def holds(units: Sequence[tuple[int, ...]], fields: Sequence[tuple[Interval, ...]]) -> bool:
    seeing = [
        (unit, field) for unit, field in zip(units, fields, strict=True) if (0, 0) not in field
    ]
    alive = [{unit[k] for unit, _ in seeing} for k in range(len(units[0]))]
    if len(seeing) != np.prod([len(indices) for indices in alive]):
        return False
    return all(
        any(
            len({(unit[k], field[axis]) for unit, field in seeing}) == len(alive[k])
            for k in range(len(alive))
        )
        for axis in range(len(fields[0]))
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(data=st.data())
def test_the_table_of_a_random_network_is_the_field_of_every_unit(
    rank: int, data: st.DataObject
) -> None:
    model: onnx.ModelProto = data.draw(networks(rank))
    net = Network(model)
    for layer in net.layers:
        try:
            net.fields.table(layer)
        except UnitError:
            # Fields may have the same ends, and other holes between them: rarely one is refused
            # that need not be.
            event(
                "no table of what is a product"
                if is_product(net.graph, net.fields, layer)
                else "no product"
            )
        else:
            event("table")
            check(net.graph, net.fields, layer)


def has_units(layer: Layer) -> bool:
    """Whether its units lie along spatial axes."""
    return bool(layer.spatial_axes)


def before(net: Network, layer: Layer) -> list[Layer]:
    """The layers that one depends on."""
    reached = {net.graph.inputs[0]: set[str]()}
    for node in net.graph.nodes:
        behind = set[str]().union(*(reached.get(name, ()) for name in node.inputs), node.inputs)
        reached.update(dict.fromkeys(node.outputs, behind))
    return [earlier for earlier in net.layers if earlier.tensor in reached[layer.tensor]]


BY_HAND = {
    "asymmetric pads, dilation and a stride beyond the kernel": """(float[1,1,11,13] x) =>
    (float[1,1,H,W] y)
        <float[1,1,2,3] v, float[1,1,1,2] w> {
        a = Conv<pads=[2,0,1,3], dilations=[3,1]>(x, v)  y = Conv<strides=[4,5]>(a, w) }""",
    "a transposed convolution whose stride leaves gaps": """(float[1,1,4,5] x) => (float[1,1,H,W] y)
        <float[1,1,2,3] v, float[1,1,1,1] w> {
        a = ConvTranspose<strides=[3,4]>(x, v)  y = Conv<pads=[1,0,0,2]>(a, w) }""",
    "spatial axes that change places": """(float[1,1,9,6] x) => (float[1,1,W,H] y)
        <float[1,1,3,1] v, float[1,1,1,3] w> {
        a = Conv<strides=[2,1], pads=[0,0,2,0]>(x, v)  b = Transpose<perm=[0,1,3,2]>(a)
        y = Conv(b, w) }""",
    "an axis read whole, and padded again": """(float[1,1,7,8] x) => (float[1,1,H,W] y)
        <float[1,1,3,3] v, float[1,1,1,1] w> {
        a = Conv(x, v)  b = GlobalAveragePool(a)  y = Conv<pads=[1,0,1,2]>(b, w) }""",
    "a volume": """(float[1,1,5,6,7] x) => (float[1,1,D,H,W] y) <float[1,1,2,3,1] v> {
        a = Conv<pads=[1,0,0,0,2,1], strides=[1,2,3]>(x, v)
        y = AveragePool<kernel_shape=[2,1,2]>(a) }""",
    "a factor from the whole map": """(float[1,1,9,9] x) => (float[1,1,H,W] y) <float[1,1,3,3] v,
    float[1,1,1,1] w> {
        a = Conv<pads=[1,1,1,1]>(x, v)  b = GlobalAveragePool(a)  c = Conv(b, w)  d = Sigmoid(c)
        e = Mul(a, d)
        y = Conv(e, v) }""",
    "two axes that became one": """(float[1,1,4,5] x) => (float[1,1,L] y) <float[1,1,2,2] v,
    float[1,1,3] w> {
        a = Conv<pads=[0,1,1,0]>(x, v)  s = Constant<value_ints=[1,1,20]>()  b = Reshape(a, s)
        y = Conv(b, w) }""",
    "a generator": """(float[1,4] x) => (float[1,1,H,W] y) <float[4,9] v, float[1,1,2,2] w> {
        a = Gemm(x, v)  s = Constant<value_ints=[1,1,3,3]>()  b = Reshape(a, s)
        c = ConvTranspose<strides=[2,2]>(b, w)
        y = Conv<pads=[1,1,1,1]>(c, w) }""",
    "rows side by side that see the same columns": """(float[1,1,6,7] x) => (float[1,1,H,W] y)
        <float[1,1,2,3] v, float[1,1,1,3] w> {
        a = Conv(x, v)  b = Conv(x, w)  c = Concat<axis=2>(a, b)  y = Relu(c) }""",
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_table_on_the_input_and_on_every_layer_before_is_the_field_of_every_unit(
    name: str,
) -> None:
    net = network(BY_HAND[name])
    for layer in filter(has_units, net.layers):
        for of in (None, *before(net, layer)):
            check(net.graph, net.fields, layer, of)


@pytest.mark.parametrize("name", ["imagenet", "digits", "digits1d", "voxels"])
def test_the_table_of_every_layer_of_a_real_network_is_the_field_of_every_unit(
    name: str, imagenet_model: Path
) -> None:
    graph = read(
        imagenet_model if name == "imagenet" else ROOT / f"models/{name}/1/model.onnx"
    ).graph
    network_layers, fields = layers(graph), ReceptiveFields(graph)
    for layer in filter(has_units, network_layers):
        check(graph, fields, layer)
        for of in network_layers[: layer.index][-2:]:
            check(graph, fields, layer, of)


def test_axes_that_changed_places_are_followed_crosswise() -> None:
    net = network(BY_HAND["spatial axes that change places"])
    assert [axis.follows for axis in net.fields.table(net.layer("y")).axes] == [1, 0]


def test_a_unit_between_the_steps_of_a_transposed_convolution_sees_nothing_not_even_padding() -> (
    None
):
    net = network(BY_HAND["a transposed convolution whose stride leaves gaps"])
    (field,) = net.fields.units(net.layer("a"), [(2, 0)])
    assert (field.interval[0], field.clipped) == ((0, 0), ((0, 0), (0, 0)))


def test_a_layer_without_spatial_axes_sees_the_whole_input_and_the_whole_of_every_map_before() -> (
    None
):
    net = network(
        """(float[1,1,9,8] x) => (float[1,5] y) <float[1,1,3,3] v, float[1,2] g, float[2,5] w> {
        a = Conv<pads=[1,1,0,0]>(x, v)  p = GlobalAveragePool(a)  f = Flatten(p)  h = Gemm(f, g)
        y = MatMul(h, w) }"""
    )
    tables = {
        of: net.fields.table(net.layer("y"), net.layer(of) if of else None)
        for of in (None, "a", "p", "h")
    }
    assert {table.status for table in tables.values()} == {"whole_input"}
    assert [[axis.clipped for axis in table.axes] for table in tables.values()] == [
        [((0, 9),), ((0, 8),)],
        [((0, 8),), ((0, 7),)],
        [((0, 1),), ((0, 1),)],
        [],
    ]
    assert all(
        axis.follows is None and axis.interval == axis.clipped
        for table in tables.values()
        for axis in table.axes
    )


NO_PRODUCTS = {
    "a map on top of its own transpose": """(float[1,1,5,5] x) => (float[1,1,5,5] y)
    <float[1,1,1,1] w> {
        a = Conv(x, w)  b = Transpose<perm=[0,1,3,2]>(a)  y = Add(a, b) }""",
    "rows side by side that see other columns": """(float[1,1,6,7] x) => (float[1,1,H,W] y)
        <float[1,1,1,3] v, float[1,1,2,5] w> {
        a = Conv<pads=[0,1,0,1]>(x, v)  b = Conv<pads=[0,2,0,2]>(x, w)  c = Concat<axis=2>(a, b)
        y = Relu(c) }""",
    "corners of which one branch sees nothing": """(float[1,1,6,6] x) => (float[1,1,6,6] y)
        <float[1,1,3,3] v, float[1,1,1,1] w> {
        a = Conv<pads=[1,1,1,1]>(x, v)  s = Constant<value_ints=[0,0,2,2,0,0,-2,-2]>()
        b = Pad(x, s)  c = Conv(b, w)
        y = Add(a, c) }""",
}


@pytest.mark.parametrize("name", NO_PRODUCTS)
def test_fields_that_are_no_product_of_axes_have_no_table(name: str) -> None:
    net = network(NO_PRODUCTS[name])
    layer = net.layers[-1]
    assert not is_product(net.graph, net.fields, layer)
    with pytest.raises(UnitError, match="ask for single units"):
        net.fields.table(layer)


def test_a_map_too_large_for_a_table_is_refused_while_its_units_are_answered() -> None:
    length = int(MAX_CELLS**0.5)
    text = (
        "(float[1,1,{0}] x) => (float[1,1,{0}] y) <float[1,1,3] v> {{ y = Conv<pads=[1,1]>(x, v) }}"
    )
    large = network(text.format(length))
    with pytest.raises(UnitError, match="too large for a table of all units; ask for single units"):
        large.fields.table(large.layers[0])
    assert large.fields.units(large.layers[0], [(length - 1,)])[0].clipped == (
        (length - 2, length),
    )
    small = network(text.format(length // 2))
    assert len(small.fields.table(small.layers[0]).axes[0].clipped) == length // 2
