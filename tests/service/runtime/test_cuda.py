"""The settings of a GPU reach ONNX Runtime, and the options that it reports are read back."""

from typing import Any

import numpy as np
import pytest

from service.errors import DeviceUnavailable, Impossible, SettingsError
from service.runtime.cuda import Cuda, Search
from service.runtime.engine import Engine
from service.runtime.ort_errors import RunFailed
from service.runtime.placement import CPU
from service.services import cuda_of
from service.settings import Settings
from tests.service.networks import SIGNALS, parsed
from tests.service.runtime.fake_gpu import Gpu


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    fake = Gpu()
    monkeypatch.setattr("service.runtime.engine._import_ort", lambda: fake)
    return fake


def test_the_defaults_keep_to_the_numbers_of_the_cpu_and_to_a_quick_start() -> None:
    assert cuda_of(Settings()).options() == {
        "device_id": "0",
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
    }


def test_every_setting_of_the_gpu_reaches_the_provider() -> None:
    settings = Settings.load(
        ["--cuda-device", "2", "--tf32", "true"],
        {"FOVEA_GPU_MEMORY_BYTES": "2000000000", "FOVEA_CUDNN_SEARCH": "exhaustive"},
    )
    assert cuda_of(settings).options() == {
        "device_id": "2",
        "use_tf32": "1",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "gpu_mem_limit": "2000000000",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOVEA_CUDA_DEVICE", "-1"),
        ("FOVEA_CUDA_DEVICE", "first"),
        ("FOVEA_GPU_MEMORY_BYTES", "0"),
        ("FOVEA_GPU_MEMORY_BYTES", "2GB"),
        ("FOVEA_TF32", "maybe"),
        ("FOVEA_CUDNN_SEARCH", "best"),
        ("FOVEA_MAX_BATCH", "0"),
    ],
)
def test_an_impossible_choice_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        Settings.load([], {name: value})


@pytest.mark.parametrize("search", ["heuristic", "exhaustive", "default"])
@pytest.mark.parametrize("memory", [None, 1, 2**40])
@pytest.mark.parametrize("tf32", [False, True])
def test_what_was_chosen_is_what_is_told(search: Search, memory: int | None, tf32: bool) -> None:
    chosen = Cuda(3, memory, tf32, search)
    assert Cuda.from_runtime(chosen.options()) == chosen


def test_a_provider_that_says_nothing_has_the_defaults_of_the_runtime() -> None:
    assert Cuda.from_runtime({}) == Cuda(0, None, True, "exhaustive")


def test_the_provider_is_asked_as_chosen_for_the_first_proof_and_for_every_session(
    gpu: Gpu,
) -> None:
    chosen = Cuda(device=1, memory_bytes=10**9, tf32=True, search="default")
    session = Engine("cuda", 1, chosen).load(parsed(SIGNALS))
    assert gpu.cuda_options == [chosen.options()] * 2
    assert session.cuda == chosen


def test_on_the_cpu_no_session_tells_of_a_gpu(gpu: Gpu) -> None:
    assert Engine("cpu", 1, Cuda(device=5)).load(parsed(SIGNALS)).cuda is None
    assert gpu.cuda_options == []


@pytest.mark.parametrize(("device", "most"), [("cpu", 8), ("cuda", 32)])
def test_more_inputs_share_a_run_on_a_gpu_unless_told_otherwise(
    gpu: Gpu, device: Any, most: int
) -> None:
    assert Engine(device, 1).max_batch == most
    assert Engine(device, 1, max_batch=5).max_batch == 5


def test_a_gpu_that_is_not_there_is_a_failure_that_says_what_cuda_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failure = "CUDA failure 101: invalid device ordinal"
    message = (
        "/src/cuda.cc:63 static A::B() [ONNXRuntimeError] : 1 : FAIL : "
        f'Parse "device_id": {failure} ; GPU=-1 ; file=/src'
    )
    monkeypatch.setattr("service.runtime.engine._import_ort", lambda: Gpu(message))
    with pytest.raises(
        DeviceUnavailable, match=f"FOVEA_DEVICE is cuda, but CUDA cannot be had: {failure}$"
    ):
        Engine("cuda", 1, Cuda(device=7))
    engine = Engine("auto", 1, Cuda(device=7))
    assert (engine.provider, engine.cpu_reason) == (CPU, failure)


@pytest.mark.parametrize(
    "failure",
    [
        "BFCArena::AllocateRawInternal: Available memory of 5 is smaller than requested bytes of 6",
        "Failed to allocate memory for requested buffer of size 4096",
        "CUDA failure 2: out of memory ; GPU=0",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "std::bad_alloc",
    ],
)
def test_too_little_memory_is_no_fault_of_the_input(
    failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Engine("cpu", 1).load(parsed(SIGNALS))
    feeds = {"x": np.zeros((1, 2, 9), np.float32)}

    class Failing:
        def __getattr__(self, name: str) -> Any:
            def run(*_: Any) -> None:
                raise RuntimeError(failure if name == "run" else name)

            return run

    monkeypatch.setattr(session, "_session", Failing())
    with pytest.raises(RunFailed):
        session.run(feeds)


def test_a_length_that_does_not_fit_is_still_a_fault_of_the_input() -> None:
    with pytest.raises(Impossible):
        Engine("cpu", 1).load(parsed(SIGNALS)).run({"x": np.zeros((1, 3, 9), np.float32)})
