"""What the Open Inference Protocol's inference refuses in a request, and that every error is
`{"error": text}`.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st
from starlette.requests import Request

from service.api.oip import request_bodies
from service.api.request_bodies import Limits
from service.errors import InvalidRequest
from service.oip import document, inference
from tests.service.oip.bad_requests import (
    BAD,
    IMAGE,
    MAX_BYTES,
    PHOTOS,
    SIGNAL,
    SIGNALS,
    X,
    asked,
    assert_error,
    in_binary,
    with_small_limits,
)
from tests.service.oip.requests import DTYPES, HEAD, binary, outputs


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with with_small_limits(tmp_path_factory.mktemp("v2")) as client:
        yield client


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_400_and_says_why(served: httpx.Client, case: str) -> None:
    url, request, says = BAD[case]
    assert_error(served.post(url, **request), 400, says)


@pytest.mark.parametrize("datatype", DTYPES)
def test_no_datatype_takes_the_place_of_another(served: httpx.Client, datatype: str) -> None:
    array = np.ones((1, 1, 1), DTYPES[datatype])
    for other in DTYPES:
        answer = served.post(
            f"/v2/models/{other.lower()}/infer", **in_binary(array, datatype=datatype)
        )
        if other == datatype:
            assert outputs(answer)["y"].size == 1
        else:
            assert_error(answer, 400, f"takes {other}, not {datatype}")


def test_a_hundred_levels_and_brackets_in_texts_are_taken(served: httpx.Client) -> None:
    body = json.dumps({"inputs": [X], "id": "[{" * 200 + '\\"' * 3})
    deep = body[:-1] + ', "more": ' + "[" * 99 + "]" * 99 + "}"
    for taken in (body, deep):
        assert outputs(served.post(SIGNALS, content=taken.encode()))["y"].shape == (1, 3, 3)


def test_no_content_type_is_needed_and_none_is_looked_at(served: httpx.Client) -> None:
    body = json.dumps({"inputs": [X]}).encode()
    for kind in ("", "image/png", "text/plain; charset=x", "application/x-www-form-urlencoded"):
        answer = served.post(SIGNALS, content=body, headers={"Content-Type": kind} if kind else {})
        assert outputs(answer)["y"].shape == (1, 3, 3)


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd"])
def test_another_coding_is_415_and_says_which_are_taken(served: httpx.Client, coding: str) -> None:
    refused = served.post(SIGNALS, content=b"{}", headers={"Content-Encoding": coding})
    assert_error(refused, 415, "send gzip, deflate or none")
    assert refused.headers["accept-encoding"] == "gzip, deflate"


def test_what_is_larger_than_taken_is_413_packed_or_not(served: httpx.Client) -> None:
    assert_error(served.post(SIGNALS, content=bytes(MAX_BYTES + 1)), 413, str(MAX_BYTES))
    for pack, coding in ((gzip.compress, "gzip"), (zlib.compress, "deflate")):
        bomb = pack(bytes(100_000_000))
        assert len(bomb) < MAX_BYTES
        assert_error(
            served.post(SIGNALS, content=bomb, headers={"Content-Encoding": coding}),
            413,
            str(MAX_BYTES),
        )
        full = pack(b" " * (MAX_BYTES - 200) + json.dumps({"inputs": [X]}).encode().ljust(200))
        answer = served.post(SIGNALS, content=full, headers={"Content-Encoding": coding})
        assert outputs(answer)["y"].shape == (1, 3, 3)


def test_an_answer_of_too_many_bytes_is_413(
    served: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "LARGEST_ANSWER", 8 * 16 * 16 * 4)
    one, both = [{"name": "layer:0"}], [{"name": "layer:0"}, {"name": "scores"}]
    assert served.post(PHOTOS, **asked(IMAGE, outputs=one)).status_code == 200
    assert_error(served.post(PHOTOS, **asked(IMAGE, outputs=both)), 413, "ask for fewer")


def test_lists_beyond_number_are_refused_before_they_are_read() -> None:
    assert document.read(b'{"a": [' + b"[]," * 499_997 + b"[]]}")
    with pytest.raises(InvalidRequest, match="more than 500000 lists"):
        document.read(b'{"a": [' + b"[]," * 499_998 + b"[]]}")


def test_a_picture_of_too_many_pixels_is_413(served: httpx.Client, bomb: bytes) -> None:
    assert_error(served.post(PHOTOS, content=bomb, headers={HEAD: "0"}), 413, "pixels")
    two = np.array([bomb, bomb], object)
    body, headers = binary([("image", "BYTES", two)])
    assert_error(served.post(PHOTOS, content=body, headers=headers), 413, "picture 1 of 2")


def in_pieces(count: int) -> Request:
    """A request whose body comes in so many pieces of one byte, and empty ones between them."""
    left = iter(
        [{"type": "http.request", "body": item, "more_body": True} for item in (b" ", b"")] * count
    )

    async def receive() -> Any:
        return next(left, {"type": "http.request", "body": b"", "more_body": False})

    return Request({"type": "http", "headers": []}, receive)


def test_a_body_in_too_many_pieces_is_refused() -> None:
    limits = Limits(max_bytes=MAX_BYTES, max_files=1, seconds=30)
    assert asyncio.run(request_bodies.read(in_pieces(65_536), limits)) == b" " * 65_536
    with pytest.raises(InvalidRequest, match="more than 65536 pieces"):
        asyncio.run(request_bodies.read(in_pieces(65_537), limits))


def test_what_json_has_not_is_refused_and_given_as_bytes(served: httpx.Client) -> None:
    signal = np.full((1, 2, 3), np.inf, np.float32)
    assert_error(served.post(SIGNALS, **in_binary(signal)), 400, "ask for it with binary_data")
    body, headers = binary([("x", "FP32", signal)], parameters={"binary_data_output": True})
    assert not np.isfinite(outputs(served.post(SIGNALS, content=body, headers=headers))["y"]).any()


@checked(max_examples=150, deadline=None)
@given(
    cut=st.integers(0, 400),
    drop=st.integers(0, 20),
    put=st.binary(max_size=8) | st.sampled_from(b'" [[ ] { } , : - e9 null \\ \xff'.split()),
    length=st.none() | st.integers(-5, 5),
)
def test_a_mangled_request_never_makes_the_service_fail(
    served: httpx.Client, cut: int, drop: int, put: bytes, length: int | None
) -> None:
    body, headers = binary(
        [("x", "FP32", SIGNAL)], id="a", outputs=[{"name": "y"}, {"name": "layer:0"}]
    )
    mangled = body[:cut] + put + body[cut + drop :]
    declared = int(headers[HEAD]) + (len(mangled) - len(body) if length is None else length)
    answer = served.post(SIGNALS, content=mangled, headers={HEAD: str(max(0, declared))})
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or list(answer.json()) == ["error"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@checked(max_examples=150, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_value_in_the_place_of_any_other_is_taken_or_refused(
    served: httpx.Client, data: st.DataObject, value: Any
) -> None:
    asked_for: dict[str, Any] = {
        "id": "a",
        "parameters": {"timeout": 30_000_000, "binary_data_output": False},
        "inputs": [deepcopy(X) | {"parameters": {"content_type": "np"}}],
        "outputs": [{"name": "y", "parameters": {"classification": 1, "binary_data": True}}],
    }
    holder: Any = asked_for
    while True:
        key = data.draw(
            st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder)))
        )
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        holder = inner
    holder[key] = value
    answer = served.post(SIGNALS, json=asked_for)
    assert answer.status_code in (200, 400, 504)
    assert answer.status_code == 200 or list(answer.json()) == ["error"]
