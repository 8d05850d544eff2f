"""ONNX Runtime sessions for training, on the device that was asked for or not at all."""

import os
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

Device = Literal["cpu", "cuda"]
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class DeviceError(RuntimeError):
    """The device cannot be had; the message says what is missing."""


def session(
    model: onnx.ModelProto, device: Device = "cpu", threads: int | None = None
) -> onnxruntime.InferenceSession:
    """A session on `device`; without `threads`, with one for each processor of this process.

    Raises DeviceError for `cuda` that cannot be had: training on the processor instead would be
    noticed hours later.
    """
    if device not in get_args(Device):
        raise DeviceError(
            f"expected one of {', '.join(get_args(Device))} as the device, got {device!r}"
        )
    provider = PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise DeviceError(
            f'this ONNX Runtime has no {provider}; install with: pip install -e ".[gpu,build]"'
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or processors()
    options.use_deterministic_compute = True
    # Threads that spin take the processor from the one that prepares the next batch: steps took
    # twice as long.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors only: of the many small nodes that CUDA runs on the processor it would warn at every
    # start.
    options.log_severity_level = 3
    if device == "cuda":
        onnxruntime.preload_dlls()
    opened = onnxruntime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=list(dict.fromkeys([provider, PROVIDERS["cpu"]])),
        enable_fallback=0,
    )
    if opened.get_providers()[0] != provider:
        raise DeviceError(
            f"{provider} did not start; the GPU, its driver, CUDA or cuDNN is missing"
        )
    return opened


def on_device(array: NDArray[Any], device: Device) -> onnxruntime.OrtValue:
    """A tensor in memory of its own on the device, with these values."""
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, device)
    value.update_inplace(np.ascontiguousarray(array))
    return value


def run(model: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """All outputs of a model, computed once on the processor."""
    outputs: list[NDArray[Any]] = session(model).run(None, dict(feeds))
    return outputs


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
