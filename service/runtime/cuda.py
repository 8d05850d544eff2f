"""CUDA's options: from what an operator chose to what ONNX Runtime takes, and back from what it
says is in force.
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
    whole float32, as on the CPU. `search` is how cuDNN finds an algorithm for each convolution and
    each shape of its input.
    """

    device: int = 0
    memory_bytes: int | None = None
    tf32: bool = False
    search: Search = "heuristic"

    def options(self) -> dict[str, str]:
        """What ONNX Runtime's CUDA provider is given."""
        options = {
            "device_id": str(self.device),
            "use_tf32": str(int(self.tf32)),
            "cudnn_conv_algo_search": self.search.upper(),
        }
        return (
            options
            if self.memory_bytes is None
            else options | {"gpu_mem_limit": str(self.memory_bytes)}
        )

    @classmethod
    def from_runtime(cls, options: Mapping[str, str]) -> "Cuda":
        """From what the provider says is in force; what it does not name is as ONNX Runtime has it
        by default.
        """
        limit = int(options.get("gpu_mem_limit", _UNLIMITED))
        return cls(
            device=int(options.get("device_id", 0)),
            memory_bytes=None if limit >= _UNLIMITED else limit,
            tf32=options.get("use_tf32", "1").lower() in ("1", "true"),
            search=cast("Search", options.get("cudnn_conv_algo_search", "EXHAUSTIVE").lower()),
        )
