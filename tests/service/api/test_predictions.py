"""`POST /predict`: every way to send a picture gives the same answer, and the answer is what its
schema says.
"""

import base64
import io
import struct
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.api.schemas import Prediction, Predictions
from service.settings import Settings
from tests.service.networks import npy, pixels_of

Check = Callable[..., dict[str, Any]]
JPEG = {"Content-Type": "image/jpeg"}


def strongest(body: dict[str, Any]) -> Any:
    return body["predictions"]


def test_a_raw_picture_gives_the_classes_strongest_first(
    client: httpx.Client, picture: bytes
) -> None:
    response = client.post("/predict", content=picture, headers=JPEG)
    assert response.status_code == 200
    body = response.json()
    Prediction.model_validate(body)
    assert (body["model"], body["version"], body["provider"]) == (
        "photos",
        "2",
        "CPUExecutionProvider",
    )
    probabilities = [item["probability"] for item in strongest(body)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-6)
    assert {item["label"] for item in strongest(body)} == {"cat", "dog", "bird", "fish"}
    assert len(body["input_id"]) == 64


def test_octet_stream_form_and_base64_give_the_same_answer_as_the_raw_picture(
    client: httpx.Client, picture: bytes
) -> None:
    text = base64.b64encode(picture).decode()
    answers = [
        client.post("/predict", content=picture, headers=JPEG),
        client.post(
            "/predict", content=picture, headers={"Content-Type": "application/octet-stream"}
        ),
        client.post("/predict", content=picture),
        client.post("/predict", files={"file": ("cat.jpg", picture, "image/jpeg")}),
        client.post("/predict", json={"image": text}),
        client.post("/predict", json={"image": "data:image/jpeg;base64," + text}),
    ]
    bodies = [answer.json() for answer in answers]
    assert all(strongest(body) == strongest(bodies[0]) for body in bodies)
    assert len({body["input_id"] for body in bodies}) == 1


def test_several_files_are_answered_in_their_order(client: httpx.Client, picture: bytes) -> None:
    other = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(other, "PNG")
    files = [("file", ("a.jpg", picture)), ("file", ("b.png", other.getvalue()))]
    body = client.post("/predict", files=files).json()
    Predictions.model_validate(body)
    single = client.post("/predict", content=other.getvalue()).json()
    assert [len(body["results"]), strongest(body["results"][1])] == [2, strongest(single)]


def test_top_k_says_how_many_classes(client: httpx.Client, picture: bytes) -> None:
    body = client.post("/predict?top_k=2", content=picture).json()
    assert len(strongest(body)) == 2


def test_a_version_can_be_chosen(client: httpx.Client, picture: bytes) -> None:
    assert client.post("/predict?model=photos:1", content=picture).json()["version"] == "1"


def test_the_input_itself_can_be_posted_as_an_array(client: httpx.Client, picture: bytes) -> None:
    posted = client.post("/predict", content=picture).json()
    seen = pixels_of(client.get(f"/inputs/{posted['input_id']}?view=network").content)
    tensor = client.post(
        "/predict", content=npy(seen), headers={"Content-Type": "application/x-npy"}
    ).json()
    nested = client.post("/predict", json={"inputs": seen.tolist()}).json()
    assert strongest(tensor) == strongest(nested) == strongest(posted)
    assert len({body["input_id"] for body in (posted, tensor, nested)}) == 3


@pytest.mark.parametrize("top_k", ["0", "-1", "five", "1.5"])
def test_a_top_k_that_is_no_positive_number_is_a_wrong_parameter(
    client: httpx.Client, picture: bytes, assert_problem: Check, top_k: str
) -> None:
    body = assert_problem(
        client.post(f"/predict?top_k={top_k}", content=picture), 422, "invalid-parameter", "top_k"
    )
    assert body["errors"][0]["parameter"] == "top_k"


def test_more_classes_than_there_are_is_impossible(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    assert_problem(client.post("/predict?top_k=5", content=picture), 422, "impossible", "4 classes")


def test_text_is_not_a_picture(client: httpx.Client, assert_problem: Check) -> None:
    assert_problem(
        client.post("/predict", content=b"hello there"), 415, "unsupported-picture", "JPEG"
    )


def test_an_svg_is_not_an_accepted_format(client: httpx.Client, assert_problem: Check) -> None:
    response = client.post(
        "/predict", content=b"<svg></svg>", headers={"Content-Type": "image/svg+xml"}
    )
    assert_problem(response, 415, "unsupported-picture")


def test_a_truncated_picture_is_broken(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    assert_problem(
        client.post("/predict", content=picture[: len(picture) // 2]),
        400,
        "broken-picture",
        "truncated",
    )


def test_an_empty_body_is_named(client: httpx.Client, assert_problem: Check) -> None:
    assert_problem(client.post("/predict", headers=JPEG), 400, "empty-body", "empty")
    assert_problem(client.post("/predict", json={"image": ""}), 400, "empty-body")
    assert_problem(client.post("/predict", files={"file": ("a.jpg", b"")}), 400, "empty-body")


def test_a_bomb_is_refused_before_it_is_decoded(
    client: httpx.Client, bomb: bytes, assert_problem: Check
) -> None:
    assert_problem(client.post("/predict", content=bomb), 413, "too-many-pixels", "100000")


@pytest.mark.parametrize("declared", [True, False])
def test_too_many_bytes_are_refused(
    settings: Settings,
    started: Callable[[Settings], httpx.Client],
    assert_problem: Check,
    declared: bool,
) -> None:
    client = started(settings.model_copy(update={"max_bytes": 1000}))
    content = b"x" * 1001 if declared else iter([b"x" * 500] * 3)
    assert_problem(client.post("/predict", content=content), 413, "too-many-bytes", "1000")
    form = client.post("/predict", files={"file": ("a.jpg", b"x" * 1001)})
    assert_problem(form, 413, "too-many-bytes", "1000")


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "video/mp4", "application/xml"]
)
def test_a_wrong_content_type_is_told_the_right_ones(
    client: httpx.Client, picture: bytes, assert_problem: Check, kind: str
) -> None:
    response = client.post("/predict", content=picture, headers={"Content-Type": kind})
    assert_problem(response, 415, "unsupported-content-type", "multipart/form-data")


def test_a_compressed_body_is_not_accepted(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    response = client.post("/predict", content=picture, headers=JPEG | {"Content-Encoding": "gzip"})
    assert_problem(response, 415, "unsupported-content-type", "gzip")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "an object"),
        (b'{"picture": ""}', "one key"),
        (b'{"image": 3}', "string"),
        (b'{"image": "***"}', "base64"),
        (b'{"inputs": [[1], [1, 2]]}', "ragged"),
        (b'{"inputs": ["a"]}', "numbers"),
    ],
)
def test_json_that_is_no_picture_is_malformed(
    client: httpx.Client, assert_problem: Check, content: bytes, says: str
) -> None:
    response = client.post(
        "/predict", content=content, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 400, "invalid-request", says)


def test_a_form_without_file_or_with_text_in_it_is_explained(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(client.post("/predict", files={"image": b"x"}), 400, "empty-body", "'file'")
    assert_problem(
        client.post("/predict", files={"file": (None, "text")}), 400, "invalid-request", "text"
    )
    broken = {"Content-Type": "multipart/form-data"}
    assert_problem(
        client.post("/predict", content=b"x", headers=broken), 400, "invalid-request", "boundary"
    )
    broken = {"Content-Type": "multipart/form-data; boundary=a"}
    assert_problem(
        client.post("/predict", content=b"nonsense", headers=broken), 400, "invalid-request"
    )


def test_of_several_files_the_bad_one_is_named(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    files = [("file", ("a.jpg", picture)), ("file", ("b.jpg", picture[:300]))]
    assert_problem(client.post("/predict", files=files), 400, "broken-picture", "file 2 of 2")


def test_too_many_files_are_refused(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    files = [("file", ("a.jpg", picture))] * 17
    assert_problem(client.post("/predict", files=files), 400, "invalid-request", "16")


def test_an_array_that_is_truncated_or_holds_objects_is_malformed(
    client: httpx.Client, assert_problem: Check
) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((32, 32, 3), np.uint8))
    kind = {"Content-Type": "application/x-npy"}
    truncated = client.post("/predict", content=stream.getvalue()[:-5], headers=kind)
    assert_problem(truncated, 400, "invalid-request", "truncated")
    assert_problem(
        client.post("/predict", content=b"\x93NUMPY\x09\x09", headers=kind), 400, "invalid-request"
    )
    huge = stream.getvalue().replace(b"(32, 32, 3)", b"(9" + b"0" * 8 + b",)")
    assert_problem(client.post("/predict", content=huge, headers=kind), 400, "invalid-request")
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], object), allow_pickle=True)
    assert_problem(
        client.post("/predict", content=pickled.getvalue(), headers=kind),
        400,
        "invalid-request",
        "numbers",
    )


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (",
        "{1: 2, 'a': 3}",
        "{[]: 1}",
        "{'descr': ('<f4',), 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<f4\0'",
        "-" * 9000 + "1",
        "(" * 5000,
    ],
)
@pytest.mark.parametrize("version", [b"\1\0", b"\3\0"])
def test_an_array_whose_header_is_no_header_is_malformed(
    client: httpx.Client, assert_problem: Check, header: str, version: bytes
) -> None:
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    body = b"\x93NUMPY" + version + length + header.encode() + b"\0" * 4
    response = client.post("/predict", content=body, headers={"Content-Type": "application/x-npy"})
    assert_problem(response, 400, "invalid-request", "numpy.save")


def test_json_of_more_lists_than_any_array_has_is_not_parsed(
    client: httpx.Client, assert_problem: Check
) -> None:
    body = b'{"inputs": [' + b"[]," * 500_000 + b"[]]}"
    response = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert_problem(response, 400, "invalid-request", "application/x-npy")


def test_an_array_of_another_shape_or_type_is_impossible(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(client.post("/predict", json={"inputs": [1, 2]}), 422, "impossible", "shape")
    halves = np.full((32, 32, 3), 0.5).tolist()
    assert_problem(client.post("/predict", json={"inputs": halves}), 422, "impossible", "uint8")


def test_an_unknown_model_or_version_is_told_the_known_ones(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    assert_problem(
        client.post("/predict?model=nets", content=picture), 404, "unknown-model", "photos, signals"
    )
    assert_problem(
        client.post("/predict?model=photos:7", content=picture), 404, "unknown-model", "1, 2"
    )


def test_a_picture_for_a_model_without_a_card_names_the_way_to_one(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    response = client.post("/predict?model=signals", content=picture)
    assert_problem(response, 422, "no-image-input", "python -m model_build adopt")


def test_a_network_that_does_not_classify_points_to_its_layers(
    client: httpx.Client, assert_problem: Check
) -> None:
    response = client.post("/predict?model=signals", json={"inputs": [[0.0] * 9] * 2})
    assert_problem(response, 422, "impossible", "activations")


def test_bad_input_leaves_the_service_going(
    client: httpx.Client, picture: bytes, bomb: bytes
) -> None:
    for bad in (b"", b"x", picture[:100], bomb):
        assert client.post("/predict", content=bad).is_client_error
    assert client.post("/predict", content=picture).status_code == 200


def test_the_stages_are_in_the_server_timing_header_too(
    client: httpx.Client, picture: bytes
) -> None:
    response = client.post("/predict", content=picture)
    stages = dict(part.split(";dur=") for part in response.headers["server-timing"].split(", "))
    assert {name: float(ms) for name, ms in stages.items()} == pytest.approx(
        response.json()["timings_ms"], abs=1e-3
    )


@pytest.mark.parametrize(
    "query", ["", "?top_k=2", "?top_k=99", "?model=nothing", "?model=photos:1&top_k=1"]
)
@pytest.mark.parametrize("broken", [False, True])
def test_the_way_past_the_framework_answers_as_the_framework_does(
    client: httpx.Client, picture: bytes, query: str, broken: bool
) -> None:
    body = picture[:50] if broken else picture
    # A page of another origin is left to the framework.
    past, through = (
        client.post(f"/predict{query}", content=body, headers=item)
        for item in ({}, {"Origin": "http://x"})
    )
    assert past.status_code == through.status_code
    differing = {"timings_ms", "request_id"}
    first, second = (
        {k: v for k, v in item.json().items() if k not in differing} for item in (past, through)
    )
    assert first == second
    assert past.headers["content-type"] == through.headers["content-type"]
