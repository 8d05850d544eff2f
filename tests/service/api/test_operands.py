"""`tap=input`: what a layer reads, put by hand through the kernels that the API gives, is what its
operator answers.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from anatomy import model_file
from service.api.schemas import Activations, Layers
from service.settings import Settings
from tests.service.by_hand import answered
from tests.service.networks import Array, loaded, npy, parsed, tensors
from tests.service.serving import serving

Check = Callable[..., dict[str, Any]]
NPY = {"Accept": "application/x-npy"}
ARRAY = {"Content-Type": "application/x-npy"}

# The input's sizes without the batch, the weights, the nodes that make y.
NETWORKS = {
    "summed_before": ("2,6,7", "float[3,2,3,3] w", "n = CumSum(x, along) y = Conv(n, w)"),
    "strided": (
        "3,9,11",
        "float[4,3,3,2] w, float[4] b",
        "y = Conv<strides=[2,3], pads=[0,1,2,1]>(x, w, b)",
    ),
    "dilated": ("2,9,11", "float[3,2,3,2] w", "y = Conv<dilations=[2,3], pads=[1,0,3,2]>(x, w)"),
    "grouped": (
        "6,7,7",
        "float[9,2,3,3] w, float[9] b",
        "y = Conv<group=3, pads=[1,1,1,1]>(x, w, b)",
    ),
    "depthwise": ("4,7,7", "float[4,1,3,3] w", "y = Conv<group=4, strides=[2,2]>(x, w)"),
    "same_upper": (
        "2,8,7",
        "float[3,2,3,4] w",
        'y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)',
    ),
    "same_lower": (
        "2,8,7",
        "float[3,2,2,4] w",
        'y = Conv<auto_pad="SAME_LOWER", strides=[1,2]>(x, w)',
    ),
    "signal": (
        "2,31",
        "float[4,1,5] w, float[4] b",
        "y = Conv<group=2, strides=[3], pads=[1,2]>(x, w, b)",
    ),
    "volume": (
        "2,5,6,7",
        "float[3,2,2,3,2] w",
        "y = Conv<strides=[1,2,2], pads=[0,1,1,1,0,0]>(x, w)",
    ),
    "padded_before": (
        "2,6,6",
        "float[3,2,3,3] w",
        "n = LpNormalization<axis=1>(x) p = Pad(n, by) y = Conv(p, w)",
    ),
    "resized_before": (
        "1,4,5",
        "float[2,1,3,3] w",
        "r = Resize(x, none, twice) s = Tanh(r) y = Conv(s, w)",
    ),
    "spread": (
        "4,4,5",
        "float[4,3,3,2] w, float[6] b",
        "y = ConvTranspose<strides=[2,3], group=2, pads=[1,0,0,1], output_padding=[1,0]>(x, w, b)",
    ),
    "spread_signal": (
        "2,9",
        "float[2,3,4] w",
        "y = ConvTranspose<strides=[2], dilations=[2], pads=[1,2]>(x, w)",
    ),
    "largest": (
        "2,9,8",
        "float[1] w",
        "y = MaxPool<kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,1], ceil_mode=1>(x)",
    ),
    "mean": (
        "2,9,8",
        "float[1] w",
        "y = AveragePool<kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,1]>(x)",
    ),
    "mean_with_padding": (
        "2,9",
        "float[1] w",
        "y = AveragePool<kernel_shape=[3], strides=[2], pads=[1,1], count_include_pad=1>(x)",
    ),
    "mean_of_all": ("3,4,5", "float[1] w", "y = GlobalAveragePool(x)"),
    "dense": (
        "2,4,5",
        "float[40,5] v, float[3,5] w, float[3] b",
        """p = MaxPool<kernel_shape=[1,1]>(x) f = Flatten(p) h = MatMul(f, v)
        y = Gemm<alpha=0.5, beta=3.0, transB=1>(h, w, b)""",
    ),
    "one_output": (
        "2,4,5",
        "float[40] v",
        "p = MaxPool<kernel_shape=[1,1]>(x) f = Flatten(p) y = MatMul(f, v)",
    ),
    "merged": (
        "2,6,6",
        "float[2,2,3,3] w, float[2,2,1,1] v",
        """c = Conv<pads=[1,1,1,1]>(x, w) d = Conv(x, v) r = Relu(d) s = Add(c, r) m = Mul(s, x)
        y = Concat<axis=1>(m, c, s)""",
    ),
}


FLAT = {"dense": "N,K", "one_output": "N"}


def text(name: str) -> str:
    sizes, weights, nodes = NETWORKS[name]
    made = FLAT.get(name, ",".join("NKDHW"[: sizes.count(",") + 2]))
    fixed = (
        "int64[8] by = {0,0,1,2,0,0,0,1}, int64 along = {2}, float[0] none = {}, "
        "float[4] twice = {1.0,1.0,2.0,2.0}"
    )
    used = ", ".join(
        [
            weights,
            *(part for part in fixed.replace("}, ", "};").split(";") if part.split()[1] in nodes),
        ]
    )
    signature = f"(float[1,{sizes}] x) => (float[{made}] y)"
    return f"""<ir_version: 9, opset_import: ["" : 19]> {name} {signature} <{used}> {{ {nodes} }}"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("operands")
    for name in NETWORKS:
        model_file.write(parsed(text(name)), folder / f"models/{name}/1/model.onnx", None)
    settings = Settings(
        models=folder / "models", device="cpu", threads=1, input_store=folder / "inputs"
    )
    with serving(settings) as client:
        yield client


def given_to(name: str) -> Array:
    sizes = [int(size) for size in NETWORKS[name][0].split(",")]
    return np.random.default_rng(7).normal(size=sizes).astype(np.float32)


def tapped(client: httpx.Client, index: int, params: dict[str, Any], source: Array) -> Array:
    response = client.post(
        f"/layers/{index}/activations", params=params, content=npy(source), headers=NPY | ARRAY
    )
    assert response.status_code == 200, response.text
    return loaded(response.content)


def check_by_hand(client: httpx.Client, layer: dict[str, Any], model: str, source: Array) -> None:
    """What the layer reads through its kernels is what `tap=pre` gives."""
    index = layer["index"]
    operands = [
        tapped(client, index, {"model": model, "tap": "input", "operand": number}, source)
        for number in range(len(layer["operands"]))
    ]
    pre = tapped(client, index, {"model": model, "tap": "pre"}, source)
    has_kernels = layer["kind"] not in ("pool", "merge")
    kernels = (
        client.get(f"/layers/{index}/kernels", params={"model": model}).json()
        if has_kernels
        else None
    )
    shown = answered(layer, operands, kernels, pre.shape)
    np.testing.assert_allclose(
        np.reshape(shown, pre.shape), pre, rtol=1e-4, atol=2e-5 * max(1, np.abs(pre).max())
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_what_a_layer_reads_through_its_kernels_is_what_its_operator_answers(
    client: httpx.Client, name: str
) -> None:
    body = client.get("/layers", params={"model": name}).json()
    Layers.model_validate(body)
    for layer in body["layers"]:
        check_by_hand(client, layer, name, given_to(name))


def test_so_it_is_in_the_imagenet_model(
    imagenet_model: Path, tmp_path: Path, samples: Path
) -> None:
    settings = Settings(
        models=imagenet_model.parents[2], device="cpu", threads=1, input_store=tmp_path / "inputs"
    )
    with serving(settings) as client:
        input_id = client.post("/predict", content=(samples / "cat.jpg").read_bytes()).json()[
            "input_id"
        ]
        listed = client.get("/layers").json()["layers"]
        # The stem, depthwise convolutions with both strides, an expansion, the last pool and the
        # classes.
        for index in (0, 1, 4, 20, 58, 59):
            x, pre = (
                loaded(
                    client.get(
                        f"/layers/{index}/activations?tap={tap}&input_id={input_id}", headers=NPY
                    ).content
                )
                for tap in ("input", "pre")
            )
            kernels = (
                None
                if listed[index]["kind"] == "pool"
                else client.get(f"/layers/{index}/kernels").json()
            )
            by_hand = answered(listed[index], [x], kernels, pre.shape)
            np.testing.assert_allclose(
                by_hand, pre, rtol=1e-3, atol=1e-4, err_msg=listed[index]["name"]
            )


def test_it_is_the_tensor_that_the_operator_reads_after_what_belongs_to_no_layer(
    client: httpx.Client,
) -> None:
    source = given_to("padded_before")
    [padded] = tensors(parsed(text("padded_before")), ["p"], source[None])
    assert padded.shape == (1, 2, 7, 9)
    params = {"model": "padded_before", "tap": "input"}
    np.testing.assert_allclose(tapped(client, 0, params, source), padded[0], rtol=1e-5)
    [listed] = client.get("/layers?model=padded_before").json()["layers"][0]["operands"]
    assert listed == {"name": "p", "shape": [2, 7, 9], "channel_axis": 0}


def test_the_operands_of_a_merge_are_counted_in_its_own_order(client: httpx.Client) -> None:
    source = given_to("merged")
    names = ["m", "c", "s"]
    for number, expected in enumerate(tensors(parsed(text("merged")), names, source[None])):
        params: dict[str, Any] = {"model": "merged", "tap": "input", "operand": number}
        np.testing.assert_allclose(
            tapped(client, 4, params, source), expected[0], rtol=1e-4, atol=1e-5
        )
    assert [
        operand["name"]
        for operand in client.get("/layers?model=merged").json()["layers"][4]["operands"]
    ] == names


def test_an_operand_that_there_is_not_is_told_how_many_there_are(
    client: httpx.Client, assert_problem: Check
) -> None:
    def refused(index: int, operand: str) -> httpx.Response:
        path = f"/layers/{index}/activations?model=merged&{operand}"
        return client.post(path, content=npy(given_to("merged")), headers=ARRAY)

    assert_problem(
        refused(4, "tap=input&operand=3"), 422, "impossible", "Concat reads 3 computed tensors"
    )
    assert_problem(
        refused(0, "tap=input&operand=1"), 422, "impossible", "Conv reads 1 computed tensor,"
    )
    assert_problem(refused(4, "tap=post&operand=1"), 422, "impossible", "tap=input")
    assert_problem(refused(4, "tap=input&operand=-1"), 422, "invalid-parameter", "operand")
    assert_problem(refused(0, "tap=input&channel=2"), 422, "unknown-channel", "operand 0 of layer")


def test_its_channels_are_those_of_the_tensor_read(client: httpx.Client) -> None:
    source = given_to("grouped")
    path = "/layers/0/activations?model=grouped&tap=input&channel=5&channel=0&units=3"
    body = client.post(path, content=npy(source), headers=ARRAY).json()
    Activations.model_validate(body)
    assert [channel["channel"] for channel in body["channels"]] == [5, 0]
    assert body["channels"][0]["max"] == source[5].max()
    assert (body["tensor"]["name"], body["tensor"]["shape"]) == ("x", [6, 7, 7])
    assert body["layer"]["output_shape"] == [9, 7, 7]


def units(client: httpx.Client, model: str, index: int, query: str) -> Any:
    path = f"/layers/{index}/activations?model={model}&units=1000&{query}"
    return client.post(path, content=npy(given_to(model)), headers=ARRAY).json()["units"]


def test_a_unit_of_the_input_sees_itself_and_one_of_a_layer_what_that_layer_sees(
    client: httpx.Client,
) -> None:
    for unit in units(client, "strided", 0, "tap=input"):
        around = [[at, at + 1] for at in unit["position"]]
        assert unit["receptive_field"] == {"interval": around, "clipped": around, "picture": None}
    assert units(client, "merged", 4, "tap=input&operand=1") == units(
        client, "merged", 0, "tap=pre"
    )


def test_nothing_outside_the_field_changes_a_unit_of_what_is_read(client: httpx.Client) -> None:
    source, noise = (
        given_to("resized_before"),
        np.random.default_rng(8).normal(size=(1, 4, 5)).astype(np.float32),
    )
    params = {"model": "resized_before", "tap": "input"}
    before = tapped(client, 0, params, source)
    for unit in units(client, "resized_before", 0, "tap=input")[::9]:
        (top, bottom), (left, right) = unit["receptive_field"]["clipped"]
        assert (bottom - top) * (right - left) < source.size
        inside, unit_index = np.s_[:, top:bottom, left:right], (unit["channel"], *unit["position"])
        around, within = noise.copy(), source.copy()
        around[inside], within[inside] = source[inside], noise[inside]
        assert tapped(client, 0, params, around)[unit_index] == before[unit_index]
        assert tapped(client, 0, params, within)[unit_index] != before[unit_index]


@pytest.mark.parametrize(("name", "index"), [("dense", 1), ("summed_before", 0)])
def test_where_the_field_cannot_be_told_it_is_null(
    client: httpx.Client, name: str, index: int
) -> None:
    listed_units = units(client, name, index, "tap=input")
    assert len(listed_units) == np.prod(given_to(name).shape)
    assert {unit["receptive_field"] is None for unit in listed_units} == {True}
    assert units(client, "strided", 0, "tap=input")[0]["receptive_field"] is not None


def test_the_strongest_channels_come_in_the_order_of_their_largest_values(
    client: httpx.Client,
) -> None:
    source = given_to("grouped")
    complete = tapped(client, 0, {"model": "grouped"}, source)
    order = np.argsort(-complete.max(axis=(1, 2)), kind="stable")[:4]
    path = "/layers/0/activations?model=grouped&strongest=4"
    response = client.post(path, content=npy(source), headers=NPY | ARRAY)
    assert response.headers["x-channels"] == ",".join(map(str, order))
    assert np.array_equal(loaded(response.content), complete[order])
    body = client.post(path, content=npy(source), headers=ARRAY).json()
    assert [channel["channel"] for channel in body["channels"]] == order.tolist()
    picture = client.post(path, content=npy(source), headers=ARRAY | {"Accept": "image/png"})
    assert picture.headers["x-channels"] == response.headers["x-channels"]


def test_equal_channels_come_by_number_and_those_without_numbers_last(client: httpx.Client) -> None:
    source = np.zeros((6, 7, 7), np.float32)
    source[3], source[1, 2, 2], source[5] = np.nan, 2, -1
    source[4, 0] = np.nan
    query = "model=grouped&tap=input&strongest=1000"
    response = client.post(
        f"/layers/0/activations?{query}", content=npy(source), headers=NPY | ARRAY
    )
    assert response.headers["x-channels"] == "1,0,2,4,5,3"


def test_channels_picked_by_number_are_named_in_order_and_all_of_them_are_not(
    client: httpx.Client,
) -> None:
    path = "/layers/0/activations?model=grouped"
    some = client.post(
        f"{path}&channel=8&channel=2&channel=8",
        content=npy(given_to("grouped")),
        headers=NPY | ARRAY,
    )
    assert some.headers["x-channels"] == "8,2"
    every = client.post(path, content=npy(given_to("grouped")), headers=NPY | ARRAY)
    assert "x-channels" not in every.headers


def test_channels_are_picked_by_number_or_by_strength(
    client: httpx.Client, assert_problem: Check
) -> None:
    path, content = "/layers/0/activations?model=grouped", npy(given_to("grouped"))
    both = client.post(f"{path}&channel=1&strongest=2", content=content, headers=ARRAY)
    assert_problem(both, 400, "invalid-request", "not for both")
    for count in ("0", "1001", "x"):
        refused = client.post(f"{path}&strongest={count}", content=content, headers=ARRAY)
        assert_problem(refused, 422, "invalid-parameter", "strongest")
