"""The strongest units: their values are the array's largest, and nothing outside their rectangle
touches them.
"""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.service.networks import Array, encoded, loaded, npy

NPY = {"Accept": "application/x-npy"}
HEIGHT, WIDTH = 40, 60


@pytest.fixture(scope="module")
def pixels() -> Array:
    return np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def array_of(client: httpx.Client, layer: int, pixels: Array) -> Array:
    return loaded(
        client.post(
            f"/layers/{layer}/activations?tap=pre", content=encoded(pixels), headers=NPY
        ).content
    )


def units_of(client: httpx.Client, layer: int, pixels: Array, query: str = "") -> Any:
    return client.post(
        f"/layers/{layer}/activations?tap=pre{query}", content=encoded(pixels)
    ).json()["units"]


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_units_are_the_largest_of_the_array(
    client: httpx.Client, pixels: Array, layer: int
) -> None:
    array, units = array_of(client, layer, pixels), units_of(client, layer, pixels, "&units=6")
    assert [unit["value"] for unit in units] == np.sort(array.reshape(-1))[::-1][:6].astype(
        float
    ).tolist()
    for unit in units:
        assert array[(unit["channel"], *unit["position"])] == unit["value"]


def test_units_says_how_many_and_a_layer_may_have_fewer(
    client: httpx.Client, pixels: Array
) -> None:
    assert len(units_of(client, 0, pixels)) == 10
    assert units_of(client, 0, pixels, "&units=0") == []
    assert len(units_of(client, 2, pixels, "&units=100")) == 8


def test_equal_values_come_in_the_order_of_the_array(client: httpx.Client) -> None:
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    positions = [
        (item["channel"], item["position"]) for item in units_of(client, 0, black, "&units=3")
    ]
    assert positions == [(0, [0, 0]), (0, [0, 1]), (0, [0, 2])]


@pytest.mark.parametrize("layer", [0, 1])
def test_the_rectangle_lies_in_the_picture(client: httpx.Client, pixels: Array, layer: int) -> None:
    for unit in units_of(client, layer, pixels, "&units=200"):
        (top, bottom), (left, right) = unit["receptive_field"]["picture"]
        assert 0 <= top < bottom <= HEIGHT
        assert 0 <= left < right <= WIDTH


@pytest.mark.parametrize("layer", [0, 1])
def test_nothing_outside_the_rectangle_changes_the_unit_and_what_is_inside_does(
    client: httpx.Client, pixels: Array, layer: int
) -> None:
    before = array_of(client, layer, pixels)
    noise = np.random.default_rng(5).integers(0, 256, pixels.shape, np.uint8)
    for unit in units_of(client, layer, pixels, "&units=4"):
        (top, bottom), (left, right) = unit["receptive_field"]["picture"]
        inside = (slice(top, bottom), slice(left, right))
        around, within = noise.copy(), pixels.copy()
        around[inside], within[inside] = pixels[inside], noise[inside]
        unit_index = (unit["channel"], *unit["position"])
        assert array_of(client, layer, around)[unit_index] == before[unit_index]
        assert array_of(client, layer, within)[unit_index] != before[unit_index]


def test_a_unit_of_a_pool_over_the_whole_map_sees_the_whole_input(
    client: httpx.Client, pixels: Array
) -> None:
    field = units_of(client, 2, pixels)[0]["receptive_field"]
    assert field["clipped"] == [[0, 32], [0, 32]]
    rows, columns = field["picture"]
    # The crop is central.
    assert (rows[0] + rows[1], columns[0] + columns[1]) == (HEIGHT, WIDTH)


def test_a_unit_of_a_dense_layer_has_no_position_and_sees_everything(
    client: httpx.Client, pixels: Array
) -> None:
    units = units_of(client, 3, pixels)
    assert [unit["position"] for unit in units] == [[]] * 4
    assert all(unit["receptive_field"]["clipped"] == [[0, 32], [0, 32]] for unit in units)


def test_a_signal_has_an_interval_and_no_picture(client: httpx.Client) -> None:
    source = np.zeros((2, 30), np.float32)
    source[:, 12] = 1
    path = "/layers/0/activations?model=signals&tap=pre&units=1"
    [unit] = client.post(
        path, content=npy(source), headers={"Content-Type": "application/x-npy"}
    ).json()["units"]
    field, [position] = unit["receptive_field"], unit["position"]
    around = [[position - 2, position + 3]]
    assert field == {"interval": around, "clipped": around, "picture": None}
    assert position - 2 <= 12 < position + 3
