"""ONNX Runtime as on a machine with a GPU, as far as the service can tell: its sessions on CUDA run
on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import onnxruntime

from service.runtime.placement import CPU, CUDA


class Gpu:
    """Stands for the module `onnxruntime`; a session on CUDA raises `failure`, if it is given.

    `cuda_options` are those of every session that was requested on CUDA.
    """

    def __init__(self, failure: str = "") -> None:
        self.cuda_options: list[dict[str, str]] = []
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
        self.cuda_options.append(providers[0][1])
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
