"""ONNX Runtime as on a machine with a GPU, as far as the service can tell; what CUDA is to run, the
CPU runs.
"""

from collections.abc import Sequence
from typing import Any

import onnxruntime

from service.runtime.placement import CPU, CUDA


class Gpu:
    """In place of the module `onnxruntime`; `failure` is what taking a session on CUDA raises."""

    def __init__(self, failure: str = "") -> None:
        self.asked: list[dict[str, str]] = []
        self._failure = failure

    def __getattr__(self, name: str) -> Any:
        return getattr(onnxruntime, name)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]

    def preload_dlls(self) -> None:
        pass

    def InferenceSession(  # noqa: N802
        self, model: bytes, options: Any, providers: Sequence[Any], **_: Any
    ) -> Any:
        if providers[0] == CPU:
            return onnxruntime.InferenceSession(model, options, providers=[CPU])
        self.asked.append(providers[0][1])
        if self._failure:
            raise RuntimeError(self._failure)
        return _OnGpu(
            onnxruntime.InferenceSession(model, options, providers=[CPU]), providers[0][1]
        )


class _OnGpu:
    def __init__(self, session: Any, options: dict[str, str]) -> None:
        self._session = session
        self._options = {"gpu_mem_limit": "18446744073709551615"} | options

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {CUDA: self._options, CPU: {}}
