"""`GET /layers/{n}/kernels`: the weights in the file, [out, in, ...]; what they do to an input is
the oracle.
"""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from service.api.schemas import Kernels
from tests.service.networks import (
    DECODER,
    Array,
    loaded,
    parsed,
    photo_model,
    pixels_of,
    tensors,
    weights_of,
)

Check = Callable[..., dict[str, Any]]
NPY = {"Accept": "application/x-npy"}


def kernels(client: httpx.Client, layer: int, model: str) -> Array:
    return loaded(client.get(f"/layers/{layer}/kernels?model={model}", headers=NPY).content)


def test_the_kernels_of_a_convolution_are_the_weights_of_the_file(client: httpx.Client) -> None:
    body = client.get("/layers/0/kernels").json()
    Kernels.model_validate(body)
    weights = weights_of(photo_model()[0], "w")
    assert body["shape"] == [8, 3, 3, 3]
    assert np.array_equal(np.array(body["kernels"], np.float32), weights)
    assert np.array_equal(kernels(client, 0, "photos"), weights)


def test_a_picture_has_a_tile_for_each_output(client: httpx.Client) -> None:
    response = client.get("/layers/0/kernels", headers={"Accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    # Eight coloured 3 x 3 tiles, 16 times enlarged with gaps of 2, in rows of three.
    assert pixels_of(response.content).shape == (3 * 50 + 2, 3 * 50 + 2, 3)


def test_a_transposed_convolution_spreads_each_input_by_its_kernels(client: httpx.Client) -> None:
    shown = kernels(client, 0, "decoder")
    assert shown.shape == (6, 2, 2, 2)
    for channel in range(4):
        point = np.zeros((1, 4, 3, 3), np.float32)
        point[0, channel, 1, 1] = 1
        [wide] = tensors(parsed(DECODER), ["wide"], point)
        group = channel // 2
        outputs = slice(group * 3, group * 3 + 3)
        assert np.array_equal(wide[0, outputs, 2:4, 2:4], shown[outputs, channel % 2])


def test_a_dense_layer_is_its_matrix_times_what_it_reads(client: httpx.Client) -> None:
    source = np.random.default_rng(6).normal(size=(1, 4, 3, 3)).astype(np.float32)
    flat, hidden, y = tensors(parsed(DECODER), ["flat", "hidden", "y"], source)
    inner, outer = kernels(client, 1, "decoder"), kernels(client, 2, "decoder")
    assert (inner.shape, outer.shape) == ((5, 216), (2, 5))
    np.testing.assert_allclose(inner @ flat[0], hidden[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outer @ hidden[0], y[0], rtol=1e-4, atol=1e-4)
    assert kernels(client, 3, "photos").shape == (4, 8)


def test_some_kernels_are_those_of_the_outputs_asked_for_in_that_order(
    client: httpx.Client,
) -> None:
    body = client.get("/layers/0/kernels?channel=5&channel=2&channel=5").json()
    Kernels.model_validate(body)
    assert (body["channels"], body["shape"]) == ([5, 2], [2, 3, 3, 3])
    weights = weights_of(photo_model()[0], "w")[[5, 2]]
    assert np.array_equal(np.array(body["kernels"], np.float32), weights)
    array = client.get("/layers/0/kernels?channel=5&channel=2", headers=NPY)
    assert np.array_equal(loaded(array.content), weights)
    assert array.headers["x-channels"] == "5,2"
    picture = client.get("/layers/0/kernels?channel=5", headers={"Accept": "image/png"})
    assert pixels_of(picture.content).shape == (50 + 2, 50 + 2, 3)
    assert picture.headers["x-channels"] == "5"
    assert "x-channels" not in client.get("/layers/0/kernels", headers=NPY).headers


def test_every_output_is_counted_and_has_its_bias_if_there_is_one(client: httpx.Client) -> None:
    body = client.get("/layers/3/kernels?channel=3&channel=0").json()
    assert np.array_equal(
        np.array(body["bias"], np.float32), weights_of(photo_model()[0], "fb")[[3, 0]]
    )
    convolution = client.get("/layers/0/kernels").json()
    assert (convolution["channels"], convolution["bias"]) == ([*range(8)], None)


def test_an_output_that_there_is_not_is_told_the_last_one(
    client: httpx.Client, assert_problem: Check
) -> None:
    for channel in ("8", "-1", "99999999999999999999"):
        response = client.get(f"/layers/0/kernels?channel=0&channel={channel}")
        assert_problem(response, 422, "unknown-channel", "0 to 7")
    assert_problem(
        client.get("/layers/0/kernels?channel=red"), 422, "invalid-parameter", "channel.0"
    )


def test_a_layer_without_weights_has_no_kernels(
    client: httpx.Client, assert_problem: Check
) -> None:
    assert_problem(client.get("/layers/1/kernels"), 422, "impossible", "MaxPool")
    assert client.get("/layers/0/kernels").status_code == 200
