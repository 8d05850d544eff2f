"""What only a machine with an NVIDIA GPU can show; `make verify-gpu` runs this there and prints
what was seen.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from service.errors import DeviceUnavailable
from service.repository.loader import Loader
from service.repository.model import Model
from service.repository.scan import ModelFiles, scan
from service.runtime.batch_sizes import bucket_of
from service.runtime.cuda import Cuda
from service.runtime.engine import Engine
from service.runtime.ort_errors import RunFailed
from service.runtime.placement import CUDA
from service.runtime.session import Session
from service.settings import Settings
from tests.service.networks import VOLUMES, parsed

ROOT = Path(__file__).parents[3]
ENTRIES = [entry for _, entry in sorted(scan(ROOT / "models").files.items())]
# Work on whole maps: a run whose graph has one of these on the CPU copies its maps there and back.
HEAVY = {
    "Conv",
    "ConvTranspose",
    "FusedConv",
    "Gemm",
    "MatMul",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Relu",
}
# One map of 64 channels alone takes 256 MiB.
WIDE = """<ir_version: 8, opset_import: ["" : 18]>
wide (float[N,1,1024,1024] x) => (float[N,1,1024,1024] y) <float[64,1,3,3] w, float[1,64,1,1] v> {
  c = Conv<pads=[1,1,1,1]>(x, w)
  y = Conv(c, v)
}"""
MIB = 2**20

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        CUDA not in onnxruntime.get_available_providers(),
        reason="needs the gpu extra and an NVIDIA GPU",
    ),
]
each_model = pytest.mark.parametrize(
    "entry", ENTRIES, ids=lambda entry: f"{entry.name}:{entry.version}"
)
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cuda", 1, max_batch=8)


def loaded(engine: Engine, entry: ModelFiles) -> Model:
    model = Loader(engine).load(entry)
    assert isinstance(model, Model), model
    return model


def inputs(model: Model, count: int) -> list[np.ndarray]:
    """Noise as a model of the repository takes it, each with a batch axis of 1."""
    random, shape, dtype = (
        np.random.default_rng(count),
        model.input_shape,
        model.file.graph.dtype(model.file.input),
    )
    assert shape is not None
    if dtype == np.uint8:
        return [random.integers(0, 256, shape, np.uint8) for _ in range(count)]
    return [random.uniform(0, 1, shape).astype(np.float32) for _ in range(count)]


@each_model
def test_a_model_runs_on_cuda_and_gives_what_the_cpu_gives(
    engine: Engine, entry: ModelFiles, record_property: Note
) -> None:
    on_gpu, on_cpu = loaded(engine, entry), loaded(Engine("cpu"), entry)
    batch = inputs(on_gpu, 5)
    assert on_gpu.provider == on_gpu.main_session.providers[0] == CUDA
    [scores], [expected] = on_gpu.run(batch), on_cpu.run(batch)
    record_property("largest difference from the CPU", f"{np.abs(scores - expected).max():.1e}")
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)
    assert scores.argmax(1).tolist() == expected.argmax(1).tolist()


@each_model
def test_no_convolution_pooling_or_product_of_a_model_falls_back(
    engine: Engine, entry: ModelFiles, record_property: Note
) -> None:
    placement = loaded(engine, entry).main_session.placement
    assert placement is not None
    record_property(
        "nodes", ", ".join(f"{name}: {count}" for name, count in placement.nodes.items())
    )
    record_property("fallen back", " ".join(placement.fallback_operators) or "none")
    assert placement.nodes[CUDA] > 0
    assert not HEAVY & set(placement.fallback_operators)


@each_model
def test_an_inner_layer_runs_on_cuda_and_gives_what_the_cpu_gives(
    engine: Engine, entry: ModelFiles
) -> None:
    on_gpu, on_cpu = loaded(engine, entry), loaded(Engine("cpu"), entry)
    middle = on_gpu.layers[len(on_gpu.layers) // 2].tensor
    feeds = {on_gpu.file.input: inputs(on_gpu, 1)[0]}
    [activation], [expected] = on_gpu.tap(middle).run(feeds), on_cpu.tap(middle).run(feeds)
    assert on_gpu.tap(middle).providers[0] == CUDA
    np.testing.assert_allclose(
        activation, expected, rtol=1e-3, atol=1e-4 * max(1, float(np.abs(expected).max()))
    )


@pytest.mark.parametrize(
    "chosen", [Cuda(), Cuda(0, 512 * MIB, True, "exhaustive"), Cuda(search="default")]
)
def test_what_was_chosen_is_what_onnx_runtime_says_is_in_force(
    chosen: Cuda, record_property: Note
) -> None:
    session = Engine("cuda", 1, chosen).load(parsed(VOLUMES))
    record_property("in force", session.cuda)
    assert session.cuda == chosen


@each_model
def test_no_batch_meets_a_shape_that_was_not_run_before_it(
    engine: Engine, entry: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    run = Session.run

    def noted(session: Session, feeds: Any, deadline: float | None = None) -> list[np.ndarray]:
        sizes.append(len(next(iter(feeds.values()))))
        return run(session, feeds, deadline)

    monkeypatch.setattr(Session, "run", noted)
    model = loaded(engine, entry)
    assert model.batch_sizes == (1, 2, 4, 8)
    warmed = set(sizes)
    rows = inputs(model, 8)
    [full_batch] = model.run(rows)
    for count in range(1, 9):
        [scores] = model.run(rows[:count])
        assert sizes[-1] == bucket_of(count, 8)
        np.testing.assert_allclose(scores, full_batch[:count], rtol=1e-3, atol=1e-5)
    assert set(sizes) == warmed == set(model.batch_sizes)


def test_a_session_takes_no_more_memory_than_its_limit() -> None:
    feeds = {"x": np.ones((1, 1, 1024, 1024), np.float32)}
    enough = Engine("cuda", 1, Cuda(memory_bytes=4096 * MIB)).load(parsed(WIDE))
    assert enough.run(feeds)[0].shape == (1, 1, 1024, 1024)
    small = Engine("cuda", 1, Cuda(memory_bytes=64 * MIB)).load(parsed(WIDE))
    with pytest.raises(RunFailed):
        small.run(feeds)


def test_a_gpu_that_is_not_there_is_a_failure_at_start() -> None:
    with pytest.raises(DeviceUnavailable, match="CUDA cannot be had"):
        Engine("cuda", 1, Cuda(device=99))


def test_runs_at_once_give_what_each_gives_alone(engine: Engine) -> None:
    model = loaded(engine, ENTRIES[0])
    batches = [inputs(model, count) for count in range(1, 9)]
    alone = [model.run(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for scores, expected in zip(
            pool.map(lambda batch: model.run(batch)[0], batches * 10), alone * 10, strict=True
        ):
            np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)


def test_the_service_tells_of_each_model_what_it_uses_of_the_gpu(
    started: Callable[[Settings], httpx.Client], tmp_path: Path
) -> None:
    client = started(
        Settings(
            models=ROOT / "models", device="cuda", max_batch=4, input_store=tmp_path / "inputs"
        )
    )
    for model in client.get("/models").json()["models"]:
        assert model["provider"] == CUDA
        assert model["gpu"] == {
            "device": 0,
            "tf32": False,
            "memory_limit_bytes": None,
            "cudnn_search": "heuristic",
            "batch_sizes": [1, 2, 4],
        }
        assert next(iter(model["nodes"]["by_provider"])) == CUDA
