import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from PIL import Image

from anatomy import model_file
from anatomy.card import Card, ImageInput, Resize
from service.api.problems import FRAMEWORK, KINDS, MEDIA_TYPE, Problem
from service.app import create_app
from service.settings import Settings

with warnings.catch_warnings():
    # Starlette would have another HTTP library than the one that this project's own client is built on.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PHOTOS = """<ir_version: 8, opset_import: ["" : 18]>
photos (uint8[N,32,32,3] image) => (float[N,4] scores)
<float scale = {255.0}, float[8,3,3,3] w, float[4,8] fw, float[4] fb> {
  cast = Cast<to=1>(image)
  scaled = Div(cast, scale)
  nchw = Transpose<perm=[0,3,1,2]>(scaled)
  convolved = Conv<pads=[1,1,1,1], strides=[2,2]>(nchw, w)
  rectified = Relu(convolved)
  pooled = MaxPool<kernel_shape=[2,2], strides=[2,2]>(rectified)
  averaged = GlobalAveragePool(pooled)
  flat = Flatten(averaged)
  logits = Gemm<transB=1>(flat, fw, fb)
  scores = Softmax<axis=1>(logits)
}"""

SIGNALS = """<ir_version: 8, opset_import: ["" : 18]>
signals (float[N,2,L] x) => (float[N,3,M] y) <float[3,2,5] w> { c = Conv<pads=[2,2]>(x, w)  y = Relu(c) }"""

MATRIX = """<ir_version: 8, opset_import: ["" : 18]>
matrix (float[N,4] x) => (float[N,3] y) <float[4,3] w> { y = MatMul(x, w) }"""

OUTSIDE = """<ir_version: 8, opset_import: ["" : 18]>
outside (float[N,1,8] x) => (float[N,1,M] y) <float[1,1,3] w> { y = Conv(x, w) }"""

LABELS = ("cat", "dog", "bird", "fish")
CONVOLUTION = "stem/block 1/conv"


def parsed(text: str, seed: int = 0) -> onnx.ModelProto:
    """A model from ONNX text; weights that the text only declares are drawn at random."""
    model = onnx.parser.parse_model(text)
    random = np.random.default_rng(seed)
    declared = [value for value in model.graph.value_info if value.type.tensor_type.HasField("shape")]
    made = {name for node in model.graph.node for name in node.output}
    for value in declared:
        if value.name not in made:
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            weights = random.normal(size=shape).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(weights, value.name))
    return model


def photo_model() -> tuple[onnx.ModelProto, Card]:
    model = parsed(PHOTOS)
    for node in model.graph.node:
        node.name = CONVOLUTION if node.op_type == "Conv" else node.output[0]
    return model, Card(title="Four animals", labels=LABELS, input=ImageInput((32, 32), "RGB", Resize("centre_crop")))


@pytest.fixture(scope="session")
def repository_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos` (versions 1 and 2), `signals` without a card, and one of each file that is to be refused."""
    folder = tmp_path_factory.mktemp("repository") / "models"
    model, card = photo_model()
    model_file.write(model, folder / "photos/1/model.onnx", card)
    model_file.write(model, folder / "photos/2/model.onnx", card)
    model_file.write(parsed(SIGNALS), folder / "signals/1/model.onnx", None)
    model_file.write(parsed(MATRIX), folder / "matrix/1/model.onnx", None)
    model_file.write(reading_outside(), folder / "outside/1/model.onnx", None)
    (folder / "corrupt/1").mkdir(parents=True)
    (folder / "corrupt/1/model.onnx").write_bytes(b"no ONNX file at all")
    return folder


def reading_outside() -> onnx.ModelProto:
    model = parsed(OUTSIDE)
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../../etc/hostname")
    return model


@pytest.fixture
def settings(repository_folder: Path, tmp_path: Path) -> Settings:
    return Settings(
        models=repository_folder, default_model="photos", device="cpu", threads=1, input_store=tmp_path / "inputs"
    )


@pytest.fixture
def started() -> Iterator[Callable[[Settings], httpx.Client]]:
    """Starts an app in this process; all are shut down at the end of the test."""
    clients: list[TestClient] = []

    def start(settings: Settings) -> httpx.Client:
        client = TestClient(create_app(settings), raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(settings: Settings, started: Callable[[Settings], httpx.Client]) -> httpx.Client:
    return started(settings)


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A JPEG of 60 x 40 pixels."""
    return encoded(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8), "JPEG")


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """A PNG whose header promises 100000 x 100000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def assert_problem() -> Check:
    """Asserts that a response is a problem of this status and type that says something, and returns its body."""
    statuses = {kind.uri: kind.status for kind in (*KINDS.values(), *FRAMEWORK)}

    def check(response: httpx.Response, status: int, slug: str, says: str = "") -> dict[str, Any]:
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == MEDIA_TYPE
        body: dict[str, Any] = response.json()
        Problem.model_validate(body)
        assert body["type"] == f"/problems/{slug}"
        assert body["status"] == status == statuses[body["type"]]
        assert body["request_id"] == response.headers["x-request-id"]
        assert says in body["detail"]
        assert len(body["detail"]) > 10
        for secret in ("Traceback", "/tmp", ".py", "onnxruntime", "site-packages"):
            assert secret not in response.text
        return body

    return check
