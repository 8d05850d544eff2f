"""What ONNX Runtime raises, and the exceptions that stand for it here."""

import re


class UnloadableModel(Exception):
    """ONNX Runtime makes no session of this graph; the message is its reason, in one line."""


class RunFailed(Exception):
    """ONNX Runtime failed on an input that fits the graph; the message is its reason."""


# What a failed allocation says: of the arena, of the C++ library, of CUDA.
_OUT_OF_MEMORY = re.compile(
    r"allocate memory|bad_alloc|smaller than requested|out of memory|ALLOC_FAILED", re.IGNORECASE
)
# What ONNX Runtime puts before the reason: its name, a code, and often a position in its source.
_PREAMBLE = re.compile(r"(\[ONNXRuntimeError\] : \d+ : \w+ : )?(/\S+:\d+ .*?\)( const)? )?")
# What CUDA itself says, somewhere within what ONNX Runtime says of it.
_CUDA_FAILURE = re.compile(r"CU(DA|DNN|BLAS) failure \d+: [^;\n]*[^;\s]")
_LONGEST_REASON = 300


def ort_exceptions() -> tuple[type[Exception], ...]:
    """The exceptions of loading and running; ONNX Runtime's have no common base but Exception."""
    from onnxruntime.capi import (  # noqa: PLC0415 - one of two extras brings it
        onnxruntime_pybind11_state as state,
    )

    declared = [
        value
        for value in vars(state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    return (RuntimeError, ValueError, *declared)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, which is no fault of the input's size."""
    return _OUT_OF_MEMORY.search(str(error)) is not None


def reason(error: Exception) -> str:
    """What went wrong, in one line without ONNX Runtime's preamble."""
    cuda_failure = _CUDA_FAILURE.search(str(error))
    if cuda_failure:
        return cuda_failure.group()
    first_line = next(iter(str(error).strip().splitlines()), "")
    text = _PREAMBLE.sub("", first_line, count=1)[:_LONGEST_REASON]
    return text or type(error).__name__
