"""`GET /layers/{n}/receptive-fields`: the table says of each unit what `…/receptive-field` says of
it alone.
"""

import io
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from anatomy import model_file
from service.api.field_schemas import FieldTable
from service.settings import Settings
from tests.service.networks import npy, parsed

ROOT = Path(__file__).parents[3]
NPY = {"Content-Type": "application/x-npy"}
Check = Callable[..., dict[str, Any]]
Start = Callable[[Settings], httpx.Client]

SYMMETRIC = """<ir_version: 8, opset_import: ["" : 18]>
symmetric (float[N,1,5,5] x) => (float[N,1,5,5] y) <float[1,1,1,1] w> {
  c = Conv(x, w)
  t = Transpose<perm=[0,1,3,2]>(c)
  y = Add(c, t)
}"""


@pytest.fixture
def input_id(client: httpx.Client, picture: bytes) -> str:
    return str(client.post("/predict", content=picture).json()["input_id"])


def table(client: httpx.Client, path: str) -> dict[str, Any]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    FieldTable.model_validate(body)
    return body


def told(body: dict[str, Any], unit: Sequence[int]) -> dict[str, Any]:
    """What the table says of one unit, as the route for one unit says it."""
    entries = [
        (axis, 0 if axis["follows"] is None else unit[axis["follows"]]) for axis in body["axes"]
    ]
    intervals = {
        name: [axis[name][index] for axis, index in entries] for name in ("interval", "clipped")
    }
    pictures = [axis["picture"] and axis["picture"][index] for axis, index in entries]
    return {**intervals, "picture": pictures if any(pictures) else None}


def check(client: httpx.Client, layer: int, query: str, units: Sequence[Sequence[int]]) -> None:
    body = table(client, f"/layers/{layer}/receptive-fields?{query}")
    for unit in units:
        position = ",".join(map(str, unit))
        one = client.get(f"/layers/{layer}/receptive-field?{query}&unit={position}").json()
        assert told(body, unit) == {
            name: one[name] for name in ("interval", "clipped", "picture")
        }, unit
        assert (body["layer"], body["status"]) == (one["layer"], one["status"])


@pytest.mark.parametrize(("layer", "size"), [(0, 16), (1, 8), (2, 1)])
def test_every_unit_is_in_the_table_with_its_pixels_in_the_picture(
    client: httpx.Client, input_id: str, layer: int, size: int
) -> None:
    check(client, layer, f"input_id={input_id}", list(product(range(size), repeat=2)))


def test_on_an_earlier_layer_there_is_no_picture(client: httpx.Client, input_id: str) -> None:
    check(client, 1, "of=0", list(product(range(8), repeat=2)))
    body = table(client, f"/layers/1/receptive-fields?of=0&input_id={input_id}")
    assert (body["of"]["index"], [axis["picture"] for axis in body["axes"]]) == (0, [None, None])
    assert [(axis["size"], axis["frame"]) for axis in body["axes"]] == [(16, None), (16, None)]


def test_units_of_a_volume_have_three_entries(client: httpx.Client) -> None:
    check(client, 1, "model=volumes", list(product(range(3), range(4), range(5))))


def test_the_shape_or_the_numbers_posted_settle_what_the_model_leaves_open(
    client: httpx.Client, assert_problem: Check
) -> None:
    check(client, 0, "model=signals&shape=1,2,9", [(unit,) for unit in range(9)])
    signal = npy(np.zeros((2, 12), np.float32))
    input_id = client.post(
        "/layers/0/activations?model=signals", content=signal, headers=NPY
    ).json()["input_id"]
    [axis] = table(client, f"/layers/0/receptive-fields?model=signals&input_id={input_id}")["axes"]
    assert (axis["follows"], len(axis["clipped"]), axis["clipped"][-1], axis["picture"]) == (
        0,
        12,
        [9, 12],
        None,
    )
    response = client.get("/layers/0/receptive-fields?model=signals")
    assert_problem(response, 422, "impossible", "shape=1,3,64")


def test_a_layer_without_spatial_axes_sees_the_whole_input(
    client: httpx.Client, input_id: str
) -> None:
    body = table(client, f"/layers/3/receptive-fields?input_id={input_id}")
    unit = client.get(f"/layers/3/activations?input_id={input_id}").json()["units"][0][
        "receptive_field"
    ]
    assert (body["status"], [axis["follows"] for axis in body["axes"]]) == (
        "whole_input",
        [None, None],
    )
    assert told(body, ()) == unit


def test_fields_that_are_no_product_are_refused_and_those_of_single_units_answered(
    started: Start, tmp_path: Path, assert_problem: Check
) -> None:
    model_file.write(parsed(SYMMETRIC), tmp_path / "models/symmetric/1/model.onnx", None)
    client = started(
        Settings(
            models=tmp_path / "models", device="cpu", threads=1, input_store=tmp_path / "inputs"
        )
    )
    assert_problem(
        client.get("/layers/1/receptive-fields"), 422, "impossible", "ask for single units"
    )
    assert client.get("/layers/1/receptive-field?unit=3,1").json()["clipped"] == [[1, 4], [1, 4]]


@pytest.mark.parametrize("name", ["digits", "digits1d", "voxels"])
def test_units_of_the_learned_models_are_in_the_table(
    started: Start, tmp_path: Path, name: str
) -> None:
    service = started(
        Settings(models=ROOT / "models", device="cpu", threads=1, input_store=tmp_path / "inputs")
    )
    layers = [
        entry
        for entry in service.get(f"/layers?model={name}").json()["layers"]
        if len(entry["output_shape"]) > 1
    ]
    for layer in layers[:: len(layers) // 3]:
        ends = [{0, size // 2, size - 1} for size in layer["output_shape"][1:]]
        check(service, layer["index"], f"model={name}", list(product(*ends)))


@pytest.mark.parametrize("index", [0, 20, 57])
def test_units_of_a_deep_network_are_in_the_table(
    started: Start, models_folder: Path, tmp_path: Path, samples: Path, index: int
) -> None:
    service = started(
        Settings(models=models_folder, device="cpu", threads=1, input_store=tmp_path / "inputs")
    )
    posted = service.post("/predict", content=(samples / "cat.jpg").read_bytes()).json()["input_id"]
    size = service.get("/layers").json()["layers"][index]["output_shape"][-1]
    check(
        service,
        index,
        f"input_id={posted}",
        [(0, 0), (size - 1, 0), (size // 2, size // 3), (2, size - 1)],
    )


def test_the_frame_of_a_centre_crop_is_the_middle_of_the_picture(
    started: Start, models_folder: Path, tmp_path: Path, samples: Path
) -> None:
    service = started(
        Settings(models=models_folder, device="cpu", threads=1, input_store=tmp_path / "inputs")
    )
    posted = service.post("/predict", content=(samples / "cat.jpg").read_bytes()).json()["input_id"]
    axes = table(service, f"/layers/20/receptive-fields?input_id={posted}")["axes"]
    # 451 x 300 pixels, of which the middle 0.875 of the shorter side is taken.
    assert [(axis["size"], axis["frame"]) for axis in axes] == [
        (224, [18.75, 281.25]),
        (224, [94.25, 356.75]),
    ]


def test_the_frame_of_a_digit_reaches_beyond_a_picture_that_ends_beside_its_ink(
    started: Start, tmp_path: Path
) -> None:
    service = started(
        Settings(models=ROOT / "models", device="cpu", threads=1, input_store=tmp_path / "inputs")
    )
    paper = Image.new("L", (300, 300), 255)
    paper.paste(0, (10, 70, 50, 270))
    file = io.BytesIO()
    paper.save(file, "PNG")
    posted = service.post("/predict?model=digits", content=file.getvalue()).json()["input_id"]
    axes = table(service, f"/layers/0/receptive-fields?model=digits&input_id={posted}")["axes"]
    # 200 x 40 pixels of ink become 20 x 4 of the 28 x 28, ten pixels each, and its middle comes to
    # 14, 14.
    assert [axis["size"] for axis in axes] == [28, 28]
    assert [axis["frame"] for axis in axes] == [
        pytest.approx([30, 310]),
        pytest.approx([-110, 170]),
    ]


@pytest.mark.parametrize(
    ("path", "status", "slug", "says"),
    [
        ("/layers/0/receptive-fields?of=1", 422, "impossible", "does not depend"),
        ("/layers/9/receptive-fields", 404, "unknown-layer", "GET /layers"),
        ("/layers/0/receptive-fields?of=9", 404, "unknown-layer", "GET /layers"),
        ("/layers/0/receptive-fields?model=x", 404, "unknown-model", "photos"),
        (f"/layers/0/receptive-fields?input_id={'0' * 64}", 404, "unknown-input", "post it again"),
        ("/layers/0/receptive-fields?shape=1,2", 422, "impossible", "does not fit"),
        ("/layers/0/receptive-fields?shape=big", 400, "invalid-request", "whole number"),
        (
            "/layers/0/receptive-fields?model=signals&shape=1,2,200000",
            422,
            "impossible",
            "too large for a table",
        ),
    ],
)
def test_what_cannot_be_answered_says_why(
    client: httpx.Client, assert_problem: Check, path: str, status: int, slug: str, says: str
) -> None:
    assert_problem(client.get(path), status, slug, says)
