"""`GET /inputs/{input_id}`: the picture as posted, and as the network saw it."""

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from service.settings import Settings
from tests.service.networks import encoded, pixels_of

Check = Callable[..., dict[str, Any]]


def post(client: httpx.Client, data: bytes) -> str:
    return str(client.post("/predict", content=data).json()["input_id"])


def test_the_id_is_the_sha256_of_the_bytes_posted(client: httpx.Client, picture: bytes) -> None:
    assert post(client, picture) == hashlib.sha256(picture).hexdigest()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF"])
def test_the_posted_bytes_come_back_with_their_media_type(client: httpx.Client, kind: str) -> None:
    data = encoded(np.full((40, 60), 90, np.uint8), kind)
    response = client.get(f"/inputs/{post(client, data)}")
    assert response.content == data
    assert response.headers["content-type"] == f"image/{kind.lower()}"


def test_a_strangers_file_is_shown_as_a_picture_or_not_at_all(
    client: httpx.Client, picture: bytes
) -> None:
    headers = client.get(f"/inputs/{post(client, picture)}").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


def test_the_network_sees_the_middle_of_the_picture_at_its_own_size(client: httpx.Client) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (40, 60, 3), np.uint8)
    response = client.get(f"/inputs/{post(client, encoded(pixels))}?view=network")
    assert response.headers["content-type"] == "image/png"
    side = 40 * 0.875
    box = (30 - side / 2, 20 - side / 2, 30 + side / 2, 20 + side / 2)
    expected = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC, box)
    assert np.array_equal(pixels_of(response.content), np.asarray(expected))


def test_a_picture_kept_by_the_activations_route_is_there_too(
    client: httpx.Client, picture: bytes
) -> None:
    input_id = client.post("/layers/0/activations", content=picture).json()["input_id"]
    assert client.get(f"/inputs/{input_id}").content == picture


@pytest.mark.parametrize("input_id", ["0" * 64, "cat.jpg", "..%2F..%2Fetc%2Fpasswd", "%00"])
def test_an_unknown_id_is_to_be_posted_again(
    client: httpx.Client, assert_problem: Check, input_id: str
) -> None:
    response = client.get(f"/inputs/{input_id}")
    slug = "no-such-route" if "%2F" in input_id else "unknown-input"
    assert_problem(response, 404, slug, "" if "%2F" in input_id else "post")


def test_a_picture_that_was_refused_is_not_kept(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    broken = picture[:400]
    assert client.post("/predict", content=broken).status_code == 400
    assert_problem(
        client.get(f"/inputs/{hashlib.sha256(broken).hexdigest()}"), 404, "unknown-input"
    )


def test_a_store_without_room_keeps_nothing_and_fails_nothing(
    settings: Settings,
    started: Callable[[Settings], httpx.Client],
    picture: bytes,
    assert_problem: Check,
) -> None:
    client = started(settings.model_copy(update={"input_store_bytes": 0}))
    assert_problem(
        client.get(f"/inputs/{post(client, picture)}"), 404, "unknown-input", "post it again"
    )


def test_a_model_without_a_card_sees_no_picture(
    client: httpx.Client, picture: bytes, assert_problem: Check
) -> None:
    input_id = post(client, picture)
    response = client.get(f"/inputs/{input_id}?view=network&model=signals")
    assert_problem(response, 422, "no-image-input", "adopt")
    assert client.get(f"/inputs/{input_id}?model=signals").content == picture
    assert_problem(client.get(f"/inputs/{input_id}?view=x"), 422, "invalid-parameter", "view")
    assert_problem(client.get(f"/inputs/{input_id}?view=network&model=x"), 404, "unknown-model")
