"""Sessions on the device that was asked for, and runs that end when they must."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from service.errors import DeadlinePassed, DeviceUnavailable, Impossible
from service.runtime.engine import Engine
from service.runtime.ort_errors import UnloadableModel
from service.runtime.placement import CPU, CUDA
from service.runtime.session import Session
from tests.service.networks import SIGNALS, VOLUMES, parsed, tensors

WITHOUT_CUDA = CUDA not in onnxruntime.get_available_providers()
OPEN = """<ir_version: 8, opset_import: ["" : 18]>
open (float[N,1,H,W] x) => (float[N,3] y) <float[1,1,3,3] w, float[16,3] g> {
  c = Conv(x, w)
  f = Flatten(c)
  y = Gemm(f, g)
}"""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", 1)


@pytest.fixture(scope="module")
def signals(engine: Engine) -> Session:
    return engine.load(parsed(SIGNALS))


@pytest.fixture(scope="module")
def long(engine: Engine) -> Session:
    """A network whose run takes seconds, in thousands of small steps."""
    steps = " ".join(f"t{n + 1} = Conv<pads=[1,1,1,1]>(t{n}, w)" for n in range(2400))
    text = f"""<ir_version: 8, opset_import: ["" : 18]>
    long (float[1,32,128,128] t0) => (float[1,32,128,128] t2400) <float[32,32,3,3] w> {{
      {steps}
    }}"""
    return engine.load(parsed(text))


def test_a_run_gives_what_the_runtime_gives(engine: Engine) -> None:
    model = parsed(VOLUMES)
    volume = np.random.default_rng(0).normal(size=(1, 1, 6, 7, 8)).astype(np.float32)
    [result] = engine.load(model).run({"x": volume})
    assert np.array_equal(result, tensors(model, ["y"], volume)[0])


@pytest.mark.skipif(not WITHOUT_CUDA, reason="this ONNX Runtime has CUDA")
def test_cuda_that_cannot_be_had_is_a_failure_that_says_what_to_install() -> None:
    with pytest.raises(DeviceUnavailable, match=r"FOVEA_DEVICE is cuda.*install fovea\[gpu\]"):
        Engine("cuda")


@pytest.mark.skipif(not WITHOUT_CUDA, reason="this ONNX Runtime has CUDA")
def test_auto_takes_the_cpu_and_says_why() -> None:
    engine = Engine("auto")
    assert engine.provider == CPU
    assert "without CUDA" in engine.cpu_reason


@pytest.mark.skipif(
    WITHOUT_CUDA or Engine("auto").provider == CUDA,
    reason="needs the gpu extra on a machine without a GPU",
)
def test_the_build_with_cuda_on_a_machine_without_a_gpu_is_a_failure() -> None:
    with pytest.raises(DeviceUnavailable, match=r"FOVEA_DEVICE is cuda, but CUDA cannot be had: "):
        Engine("cuda")
    engine = Engine("auto", 1)
    assert engine.provider == CPU
    assert engine.load(parsed(SIGNALS)).providers == (CPU,)


@pytest.mark.skipif(not WITHOUT_CUDA, reason="this ONNX Runtime has CUDA")
def test_a_provider_that_the_runtime_replaces_in_silence_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "provider", CUDA)
    with (
        pytest.raises(UnloadableModel, match="CUDAExecutionProvider"),
        pytest.warns(UserWarning, match="CUDA"),
    ):
        engine.load(parsed(SIGNALS))


def test_a_runtime_with_cuda_on_a_machine_without_it_is_a_failure_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda *_, **__: None, raising=False)
    if not WITHOUT_CUDA:
        pytest.skip("this ONNX Runtime has CUDA")
    with (
        pytest.raises(DeviceUnavailable, match="cannot be had: its libraries or the driver"),
        pytest.warns(UserWarning, match="CUDA"),
    ):
        Engine("cuda")


def test_without_a_runtime_it_says_which_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(DeviceUnavailable, match=r"fovea\[cpu\]"):
        Engine("cpu")


@pytest.mark.parametrize(
    "feeds",
    [
        {},
        {"z": np.zeros((1, 2, 9), np.float32)},
        {"x": np.zeros((1, 3, 9), np.float32)},
        {"x": np.zeros((2, 9), np.float32)},
        {"x": np.zeros((1, 2, 9), np.float64)},
        {"x": np.zeros((1, 2, 9), np.float32), "z": np.zeros(1, np.float32)},
    ],
    ids=["none", "another name", "channels", "rank", "type", "one too many"],
)
def test_an_input_that_the_network_does_not_take_is_told_what_it_takes(
    signals: Session, feeds: Any
) -> None:
    with pytest.raises(Impossible, match=r"takes x: tensor\(float\) \['N', 2, 'L'\]"):
        signals.run(feeds)


@pytest.mark.parametrize("size", [0, 2, 5, 7])
def test_a_size_that_fails_deep_inside_is_told_to_the_caller_only(
    engine: Engine, size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    session = engine.load(parsed(OPEN))
    assert session.run({"x": np.ones((1, 1, 6, 6), np.float32)})[0].shape == (1, 3)
    with pytest.raises(Impossible, match=rf"\[1, 1, {size}, {size}\]"):
        session.run({"x": np.ones((1, 1, size, size), np.float32)})
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_the_runtime_does_not_take_is_unloadable(engine: Engine) -> None:
    broken = parsed(SIGNALS)
    broken.opset_import[0].version = 999
    with pytest.raises(UnloadableModel, match="999") as failure:
        engine.load(broken)
    assert "/" not in str(failure.value).split(" ")[0]
    assert "ONNXRuntimeError" not in str(failure.value)


def test_a_run_is_ended_at_its_deadline(long: Session) -> None:
    feeds = {"t0": np.zeros((1, 32, 128, 128), np.float32)}
    started = time.monotonic()
    with pytest.raises(DeadlinePassed, match="was ended"):
        long.run(feeds, started + 0.1)
    assert time.monotonic() - started < 1


def test_runs_at_once_are_each_ended_at_their_own_deadline(long: Session) -> None:
    feeds = {"t0": np.zeros((1, 32, 128, 128), np.float32)}

    def ended(seconds: float) -> float:
        started = time.monotonic()
        with pytest.raises(DeadlinePassed):
            long.run(feeds, started + seconds)
        return time.monotonic() - started

    with ThreadPoolExecutor(2) as pool:
        later, sooner = pool.map(ended, (0.8, 0.1))
    assert sooner < 0.7 < later


def test_a_deadline_in_the_past_starts_no_run(signals: Session) -> None:
    with pytest.raises(DeadlinePassed, match="before the run could start"):
        signals.run({"x": np.zeros((1, 2, 9), np.float32)}, time.monotonic() - 1)


def test_all_runs_are_watched_by_one_thread_that_ends_with_them() -> None:
    signals = Engine("cpu", 1).load(parsed(SIGNALS))
    feeds = {"x": np.ones((1, 2, 9), np.float32)}
    before = set(threading.enumerate())
    expected = signals.run(feeds)[0]
    assert all(
        np.array_equal(signals.run(feeds, time.monotonic() + 60)[0], expected) for _ in range(50)
    )
    [watchdog] = [
        thread for thread in set(threading.enumerate()) - before if thread.name == "fovea-watchdog"
    ]
    watchdog.join(5)
    assert not watchdog.is_alive()
    assert np.array_equal(signals.run(feeds, time.monotonic() + 60)[0], expected)


def test_sessions_built_are_counted(engine: Engine) -> None:
    before = engine.sessions_built
    engine.load(parsed(SIGNALS))
    with pytest.raises(UnloadableModel):
        engine.load(onnx.ModelProto())
    assert engine.sessions_built == before + 1


def test_a_slow_run_after_quick_ones_counts_until_quick_ones_follow(engine: Engine) -> None:
    text = """<ir_version: 8, opset_import: ["" : 18]>
    sized (float[N,1,H,W] x) => (float[N,1,H,W] y) <float[1,1,31,31] w> {
      y = Conv<pads=[15,15,15,15]>(x, w)
    }"""
    session = engine.load(parsed(text))
    quick = np.zeros((1, 1, 2, 2), np.float32)
    slow = np.zeros((1, 1, 400, 400), np.float32)
    for _ in range(5):
        session.run({"x": quick})
    before = session.times.recent_maximum
    session.run({"x": slow})
    after = session.times.recent_maximum
    assert after > before * 2
    for _ in range(20):
        session.run({"x": quick})
    assert session.times.recent_maximum < after / 2
