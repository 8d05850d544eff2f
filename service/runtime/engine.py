"""ONNX Runtime: sessions on the device that was asked for, arrays in and arrays out. No pictures,
no HTTP, no asyncio.

`cuda` that cannot be had raises at start-up; it never becomes a silent session on the CPU. What
`auto` got is in `Engine.provider`, and why it is not CUDA in `Engine.cpu_reason`. What ONNX Runtime says
of a session is in `Session.cuda`, the options of its provider, and in `Session.placement`, where
its nodes run.
"""

import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import onnx

from service.errors import DeadlinePassed, DeviceUnavailable, Impossible
from service.runtime.batch_sizes import buckets
from service.runtime.cancellation import Cancelled, is_cancelled, on_cancel
from service.runtime.contended_session import ContendedSession
from service.runtime.cuda import Cuda
from service.runtime.placement import Placement
from service.runtime.run_times import RunTimes
from service.runtime.watchdog import Watchdog
from service.telemetry.instruments import Counter, Gauge

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Device = Literal["auto", "cpu", "cuda"]
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# Inputs of one run at most, unless told otherwise: on a CPU more gain nothing.
_MOST = {CPU: 8, CUDA: 32}

# What failing to get memory says, of the arena, of the C++ library and of CUDA: no fault of the
# input's size.
_NO_MEMORY = re.compile(
    r"allocate memory|bad_alloc|smaller than requested|out of memory|ALLOC_FAILED", re.IGNORECASE
)
# What ONNX Runtime puts before the reason: its name, a code, and often a place in its source.
_PREAMBLE = re.compile(r"(\[ONNXRuntimeError\] : \d+ : \w+ : )?(/\S+:\d+ .*?\)( const)? )?")
# What CUDA itself says, somewhere within what ONNX Runtime says of it.
_OF_CUDA = re.compile(r"CU(DA|DNN|BLAS) failure \d+: [^;\n]*[^;\s]")
# Failures reach the caller as exceptions; the runtime need not print them as well.
_FATAL = 4

_PROBE = """<ir_version: 8, opset_import: ["" : 17]>
probe (float[1,1,4,4] x) => (float[1,1,2,2] y) <float[1,1,3,3] w = {1,1,1,1,1,1,1,1,1}> { y = Conv(x, w) }"""


class UnloadableModel(Exception):
    """ONNX Runtime takes no session of this graph; the message is its reason, in one line."""


class _Replaced(UnloadableModel):
    """ONNX Runtime took another provider than it was asked for."""


class RunFailed(Exception):
    """ONNX Runtime failed on an input that fits the graph; the message is its reason, in one line."""


class Session:
    """One graph, loaded. Safe to run from several threads at once."""

    def __init__(
        self, session: Any, runtime: Any, watch: Watchdog, beside: ContendedSession | None = None
    ) -> None:
        self._session = session
        self._beside = beside
        self._runtime = runtime
        self._watch = watch
        self._open = any(
            not isinstance(size, int) for value in session.get_inputs() for size in value.shape[1:]
        )
        self.inputs: tuple[str, ...] = tuple(value.name for value in session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(value.name for value in session.get_outputs())
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.cuda = _cuda_of(session)
        """What the CUDA provider says is in force; None on another."""
        self.placement = _placement_of(session)
        """Where its nodes run; None where this ONNX Runtime does not tell."""
        self.times = RunTimes()

    def run(
        self, feeds: Mapping[str, np.ndarray], deadline: float | None = None
    ) -> list[np.ndarray]:
        """All outputs for these inputs, in the order of `outputs`.

        `deadline` is a point of `time.monotonic()`: DeadlinePassed is raised there and the run is
        terminated; so it is, with Abandoned, when nobody waits for it any more. Raises Impossible
        for inputs whose names, types or shapes the graph does not take, RunFailed for what is no
        fault of the input.
        """
        options = self._runtime.RunOptions()
        options.log_severity_level = _FATAL
        with (
            self._watch.until(deadline, options),
            on_cancel(partial(setattr, options, "terminate", True)),
        ):
            inner = (self._beside and self._beside.session) or self._session
            started = time.monotonic()
            try:
                outputs = list(inner.run(None, dict(feeds), options))
            except _exceptions() as error:
                if is_cancelled():
                    raise Cancelled from None
                if options.terminate:
                    raise DeadlinePassed(
                        "the run took longer than allowed and was ended; try again later"
                    ) from None
                if _NO_MEMORY.search(str(error)):
                    raise RunFailed(_first_line(error)) from error
                # A size that the graph leaves open can be one that an operator deep inside cannot
                # work with.
                if (
                    self._open
                    or feeds.keys() != set(self.inputs)
                    or type(error).__name__ == "InvalidArgument"
                ):
                    raise Impossible(self._mismatch(feeds)) from error
                raise RunFailed(_first_line(error)) from error
            self.times.record(time.monotonic() - started)
            return outputs

    def _mismatch(self, feeds: Mapping[str, np.ndarray]) -> str:
        expected = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in self._session.get_inputs())
        got = ", ".join(
            f"{name}: {array.dtype} {list(array.shape)}" for name, array in feeds.items()
        )
        return f"the network takes {expected}; this input is {got or 'none'}, which it cannot work with"


class Engine:
    """Makes sessions on one device, with `threads` threads within an operator (0: the runtime's own
    choice).

    On a CPU, a session that is loaded `adapt_threads` has them for a run that goes by itself; where
    there are several `busy_workers`, a run has `contended_threads`. `cuda` says
    how a GPU is used, `max_batch` how many inputs go into one run (8 on the CPU, 32 on CUDA unless
    given). Each session is counted in `built`. Raises DeviceUnavailable if the device cannot be
    had, or no ONNX Runtime is installed.
    """

    def __init__(
        self,
        device: Device = "auto",
        threads: int = 0,
        cuda: Cuda | None = None,
        max_batch: int | None = None,
        built: Counter | None = None,
        contended_threads: int | None = None,
        busy_workers: Gauge | None = None,
    ) -> None:
        self._runtime = _runtime()
        self._threads = threads
        self._threads_beside = threads if contended_threads is None else contended_threads
        self._busy_workers = busy_workers or Gauge()
        self._cuda = cuda or Cuda()
        self._lock = threading.Lock()
        self._watch = Watchdog()
        self._built = built or Counter()
        self._sharing = False
        self.cpu_reason = ""
        self.provider = self._pick_provider(device)
        if self.provider == CPU:
            self._share_memory()
        self.max_batch = max_batch or _MOST[self.provider]
        self.batch_sizes = buckets(self.max_batch) if self.provider == CUDA else ()
        """The sizes that batches are padded to; none on the CPU, which prepares nothing for a
        shape.
        """

    @property
    def version(self) -> str:
        """ONNX Runtime's version."""
        return str(self._runtime.__version__)

    @property
    def sessions_built(self) -> int:
        """How many sessions were built since the start."""
        return int(self._built.value)

    def load(
        self, proto: onnx.ModelProto, *, adapt_threads: bool = False, allow_spinning: bool = False
    ) -> Session:
        """A session of this graph; raises UnloadableModel.

        With `allow_spinning` the threads of a run on the CPU wait for its next operator by spinning, until
        the run ends: worth it where a run takes milliseconds, for waking a thread takes tens of
        microseconds.
        """
        beside = None
        if adapt_threads and self.provider == CPU and self._threads_beside != self._threads:
            beside = ContendedSession(
                partial(self._create_session, proto, CPU, self._threads_beside), self._busy_workers
            )
        session = self._open(
            proto, self.provider, beside, allow_spinning=allow_spinning and self.provider == CPU
        )
        with self._lock:
            self._built.inc()
        return session

    def _share_memory(self) -> None:
        """One pool of memory for the runs of all sessions: with one each, a session of a layer
        takes twice as much.
        """
        runtime = self._runtime
        kind = runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
        runtime.create_and_register_allocator(
            runtime.OrtMemoryInfo("Cpu", kind, 0, runtime.OrtMemType.DEFAULT), None
        )
        self._sharing = True

    def _pick_provider(self, device: Device) -> str:
        if device == "cpu":
            return CPU
        reason = self._cuda_missing()
        if not reason:
            return CUDA
        if device == "cuda":
            raise DeviceUnavailable(f"FOVEA_DEVICE is cuda, but CUDA cannot be had: {reason}")
        self.cpu_reason = reason
        return CPU

    def _cuda_missing(self) -> str:
        """Why there is no CUDA here; empty if a convolution ran on it."""
        if CUDA not in self._runtime.get_available_providers():
            return (
                "this ONNX Runtime is built without CUDA; install fovea[gpu] in place of fovea[cpu]"
            )
        if hasattr(self._runtime, "preload_dlls"):
            self._runtime.preload_dlls()
        try:
            session = self._open(onnx.parser.parse_model(_PROBE), CUDA)
            (result,) = session.run({"x": np.ones((1, 1, 4, 4), np.float32)})
        except _Replaced:
            return "its libraries or the driver were not found; what ONNX Runtime wrote on standard error says which"
        except (UnloadableModel, RunFailed, RuntimeError) as error:
            return _first_line(error)
        return "" if np.all(result == 9) else "a first convolution on it gave a wrong result"

    def _open(
        self,
        proto: onnx.ModelProto,
        provider: str,
        beside: ContendedSession | None = None,
        *,
        allow_spinning: bool = False,
    ) -> Session:
        inner = self._create_session(proto, provider, self._threads, allow_spinning=allow_spinning)
        session = Session(inner, self._runtime, self._watch, beside)
        if session.providers[0] != provider:
            raise _Replaced(f"{provider} was asked for, ONNX Runtime gave {session.providers[0]}")
        return session

    def _create_session(
        self, proto: onnx.ModelProto, provider: str, threads: int, *, allow_spinning: bool = False
    ) -> Any:
        providers: Sequence[Any] = [CPU] if provider == CPU else [(CUDA, self._cuda.options()), CPU]
        try:
            return self._runtime.InferenceSession(
                proto.SerializeToString(),
                self._options(threads, allow_spinning),
                providers=providers,
                enable_fallback=0,
            )
        except _exceptions() as error:
            raise UnloadableModel(_first_line(error)) from error

    def _options(self, threads: int, allow_spinning: bool) -> Any:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL
        # Threads that spin between runs take the cores from decoding and from the other sessions.
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if allow_spinning else "0"
        )
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if self._sharing:
            options.add_session_config_entry("session.use_env_allocators", "1")
        # Noted while nodes are assigned anyway; a runtime too old to know it ignores it.
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options


def _runtime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - one of two extras brings it
    except ImportError:
        raise DeviceUnavailable(
            "ONNX Runtime is not installed: install fovea[cpu], or fovea[gpu] for an NVIDIA GPU"
        ) from None
    return onnxruntime


def _cuda_of(session: Any) -> Cuda | None:
    options = session.get_provider_options()
    return Cuda.from_runtime(options[CUDA]) if CUDA in options else None


def _placement_of(session: Any) -> Placement | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    return Placement.from_runtime(
        session.get_provider_graph_assignment_info(), session.get_providers()[0]
    )


def _exceptions() -> tuple[type[Exception], ...]:
    """What loading and running raise: ONNX Runtime's exceptions have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415 - one of two extras brings it

    own = [
        value
        for value in vars(state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    return (RuntimeError, ValueError, *own)


def _first_line(error: Exception) -> str:
    if of_cuda := _OF_CUDA.search(str(error)):
        return of_cuda.group()
    line = next(iter(str(error).strip().splitlines()), "")
    return _PREAMBLE.sub("", line, count=1)[:300] or type(error).__name__
