"""Options of the CUDA provider: from the settings to ONNX Runtime, and back from the options that
ONNX Runtime reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

Search = Literal["heuristic", "exhaustive", "default"]

_UNLIMITED = 2**64 - 1


@dataclass(frozen=True)
class Cuda:
    """How sessions use a GPU.

    `memory_bytes` bounds the arena of each session; None leaves it open. Without `tf32` sums are of
    full float32, as on the CPU. `search` is how cuDNN finds an algorithm for each convolution and
    each shape of its input.
    """

    device: int = 0
    memory_bytes: int | None = None
    tf32: bool = False
    search: Search = "heuristic"

    def options(self) -> dict[str, str]:
        """Provider options as ONNX Runtime takes them."""
        options = {
            "device_id": str(self.device),
            "use_tf32": str(int(self.tf32)),
            "cudnn_conv_algo_search": self.search.upper(),
        }
        if self.memory_bytes is not None:
            options["gpu_mem_limit"] = str(self.memory_bytes)
        return options

    @classmethod
    def from_runtime(cls, options: Mapping[str, str]) -> "Cuda":
        """The options that the provider reports, with ONNX Runtime's defaults for the others."""
        limit = int(options.get("gpu_mem_limit", _UNLIMITED))
        return cls(
            device=int(options.get("device_id", 0)),
            memory_bytes=None if limit >= _UNLIMITED else limit,
            tf32=options.get("use_tf32", "1").lower() in ("1", "true"),
            search=cast("Search", options.get("cudnn_conv_algo_search", "EXHAUSTIVE").lower()),
        )
