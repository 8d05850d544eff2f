"""Signals and volumes are inputs like pictures: every way to send them, every route of their
layers, every refusal.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from anatomy import model_file
from service.api.field_schemas import UnitField, WholeField
from service.api.schemas import Activations, Kernels, Prediction
from service.settings import Settings
from tests.service.networks import (
    KINDS,
    SOLIDS,
    WAVES,
    Array,
    encoded,
    loaded,
    npy,
    parsed,
    pixels_of,
    tensors,
    weights_of,
)
from tests.service.serving import serving

Check = Callable[..., dict[str, Any]]
RANDOM = np.random.default_rng(5)
WAVE = RANDOM.normal(size=(2, 40)).astype(np.float32)
PULSE = RANDOM.normal(size=40).astype(np.float32)
SOLID = RANDOM.normal(size=(1, 6, 7, 8)).astype(np.float32)
NPY = {"Content-Type": "application/x-npy"}
CSV = {"Content-Type": "text/csv"}
ARRAY = {"Accept": "application/x-npy"}
SHEET = {"Accept": "image/png"}
CASES = [("waves", WAVES, WAVE), ("solids", SOLIDS, SOLID)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("kinds")
    for name, (text, card) in KINDS.items():
        model_file.write(parsed(text), folder / "models" / name / "1/model.onnx", card)
    settings = Settings(
        models=folder / "models", device="cpu", threads=1, input_store=folder / "inputs"
    )
    with serving(settings) as client:
        yield client


def table(array: Array, header: str = "") -> bytes:
    """A signal [C, L] as CSV with a column for each channel."""
    return (
        header + "\n".join(",".join(repr(float(value)) for value in row) for row in array.T)
    ).encode()


def scores(body: dict[str, Any]) -> list[float]:
    return [
        prediction["probability"]
        for prediction in sorted(
            body["predictions"], key=lambda prediction: int(prediction["index"])
        )
    ]


@pytest.mark.parametrize(("name", "text", "source"), CASES)
def test_an_array_is_classified_however_it_is_sent(
    client: httpx.Client, name: str, text: str, source: Array
) -> None:
    path = f"/predict?model={name}"
    answers = [
        client.post(path, content=npy(source), headers=NPY),
        client.post(path, content=npy(source[None]), headers=NPY),
        client.post(path, content=npy(source)),
        client.post(path, json={"inputs": source.tolist()}),
        client.post(path, files={"file": ("input", npy(source))}),
        client.post(
            path, files={"file": ("input.json", json.dumps({"inputs": source.tolist()}).encode())}
        ),
    ]
    [expected] = tensors(parsed(text), ["scores"], source[None])
    for answer in answers:
        Prediction.model_validate(answer.json())
        np.testing.assert_allclose(scores(answer.json()), expected[0], rtol=1e-5)
    assert answers[0].json()["predictions"][0]["label"] in KINDS[name][1].labels


def test_a_signal_is_classified_from_csv(client: httpx.Client) -> None:
    path = "/predict?model=waves"
    expected = client.post(path, content=npy(WAVE), headers=NPY).json()["predictions"]
    source = table(WAVE)
    ways: list[dict[str, Any]] = [
        {"content": source, "headers": CSV},
        {
            "content": b"\xef\xbb\xbf" + table(WAVE, "left,right\r\n"),
            "headers": {"Content-Type": "text/csv; header=present"},
        },
        {"content": source + b"\n\n", "headers": CSV},
        {"files": {"file": ("a.csv", source)}},
        {"files": {"file": ("a", source, "text/csv")}},
        {"files": {"file": ("a.CSV", source, "application/vnd.ms-excel")}},
    ]
    for way in ways:
        assert client.post(path, **way).json()["predictions"] == expected


def test_of_one_channel_a_row_a_column_or_a_plain_list_will_do(client: httpx.Client) -> None:
    path = "/predict?model=pulses"
    expected = client.post(path, content=npy(PULSE[None, None]), headers=NPY).json()["predictions"]
    row = ",".join(map(repr, PULSE.tolist())).encode()
    column = table(PULSE[None])
    ways: list[dict[str, Any]] = [
        {"content": row, "headers": CSV},
        {"content": column, "headers": CSV},
        {"content": b"volts\n" + column, "headers": CSV},
        {"json": {"inputs": PULSE.tolist()}},
        {"json": {"inputs": [PULSE.tolist()]}},
        {"content": npy(PULSE), "headers": NPY},
    ]
    for way in ways:
        assert client.post(path, **way).json()["predictions"] == expected


def test_a_volume_of_one_channel_needs_no_axis_for_it(client: httpx.Client) -> None:
    path = "/predict?model=solids"
    answers = [
        client.post(path, content=npy(item), headers=NPY).json()
        for item in (SOLID[0], SOLID, SOLID[None])
    ]
    assert scores(answers[0]) == scores(answers[1]) == scores(answers[2])


def test_several_files_of_different_forms_are_answered_in_their_order(client: httpx.Client) -> None:
    files = [("file", ("a.npy", npy(WAVE))), ("file", ("b.csv", table(-WAVE)))]
    results = client.post("/predict?model=waves", files=files).json()["results"]
    assert scores(results[0]) != scores(results[1])
    files[1] = ("file", ("b.csv", b"1,2\n3"))
    response = client.post("/predict?model=waves", files=files)
    assert (response.status_code, "file 2 of 2: line 2" in response.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (npy(WAVE), "application/x-npy"),
        (table(WAVE, "a,b\n"), "text/csv"),
        (json.dumps({"inputs": WAVE.tolist()}).encode(), "application/json"),
    ],
    ids=["npy", "csv", "json"],
)
def test_what_was_posted_is_kept_and_stands_for_itself(
    client: httpx.Client, data: bytes, kind: str
) -> None:
    posted = client.post(
        "/predict?model=waves", content=data, headers={"Content-Type": kind}
    ).json()
    path = f"/inputs/{posted['input_id']}"
    kept = client.get(path)
    assert (kept.content, kept.headers["content-type"].partition(";")[0]) == (data, kind)
    assert kept.headers["x-content-type-options"] == "nosniff"
    seen = client.get(f"{path}?view=network&model=waves")
    assert seen.headers["content-type"] == "application/x-npy"
    assert np.array_equal(loaded(seen.content), WAVE)
    again = client.get(
        f"/layers/0/activations?model=waves&input_id={posted['input_id']}", headers=ARRAY
    )
    fresh = client.post(
        "/layers/0/activations?model=waves", content=data, headers={"Content-Type": kind} | ARRAY
    )
    assert again.headers["x-input-id"] == fresh.headers["x-input-id"] == posted["input_id"]
    assert again.content == fresh.content


def test_the_same_bytes_are_the_same_input_if_they_are_of_the_same_type(
    client: httpx.Client,
) -> None:
    data = table(PULSE[None])
    ways: list[dict[str, Any]] = [
        {"content": data, "headers": CSV},
        {"files": {"file": ("a.csv", data)}},
        {"content": npy(PULSE), "headers": NPY},
    ]
    ids = [client.post("/predict?model=pulses", **way).json()["input_id"] for way in ways]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] != hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("name", "text", "source"), CASES)
def test_activations_of_every_layer_are_those_of_the_runtime(
    client: httpx.Client, name: str, text: str, source: Array
) -> None:
    listed = client.get("/layers", params={"model": name}).json()["layers"]
    assert [entry["kind"] for entry in listed] == ["convolution", "pool", "pool", "dense"]
    expected = tensors(parsed(text), [entry["tensor"] for entry in listed], source[None])
    for layer, tensor in zip(listed, expected, strict=True):
        path = f"/layers/{layer['index']}/activations?model={name}"
        array = loaded(client.post(path, content=npy(source), headers=NPY | ARRAY).content)
        np.testing.assert_allclose(array, tensor[0], rtol=1e-4, atol=1e-5)
        body = client.post(path + "&units=3", content=npy(source), headers=NPY).json()
        Activations.model_validate(body)
        assert body["units"][0]["value"] == pytest.approx(float(tensor.max()), rel=1e-4)
        assert body["units"][0]["receptive_field"]["picture"] is None
        assert len(body["units"][0]["receptive_field"]["clipped"]) == source.ndim - 1


@pytest.mark.parametrize(("name", "text", "source"), CASES)
def test_the_field_of_a_unit_is_all_that_it_sees(
    client: httpx.Client, name: str, text: str, source: Array
) -> None:
    path = f"/layers/1/activations?model={name}&units=4"
    units = client.post(path, content=npy(source), headers=NPY).json()["units"]
    noise: Array = np.asarray(RANDOM.normal(size=source.shape), np.float32)
    for unit in units:
        inside = (slice(None), *(slice(*item) for item in unit["receptive_field"]["clipped"]))
        outside = noise.copy()
        outside[inside] = source[inside]
        changed = source.copy()
        changed[inside] = noise[inside]
        unit_index = (0, unit["channel"], *unit["position"])
        [same], [other] = (
            tensors(parsed(text), ["pooled"], item[None]) for item in (outside, changed)
        )
        assert same[unit_index] == pytest.approx(unit["value"], rel=1e-6)
        assert other[unit_index] != pytest.approx(unit["value"], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "source", "unit", "size", "interval"),
    [
        ("waves", WAVE, "9", [7], [[34, 41]]),
        ("solids", SOLID, "0,1,3", [4, 4, 4], [[-1, 3], [1, 5], [5, 9]]),
    ],
)
def test_receptive_fields_have_an_interval_for_each_axis(
    client: httpx.Client,
    name: str,
    source: Array,
    unit: str,
    size: list[int],
    interval: list[list[int]],
) -> None:
    path = f"/layers/1/receptive-field?model={name}"
    field = client.get(path).json()
    WholeField.model_validate(field)
    assert (field["status"], field["size"]) == ("exact", size)
    input_id = client.post(f"/predict?model={name}", content=npy(source), headers=NPY).json()[
        "input_id"
    ]
    body = client.get(f"{path}&unit={unit}&input_id={input_id}").json()
    UnitField.model_validate(body)
    assert (body["interval"], body["picture"]) == (interval, None)
    pixel = ",".join(str(start + 2) for start, _ in interval)
    first = client.get(f"{path}&pixel={pixel}").json()["units"]
    for index, (start, stop) in zip(unit.split(","), first, strict=True):
        assert start <= int(index) < stop


@pytest.mark.parametrize(("name", "text", "source"), CASES)
def test_kernels_and_maps_are_arrays_and_pictures(
    client: httpx.Client, name: str, text: str, source: Array
) -> None:
    path = f"/layers/0/kernels?model={name}"
    weights = weights_of(parsed(text), "w")
    Kernels.model_validate(client.get(path).json())
    assert np.array_equal(loaded(client.get(path, headers=ARRAY).content), weights)
    assert pixels_of(client.get(path, headers=SHEET).content).ndim == 2
    maps = client.post(
        f"/layers/0/activations?model={name}", content=npy(source), headers=NPY | SHEET
    )
    assert min(pixels_of(maps.content).shape) >= 4 * 8


def test_the_kind_of_input_is_shown(client: httpx.Client) -> None:
    kinds = {
        model["name"]: model["input"]["kind"] for model in client.get("/models").json()["models"]
    }
    assert kinds == {"digits": "image", "pulses": "signal", "solids": "volume", "waves": "signal"}
    assert (
        "text/csv"
        in client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    )


PICTURE = encoded(np.full((9, 9), 200, np.uint8))


@pytest.mark.parametrize(
    ("model", "content", "headers", "status", "slug", "says"),
    [
        ("waves", PICTURE, {}, 422, "no-image-input", "takes a signal of 2 x 40 samples"),
        ("solids", PICTURE, {}, 422, "no-image-input", "takes a volume, [1, 6, 7, 8]"),
        ("digits", table(WAVE), CSV, 422, "impossible", "takes a picture"),
        ("solids", table(WAVE), CSV, 422, "impossible", "takes a volume"),
        (
            "digits",
            npy(WAVE),
            NPY,
            422,
            "impossible",
            "takes a picture, or its pixels as uint8 [28, 28, 1]",
        ),
        (
            "waves",
            npy(SOLID),
            NPY,
            422,
            "impossible",
            "[1, 6, 7, 8], which has 4 axes instead of 3",
        ),
        (
            "waves",
            npy(WAVE[:, :39]),
            NPY,
            422,
            "impossible",
            "not [2, 39]; cut, fill or resample it",
        ),
        ("waves", npy(WAVE.T), NPY, 422, "impossible", "not [40, 2]; turn it"),
        ("waves", npy(np.stack([WAVE, WAVE])), NPY, 422, "impossible", "post them one by one"),
        ("waves", table(WAVE.T), CSV, 422, "impossible", "turn it"),
        ("solids", npy(SOLID[0, :5]), NPY, 422, "impossible", "[5, 7, 8]"),
        ("waves", npy(np.where(WAVE > 1, np.nan, WAVE)), NPY, 422, "impossible", "NaN"),
        (
            "waves",
            npy(WAVE.astype(np.float64) * 1e300),
            NPY,
            422,
            "impossible",
            "too large for float32",
        ),
        (
            "waves",
            b"1,2\n3,nan",
            CSV,
            400,
            "invalid-request",
            "line 2, column 2 of the CSV is 'nan', not a finite",
        ),
        ("waves", b"1,2\n3,-inf", CSV, 400, "invalid-request", "not a finite number"),
        (
            "waves",
            b"1,2\n3,x",
            CSV,
            400,
            "invalid-request",
            "line 2, column 2 of the CSV is 'x', not a number",
        ),
        ("waves", b"1;2\n3;4", CSV, 400, "invalid-request", "commas"),
        ("waves", b"a,1\n3,4", CSV, 400, "invalid-request", "line 1, column 1"),
        (
            "waves",
            b"1,2\n3",
            CSV,
            400,
            "invalid-request",
            "line 2 of the CSV has 1 columns, the lines before it 2",
        ),
        ("waves", b"1,2,\n3,4,", CSV, 400, "invalid-request", "column 3"),
        ("waves", b"left,right\n", CSV, 400, "empty-body", "no numbers"),
        ("waves", b"\xff\xfe1\n", CSV, 400, "invalid-request", "UTF-8"),
        ("waves", b'"1,2\n', CSV, 400, "invalid-request", "cannot be read"),
        ("waves", b"," * 2_000_001, CSV, 400, "invalid-request", "more than 2000000 cells"),
        (
            "waves",
            b'{"inputs": [NaN]}',
            {"Content-Type": "application/json"},
            400,
            "invalid-request",
            "NaN",
        ),
        ("digits", PICTURE, {}, 422, "impossible", "no ink"),
    ],
)
def test_what_does_not_fit_is_told_what_would(
    client: httpx.Client,
    assert_problem: Check,
    model: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    slug: str,
    says: str,
) -> None:
    for path in ("/predict", "/layers/0/activations"):
        assert_problem(
            client.post(f"{path}?model={model}", content=content, headers=headers),
            status,
            slug,
            says,
        )


def test_an_input_kept_for_one_model_is_refused_by_one_of_another_kind(
    client: httpx.Client, assert_problem: Check
) -> None:
    input_id = client.post("/predict?model=waves", content=npy(WAVE), headers=NPY).json()[
        "input_id"
    ]
    response = client.get(f"/layers/0/activations?model=solids&input_id={input_id}")
    assert_problem(response, 422, "impossible", "takes a volume")
    response = client.get(f"/inputs/{input_id}?view=network&model=digits")
    assert_problem(response, 422, "impossible", "takes a picture")


def test_a_digit_is_shown_as_the_network_sees_it_and_its_pixels_may_be_posted(
    client: httpx.Client,
) -> None:
    paper = np.full((300, 200), 220, np.uint8)
    paper[50:250, 90:110] = 30
    posted = client.post("/predict?model=digits&top_k=10", content=encoded(paper, "JPEG")).json()
    seen = pixels_of(client.get(f"/inputs/{posted['input_id']}?view=network&model=digits").content)
    assert (seen.shape, seen.max()) == ((28, 28), 255)
    assert np.count_nonzero(seen.max(axis=1) > 40) == 20
    bare = client.post("/predict?model=digits&top_k=10", content=npy(seen), headers=NPY).json()
    assert bare["predictions"] == posted["predictions"]
    units = client.get(f"/layers/0/activations?model=digits&input_id={posted['input_id']}").json()[
        "units"
    ]
    (top, bottom), (left, right) = units[0]["receptive_field"]["picture"]
    assert 0 <= top < bottom <= 300
    assert 0 <= left < right <= 200


def test_a_card_that_does_not_fit_its_graph_is_refused(tmp_path: Path) -> None:
    model_file.write(parsed(WAVES), tmp_path / "models/waves/1/model.onnx", KINDS["pulses"][1])
    settings = Settings(
        models=tmp_path / "models", device="cpu", threads=1, input_store=tmp_path / "inputs"
    )
    with serving(settings) as client:
        [refused] = client.get("/models").json()["refused"]
    assert refused["reason"].startswith("a first run failed")
