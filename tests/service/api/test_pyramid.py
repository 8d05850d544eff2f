"""`GET /layers/{n}/pyramid`: each level is what `…/receptive-field` says of the unit there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.api.field_schemas import Pyramid
from service.settings import Settings
from tests.service.networks import npy

ROOT = Path(__file__).parents[3]
NPY = {"Content-Type": "application/x-npy"}
Check = Callable[..., dict[str, Any]]
Start = Callable[[Settings], httpx.Client]


@pytest.fixture
def input_id(client: httpx.Client, picture: bytes) -> str:
    return str(client.post("/predict", content=picture).json()["input_id"])


def pyramid(client: httpx.Client, path: str) -> dict[str, Any]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    Pyramid.model_validate(body)
    return body


def check(
    client: httpx.Client, layer: int, unit: str, query: str = "", input_id: str = ""
) -> list[int | None]:
    """Compares every level with the route for one unit; the layers of the levels."""
    posted = f"&input_id={input_id}" if input_id else ""
    body = pyramid(client, f"/layers/{layer}/pyramid?unit={unit}{query}{posted}")
    path = f"/layers/{layer}/receptive-field?unit={unit}{query}"
    for level in body["levels"]:
        on = posted if level["layer"] is None else f"&of={level['layer']['index']}"
        one = client.get(path + on).json()
        assert (level["layer"], body["unit"], body["layer"]) == (
            one.get("of"),
            one["unit"],
            one["layer"],
        )
        assert all(
            level[name] == one[name] for name in ("status", "interval", "clipped", "picture")
        )
    return [level["layer"] and level["layer"]["index"] for level in body["levels"]]


def test_the_nearest_layer_comes_first_and_the_input_last(
    client: httpx.Client, input_id: str
) -> None:
    assert check(client, 2, "0,0", "", input_id) == [1, 0, None]
    assert check(client, 1, "3,5", "", input_id) == [0, None]
    assert check(client, 0, "15,0", "", input_id) == [None]


def test_the_picture_is_on_the_level_of_the_input(client: httpx.Client, input_id: str) -> None:
    levels = pyramid(client, f"/layers/1/pyramid?unit=3,5&input_id={input_id}")["levels"]
    assert [level["picture"] is None for level in levels] == [True, False]


@pytest.mark.parametrize("parameter", ["", "unit="])
def test_a_dense_layer_needs_no_unit_and_sees_all_of_everything(
    client: httpx.Client, input_id: str, parameter: str
) -> None:
    body = pyramid(client, f"/layers/3/pyramid?{parameter}&input_id={input_id}")
    assert (body["unit"], {level["status"] for level in body["levels"]}) == ([], {"whole_input"})
    assert [level["clipped"] for level in body["levels"]] == [
        [[0, 1], [0, 1]],
        [[0, 8], [0, 8]],
        [[0, 16], [0, 16]],
        [[0, 32], [0, 32]],
    ]
    field = client.get(f"/layers/3/activations?input_id={input_id}").json()["units"][0][
        "receptive_field"
    ]
    assert body["levels"][-1]["picture"] == field["picture"]


def test_a_dense_layer_before_has_no_axes(client: httpx.Client) -> None:
    levels = pyramid(client, "/layers/2/pyramid?model=decoder")["levels"]
    assert [(level["layer"] and level["layer"]["index"], level["clipped"]) for level in levels] == [
        (1, []),
        (0, [[0, 6], [0, 6]]),
        (None, [[0, 3], [0, 3]]),
    ]


def test_the_shape_or_the_numbers_posted_settle_what_the_model_leaves_open(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert check(client, 0, "8", "&model=signals&shape=1,2,9") == [None]
    signal = npy(np.zeros((2, 12), np.float32))
    input_id = client.post(
        "/layers/0/activations?model=signals", content=signal, headers=NPY
    ).json()["input_id"]
    assert check(client, 0, "11", "&model=signals", input_id) == [None]
    assert_problem(
        client.get("/layers/0/pyramid?model=signals&unit=3"), 422, "unknown-unit", "shape=1,3,64"
    )


@pytest.mark.parametrize("name", ["digits", "digits1d", "voxels"])
def test_every_level_of_the_learned_models(started: Start, tmp_path: Path, name: str) -> None:
    service = started(
        Settings(models=ROOT / "models", device="cpu", threads=1, input_store=tmp_path / "inputs")
    )
    layers = [
        entry
        for entry in service.get(f"/layers?model={name}").json()["layers"]
        if len(entry["output_shape"]) > 1
    ]
    for layer in layers[-2:]:
        unit = ",".join(str(size // 3) for size in layer["output_shape"][1:])
        assert check(service, layer["index"], unit, f"&model={name}")[-1] is None


@pytest.mark.parametrize(("layer", "unit"), [(57, "3,6"), (20, "0,13"), (58, "0,0")])
def test_every_level_of_a_deep_network(
    started: Start, models_folder: Path, tmp_path: Path, samples: Path, layer: int, unit: str
) -> None:
    service = started(
        Settings(models=models_folder, device="cpu", threads=1, input_store=tmp_path / "inputs")
    )
    posted = service.post("/predict", content=(samples / "cat.jpg").read_bytes()).json()["input_id"]
    assert check(service, layer, unit, "", posted) == [*reversed(range(layer)), None]


@pytest.mark.parametrize(
    ("path", "status", "slug", "says"),
    [
        ("/layers/0/pyramid", 400, "invalid-request", "unit=3,5"),
        ("/layers/0/pyramid?unit=a,b", 400, "invalid-request", "whole number"),
        ("/layers/0/pyramid?unit=16,0", 422, "unknown-unit", "outside"),
        ("/layers/0/pyramid?unit=3", 422, "unknown-unit", "2 spatial axes"),
        ("/layers/3/pyramid?unit=0,0", 422, "no-spatial-axes", "0 spatial axes"),
        ("/layers/9/pyramid?unit=0,0", 404, "unknown-layer", "GET /layers"),
        (f"/layers/0/pyramid?unit=0,0&input_id={'0' * 64}", 404, "unknown-input", "post it again"),
        ("/layers/0/pyramid?unit=0,0&shape=1,2", 422, "impossible", "does not fit"),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: httpx.Client, assert_problem: Check, path: str, status: int, slug: str, says: str
) -> None:
    assert_problem(client.get(path), status, slug, says)
