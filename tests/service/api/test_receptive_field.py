"""`GET /layers/{n}/receptive-field`: closed forms worked out by hand, and the picture that was
posted.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.api.field_schemas import ProjectiveField, UnitField, WholeField

Check = Callable[..., dict[str, Any]]
CONV, POOL, GLOBAL, DENSE = (f"/layers/{n}/receptive-field" for n in range(4))


@pytest.fixture
def input_id(client: httpx.Client, picture: bytes) -> str:
    return str(client.post("/predict", content=picture).json()["input_id"])


# Convolution: kernel 3, stride 2, padding 1. Pool: 2 by 2 over it, so 3 + 2 * 1 = 5, stride 4,
# padding 1.
@pytest.mark.parametrize(("path", "size", "stride", "padding"), [(CONV, 3, 2, 1), (POOL, 5, 4, 1)])
def test_a_layer_has_size_stride_and_padding_per_axis(
    client: httpx.Client, path: str, size: int, stride: int, padding: int
) -> None:
    body = client.get(path).json()
    WholeField.model_validate(body)
    assert (body["status"], body["size"]) == ("exact", [size, size])
    assert (body["stride"], body["padding"]) == ([stride, stride], [padding, padding])


@pytest.mark.parametrize(
    ("path", "unit", "interval", "clipped"),
    [
        (CONV, "3,5", [[5, 8], [9, 12]], [[5, 8], [9, 12]]),
        (CONV, "0,0", [[-1, 2], [-1, 2]], [[0, 2], [0, 2]]),
        (POOL, "7,0", [[27, 32], [-1, 4]], [[27, 32], [0, 4]]),
        (GLOBAL, "0,0", [[-1, 32], [-1, 32]], [[0, 32], [0, 32]]),
    ],
)
def test_a_unit_sees_an_interval_per_axis(
    client: httpx.Client, path: str, unit: str, interval: Any, clipped: Any
) -> None:
    body = client.get(f"{path}?unit={unit}").json()
    UnitField.model_validate(body)
    assert (body["interval"], body["clipped"], body["picture"]) == (interval, clipped, None)
    assert body["unit"] == [int(index) for index in unit.split(",")]


@pytest.mark.parametrize(
    ("pixel", "units"),
    [("0,0", [[0, 1], [0, 1]]), ("1,2", [[0, 2], [1, 2]]), ("31,31", [[15, 16], [15, 16]])],
)
def test_backwards_a_pixel_is_seen_by_these_units(
    client: httpx.Client, pixel: str, units: Any
) -> None:
    body = client.get(f"{CONV}?pixel={pixel}").json()
    ProjectiveField.model_validate(body)
    assert body["units"] == units


def test_both_directions_agree_on_every_pixel_of_a_row(client: httpx.Client) -> None:
    fields = [client.get(f"{POOL}?unit={unit},0").json()["clipped"][0] for unit in range(8)]
    for pixel in range(32):
        [rows, _] = client.get(f"{POOL}?pixel={pixel},0").json()["units"]
        assert [unit for unit, (start, stop) in enumerate(fields) if start <= pixel < stop] == list(
            range(*rows)
        )


def test_the_field_on_an_earlier_layer_counts_its_units(client: httpx.Client) -> None:
    field = client.get(f"{POOL}?of=0").json()
    WholeField.model_validate(field)
    assert (field["size"], field["stride"], field["of"]["index"]) == ([2, 2], [2, 2], 0)
    unit = client.get(f"{POOL}?of=0&unit=3,5").json()
    UnitField.model_validate(unit)
    assert unit["interval"] == [[6, 8], [10, 12]]
    back = client.get(f"{POOL}?of=0&pixel=7,10").json()
    ProjectiveField.model_validate(back)
    assert back["units"] == [[3, 4], [5, 6]]


def test_the_rectangle_in_the_posted_picture_is_that_of_its_activations(
    client: httpx.Client, picture: bytes, input_id: str
) -> None:
    for strongest in client.post("/layers/0/activations", content=picture).json()["units"]:
        unit = ",".join(str(index) for index in strongest["position"])
        body = client.get(f"{CONV}?unit={unit}&input_id={input_id}").json()
        UnitField.model_validate(body)
        assert {name: body[name] for name in ("interval", "clipped", "picture")} == strongest[
            "receptive_field"
        ]


def test_a_volume_has_three_axes(client: httpx.Client) -> None:
    body = client.get("/layers/1/receptive-field?model=volumes&unit=0,1,2").json()
    assert body["interval"] == [[0, 4], [1, 5], [2, 6]]


def test_the_shape_settles_what_the_model_leaves_open(client: httpx.Client) -> None:
    path = "/layers/0/receptive-field?model=signals"
    assert client.get(path).json()["size"] == [5]
    clipped = [
        client.get(f"{path}&unit=8&shape=1,2,{size}").json()["clipped"] for size in (9, 10, 40)
    ]
    assert clipped == [[[6, 9]], [[6, 10]], [[6, 11]]]


@pytest.mark.parametrize(
    ("query", "status", "slug", "says"),
    [
        ("unit=16,0", 422, "unknown-unit", "16x16"),
        ("unit=-1,0", 422, "unknown-unit", "outside"),
        ("unit=99999999999999999999,0", 422, "unknown-unit", "outside"),
        ("unit=3", 422, "unknown-unit", "2 spatial axes"),
        ("unit=1,2,3", 422, "unknown-unit", "2 spatial axes"),
        ("unit=a,b", 400, "invalid-request", "unit=3,5"),
        ("unit=", 400, "invalid-request", "unit=3,5"),
        ("pixel=32,0", 422, "impossible", "outside"),
        ("pixel=3", 422, "impossible", "2 spatial axes"),
        ("pixel=1.5,0", 400, "invalid-request", "pixel=3,5"),
        ("unit=1,1&pixel=1,1", 400, "invalid-request", "not for both"),
        ("of=1", 422, "impossible", "does not depend"),
        ("of=1&unit=0,0", 422, "impossible", "does not depend"),
        ("of=7", 404, "unknown-layer", "GET /layers"),
        ("model=nets", 404, "unknown-model", "photos"),
        (f"unit=0,0&input_id={'0' * 64}", 404, "unknown-input", "post it again"),
        ("input_id=0", 400, "invalid-request", "needs unit"),
        ("shape=1,16,16,3", 422, "impossible", "[N, 32, 32, 3]"),
        ("shape=big", 400, "invalid-request", "whole number"),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: httpx.Client, assert_problem: Check, query: str, status: int, slug: str, says: str
) -> None:
    assert_problem(client.get(f"{CONV}?{query}"), status, slug, says)
    assert client.get(f"{CONV}?unit=0,0").status_code == 200


@pytest.mark.parametrize("query", ["unit=0,0", "unit=0", "pixel=0,0"])
def test_a_layer_without_spatial_axes_has_no_unit_to_ask_about(
    client: httpx.Client, assert_problem: Check, query: str
) -> None:
    assert_problem(client.get(f"{DENSE}?{query}"), 422, "no-spatial-axes", "sees the whole input")
    assert client.get(DENSE).json()["status"] == "whole_input"


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (None, "shape=1,3,64"),
        ("1,2,0", "empty"),
        ("1,2,99999999999", "beyond"),
        ("1,2,262145", "beyond the 262144"),
        ("1,3,9", "fit"),
    ],
)
def test_open_sizes_ask_for_a_shape_that_fits(
    client: httpx.Client, assert_problem: Check, shape: str | None, says: str
) -> None:
    query = "" if shape is None else f"&shape={shape}"
    response = client.get(f"/layers/0/receptive-field?model=signals&unit=3{query}")
    assert response.status_code == 422
    assert_problem(response, 422, response.json()["type"].removeprefix("/problems/"), says)
