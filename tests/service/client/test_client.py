"""The two clients say the same, read the same, and raise the same."""

import asyncio
import base64
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.client import (
    AsyncClient,
    Client,
    Layer,
    LayerField,
    Model,
    Prediction,
    ProblemError,
    Sample,
    ScoredClass,
    UnitField,
)

Handler = Callable[[httpx.Request], httpx.Response]
Invoke = Callable[..., Any]

PREDICTION = {
    "model": "net",
    "version": "1",
    "provider": "CPUExecutionProvider",
    "input_id": "ab" * 32,
    "predictions": [
        {"index": 1, "label": "cat", "probability": 0.75},
        {"index": 0, "label": None, "probability": 0.25},
    ],
    "timings_ms": {"decode": 1.5, "queue": 0.0, "run": 2.0},
    "added_later": "is left out",
}
FIELD = {
    "status": "exact",
    "size": [3, 3],
    "stride": [2, 2],
    "padding": [0, 0],
    "reason": None,
    "operator": None,
}
LAYER = {
    "index": 0,
    "name": "stem/conv",
    "kind": "convolution",
    "operator": "Conv",
    "tensor": "stem/relu",
    "inputs": [],
    "output_shape": [8, 4, 4],
    "parameters": 72,
    "macs": None,
    "receptive_field": FIELD,
    "kernel_shape": [3, 3],
    "strides": [2, 2],
    "pads": [0, 0, 1, 1],
    "dilations": [1, 1],
    "groups": 1,
}


def sync_call(handler: Handler, method: str, *args: Any, **options: Any) -> Any:
    with Client(
        "http://fovea.test/prefix", model="net:1", transport=httpx.MockTransport(handler)
    ) as client:
        return getattr(client, method)(*args, **options)


def async_call(handler: Handler, method: str, *args: Any, **options: Any) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(handler)
        async with AsyncClient(
            "http://fovea.test/prefix", model="net:1", transport=transport
        ) as client:
            return await getattr(client, method)(*args, **options)

    return asyncio.run(run())


@pytest.fixture(params=[sync_call, async_call], ids=["sync", "async"])
def invoke(request: pytest.FixtureRequest) -> Invoke:
    return request.param  # type: ignore[no-any-return]


class Stub:
    """Remembers the request and gives one answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.asked: httpx.Request

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked = request
        return self.answer


def json_stub(body: Any) -> Stub:
    return Stub(httpx.Response(200, json=body))


def npy(array: np.ndarray[Any, Any], *, allow_pickle: bool = False) -> Stub:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return Stub(
        httpx.Response(
            200, content=stream.getvalue(), headers={"Content-Type": "application/x-npy"}
        )
    )


def test_a_picture_is_posted_raw_and_its_classes_come_back(invoke: Invoke) -> None:
    stub = json_stub(PREDICTION)
    prediction = invoke(stub, "predict", b"pixels", top_k=2)
    assert (stub.asked.method, stub.asked.url.path) == ("POST", "/prefix/predict")
    assert dict(stub.asked.url.params) == {"top_k": "2", "model": "net:1"}
    assert stub.asked.headers["content-type"] == "application/octet-stream"
    assert stub.asked.content == b"pixels"
    assert isinstance(prediction, Prediction)
    assert prediction.predictions == (ScoredClass(1, "cat", 0.75), ScoredClass(0, None, 0.25))
    assert prediction.input_id == "ab" * 32


def test_a_file_is_read_and_a_model_named_in_the_call_wins(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"from disk")
    stub = json_stub(PREDICTION)
    invoke(stub, "predict", tmp_path / "cat.jpg", model="other")
    assert stub.asked.content == b"from disk"
    assert dict(stub.asked.url.params) == {"model": "other"}


@pytest.mark.parametrize("count", [1, 3])
def test_several_pictures_go_in_one_form_and_come_back_in_order(invoke: Invoke, count: int) -> None:
    results = [PREDICTION | {"input_id": str(number)} for number in range(count)]
    stub = json_stub({"results": results} if count > 1 else results[0])
    predictions = invoke(stub, "predict", [f"picture {number}".encode() for number in range(count)])
    assert [prediction.input_id for prediction in predictions] == [
        str(number) for number in range(count)
    ]
    assert stub.asked.headers["content-type"].startswith("multipart/form-data")
    assert stub.asked.content.count(b'name="file"') == count
    assert f"picture {count - 1}".encode() in stub.asked.content


def test_arrays_are_sent_as_npy_alone_and_in_a_form(invoke: Invoke) -> None:
    signal = np.arange(6, dtype=np.float32).reshape(2, 3)
    stub = json_stub(PREDICTION)
    invoke(stub, "predict", signal)
    assert stub.asked.headers["content-type"] == "application/x-npy"
    assert np.array_equal(np.load(io.BytesIO(stub.asked.content)), signal)
    stub = json_stub({"results": [PREDICTION] * 2})
    assert len(invoke(stub, "predict", [signal, b"pixels"])) == 2
    assert b"application/x-npy" in stub.asked.content
    stub = npy(np.zeros((1, 2)))
    invoke(stub, "activations", 0, signal)
    assert (stub.asked.method, stub.asked.headers["content-type"]) == ("POST", "application/x-npy")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "text/csv"),
        ("a.NPY", "application/x-npy"),
        ("a.json", "application/json"),
        ("a", "octet-stream"),
    ],
)
def test_the_name_of_a_file_says_what_it_holds(
    invoke: Invoke, tmp_path: Path, name: str, kind: str
) -> None:
    (tmp_path / name).write_bytes(b"1,2")
    stub = json_stub(PREDICTION)
    invoke(stub, "predict", tmp_path / name)
    assert stub.asked.headers["content-type"].endswith(kind)
    assert stub.asked.content == b"1,2"


def test_models_are_listed(invoke: Invoke) -> None:
    body = {
        "name": "net",
        "versions": ["1", "2"],
        "default": True,
        "provider": "CPU",
        "layers": 3,
        "parameters": 9,
    }
    stub = json_stub({"models": [body | {"macs": None, "card": {"title": "A net"}}], "refused": []})
    [model] = invoke(stub, "models")
    assert model == Model("net", ("1", "2"), True, "CPU", 3, 9, None)
    assert model.card == {"title": "A net"}


def test_layers_are_typed_with_their_fields(invoke: Invoke) -> None:
    [layer] = invoke(
        json_stub({"model": "net", "version": "1", "input": {}, "layers": [LAYER]}), "layers"
    )
    assert isinstance(layer, Layer)
    assert (layer.name, layer.output_shape, layer.pads) == ("stem/conv", (8, 4, 4), (0, 0, 1, 1))
    assert layer.receptive_field == LayerField("exact", (3, 3), (2, 2), (0, 0))


def test_samples_are_those_of_the_model_that_is_named_and_can_be_posted(invoke: Invoke) -> None:
    listed: dict[str, Any] = {
        "name": "hard 5",
        "file": "hard-5.png",
        "media_type": "image/png",
        "bytes": 252,
    }
    stub = json_stub({"model": "net", "version": "1", "samples": [listed]})
    assert invoke(stub, "samples") == (Sample(**listed),)
    assert stub.asked.url.path == "/prefix/models/net:1/samples"
    stub = Stub(httpx.Response(200, content=b"pixels"))
    assert invoke(stub, "sample", "a b/c.png", model="other") == b"pixels"
    assert stub.asked.url.raw_path == b"/prefix/models/other/samples/a%20b%2Fc.png"


def test_samples_of_no_model_are_refused_before_anything_is_sent() -> None:
    with Client(transport=httpx.MockTransport(lambda _: httpx.Response(500))) as client:
        for call in (client.samples, lambda: client.sample("a.png")):
            with pytest.raises(ValueError, match="name the model"):
                call()


def test_activations_of_a_posted_picture_are_an_array(invoke: Invoke) -> None:
    maps = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    stub = npy(maps)
    array = invoke(stub, "activations", 0, input_id="cd" * 32, channel=[5, 7], tap="pre")
    assert np.array_equal(array, maps)
    assert array.dtype == np.float32
    assert (stub.asked.method, stub.asked.headers["accept"]) == ("GET", "application/x-npy")
    assert stub.asked.url.path == "/prefix/layers/0/activations"
    assert stub.asked.url.params.multi_items() == [
        ("input_id", "cd" * 32),
        ("channel", "5"),
        ("channel", "7"),
        ("tap", "pre"),
        ("model", "net:1"),
    ]


def test_activations_of_a_new_picture_are_posted_for(invoke: Invoke) -> None:
    stub = npy(np.zeros((1, 2)))
    invoke(stub, "activations", "conv", b"pixels", channel=3)
    assert (stub.asked.method, stub.asked.content) == ("POST", b"pixels")
    assert stub.asked.url.params.get_list("channel") == ["3"]


def test_what_a_layer_reads_and_its_strongest_channels_are_asked_for(invoke: Invoke) -> None:
    stub = npy(np.zeros((2, 2)))
    invoke(stub, "activations", 3, input_id="ab", tap="input", operand=1, strongest=2)
    asked = {"input_id": "ab", "tap": "input", "operand": "1", "strongest": "2", "model": "net:1"}
    assert dict(stub.asked.url.params.items()) == asked


@pytest.mark.parametrize("arguments", [{}, {"source": b"a", "input_id": "b"}])
def test_activations_need_an_input_or_an_id_and_not_both(
    invoke: Invoke, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="either an input or the input_id"):
        invoke(json_stub({}), "activations", 0, **arguments)


def test_an_array_that_holds_objects_is_never_unpickled(invoke: Invoke) -> None:
    with pytest.raises(ProblemError, match="Unreadable answer"):
        invoke(npy(np.array([{}], dtype=object), allow_pickle=True), "activations", 0, b"pixels")


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("/features/0/Conv", b"%2Ffeatures%2F0%2FConv"),
        ("a b?c#d%2F", b"a%20b%3Fc%23d%252F"),
        ("größe", b"gr%C3%B6%C3%9Fe"),
        ("stem.conv", b"stem.conv"),
    ],
)
def test_the_name_of_a_layer_is_one_segment_of_the_path(
    invoke: Invoke, name: str, raw: bytes
) -> None:
    stub = json_stub(FIELD)
    invoke(stub, "receptive_field", name)
    assert (
        stub.asked.url.raw_path.partition(b"?")[0] == b"/prefix/layers/" + raw + b"/receptive-field"
    )


def test_the_field_of_a_layer(invoke: Invoke) -> None:
    stub = json_stub({"layer": {"index": 3}} | FIELD)
    assert invoke(stub, "receptive_field", 3, of="stem") == LayerField(
        "exact", (3, 3), (2, 2), (0, 0)
    )
    assert dict(stub.asked.url.params) == {"of": "stem", "model": "net:1"}


def test_the_field_of_a_unit(invoke: Invoke) -> None:
    body = {
        "unit": [0, 5],
        "status": "exact",
        "interval": [[-1, 2], [9, 12]],
        "clipped": [[0, 2], [9, 12]],
    }
    stub = json_stub(body | {"picture": [[0, 3], [10, 15]]})
    field = invoke(stub, "receptive_field", 3, (0, 5), input_id="ef" * 32)
    assert field == UnitField(
        "exact", (0, 5), ((-1, 2), (9, 12)), ((0, 2), (9, 12)), ((0, 3), (10, 15))
    )
    assert dict(stub.asked.url.params) == {"unit": "0,5", "input_id": "ef" * 32, "model": "net:1"}


def test_a_problem_is_raised_with_all_it_says(invoke: Invoke) -> None:
    body = {
        "type": "/problems/unknown-layer",
        "title": "There is no such layer",
        "status": 404,
        "detail": "ask for 0 to 9",
    }
    answer = httpx.Response(404, json=body | {"request_id": "r-1"}, headers={"X-Request-ID": "r-1"})
    with pytest.raises(ProblemError, match="404 There is no such layer: ask for 0 to 9") as raised:
        invoke(Stub(answer), "receptive_field", 99)
    problem = raised.value
    assert {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    } == body
    assert problem.retry_after is None
    assert problem.request_id == "r-1"


def test_a_full_queue_says_when_to_come_back(invoke: Invoke) -> None:
    with pytest.raises(ProblemError) as raised:
        invoke(
            Stub(httpx.Response(429, json={"title": "Busy"}, headers={"Retry-After": "3"})),
            "models",
        )
    assert raised.value.retry_after == 3


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"3", b""])
def test_an_error_that_is_no_problem_document_becomes_one(invoke: Invoke, body: bytes) -> None:
    with pytest.raises(ProblemError, match="502 Bad Gateway") as raised:
        invoke(Stub(httpx.Response(502, content=body)), "models")
    assert raised.value.type == "about:blank"
    assert raised.value.detail == body.decode()


@pytest.mark.parametrize(
    "body", [b"<html>another server</html>", b"[]", b"{}", b"null", b'{"layers": [{}]}']
)
def test_an_answer_of_another_server_is_a_problem_too(invoke: Invoke, body: bytes) -> None:
    with pytest.raises(ProblemError, match=r"is http://fovea.test/prefix/layers.* its address"):
        invoke(Stub(httpx.Response(200, content=body)), "layers")


def test_a_service_that_cannot_be_reached_is_a_transport_error(invoke: Invoke) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(httpx.TransportError, match="refused"):
        invoke(refuse, "models")


def test_an_asgi_service_in_this_process_can_be_called() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        answer = PREDICTION | {"input_id": base64.b64encode(body).decode()}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": httpx.Response(200, json=answer).content})

    async def run() -> Prediction:
        async with AsyncClient("http://fovea.test", transport=httpx.ASGITransport(app)) as client:
            return await client.predict(b"pixels")

    assert asyncio.run(run()).input_id == base64.b64encode(b"pixels").decode()


def test_the_client_needs_neither_the_server_nor_a_runtime() -> None:
    code = "import sys, service.client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not {
        "fastapi",
        "starlette",
        "onnxruntime",
        "onnx",
        "pydantic",
        "structlog",
        "PIL",
    } & set(loaded)
