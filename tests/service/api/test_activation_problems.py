"""Activations of bad input: each failure is a problem that says what to do, and the service goes
on.
"""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from service.settings import Settings
from tests.service.networks import npy

Check = Callable[..., dict[str, Any]]
ARRAY = {"Content-Type": "application/x-npy"}
PATH = "/layers/0/activations"


@pytest.fixture
def client(client: httpx.Client, picture: bytes) -> Any:
    """A client whose service answers a good request after all the bad ones of a test."""
    yield client
    assert client.post(PATH, content=picture).status_code == 200


def test_two_files_are_one_too_many(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    files = [("file", ("a.jpg", picture)), ("file", ("b.jpg", picture))]
    assert_problem(
        client.post(PATH, files=files), 400, "invalid-request", "one input, 2 were posted"
    )


def test_what_is_no_picture_is_refused(
    client: httpx.Client, picture: bytes, bomb: bytes, assert_problem: Check
) -> None:
    assert_problem(client.post(PATH, content=b"hello"), 415, "unsupported-picture", "JPEG")
    assert_problem(client.post(PATH, content=b"%PDF-1.7"), 415, "unsupported-picture", "JPEG")
    assert_problem(client.post(PATH, content=picture[:300]), 400, "broken-picture", "truncated")
    assert_problem(client.post(PATH), 400, "empty-body", "post the bytes")
    assert_problem(client.post(PATH, content=bomb), 413, "too-many-pixels", "smaller")
    wrong = client.post(PATH, content=picture, headers={"Content-Type": "text/plain"})
    assert_problem(wrong, 415, "unsupported-content-type", "image/jpeg")


def test_too_many_bytes_are_refused(
    settings: Settings, started: Callable[[Settings], httpx.Client], assert_problem: Check
) -> None:
    client = started(settings.model_copy(update={"max_bytes": 10}))
    assert_problem(client.post(PATH, content=b"x" * 11), 413, "too-many-bytes", "at most 10")


def test_more_pixels_than_the_operator_allows_are_refused(
    settings: Settings,
    started: Callable[[Settings], httpx.Client],
    picture: bytes,
    assert_problem: Check,
) -> None:
    client = started(settings.model_copy(update={"max_pixels": 60 * 40 - 1}))
    assert_problem(client.post(PATH, content=picture), 413, "too-many-pixels", "60 x 40 = 2400")


@pytest.mark.parametrize("channel", ["8", "-1", "99999999999999999999"])
def test_a_channel_that_there_is_not_is_told_the_last_one(
    client: httpx.Client, picture: bytes, assert_problem: Check, channel: str
) -> None:
    response = client.post(f"{PATH}?channel=0&channel={channel}", content=picture)
    assert_problem(response, 422, "unknown-channel", "0 to 7")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("channel=red", "channel.0"),
        ("units=-1", "units"),
        ("units=1001", "units"),
        ("full=2", "full"),
        ("tap=mid", "tap"),
    ],
)
def test_a_parameter_that_is_not_what_it_should_be_is_named(
    client: httpx.Client, picture: bytes, assert_problem: Check, query: str, parameter: str
) -> None:
    body = assert_problem(
        client.post(f"{PATH}?{query}", content=picture), 422, "invalid-parameter", parameter
    )
    assert [error["parameter"] for error in body["errors"]] == [parameter]


@pytest.mark.parametrize("input_id", ["0" * 64, "cat.jpg", "..%2F..%2Fetc%2Fpasswd", "", "F" * 64])
def test_an_input_that_is_not_kept_is_to_be_posted_again(
    client: httpx.Client, assert_problem: Check, input_id: str
) -> None:
    assert_problem(client.get(f"{PATH}?input_id={input_id}"), 404, "unknown-input", "post")


def test_an_input_id_is_needed_where_nothing_is_posted(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(client.get(PATH), 422, "invalid-parameter", "input_id")


def test_a_model_without_a_card_takes_no_picture(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    kept = client.post("/predict", content=picture).json()["input_id"]
    posted = client.post(f"{PATH}?model=signals", content=picture)
    assert_problem(posted, 422, "no-image-input", "python -m model_build adopt")
    again = client.get(f"{PATH}?model=signals&input_id={kept}")
    assert_problem(again, 422, "no-image-input", "application/x-npy")


@pytest.mark.parametrize("shape", [(3, 9), (2,), (2, 2, 9), (2, 0)])
def test_an_array_that_the_network_cannot_take_is_impossible(
    client: httpx.Client, assert_problem: Check, shape: tuple[int, ...]
) -> None:
    response = client.post(
        f"{PATH}?model=signals", content=npy(np.zeros(shape, np.float32)), headers=ARRAY
    )
    assert_problem(response, 422, "impossible", "input")


def test_a_number_that_json_has_not_is_malformed(
    client: httpx.Client, assert_problem: Check
) -> None:
    text = b'{"inputs": [[NaN, 1.0], [Infinity, 0.0]]}'
    response = client.post(
        f"{PATH}?model=signals", content=text, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 400, "invalid-request", "not JSON")
