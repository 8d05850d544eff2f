"""An engine makes sessions of ONNX Runtime on the device that was asked for.

`cuda` that cannot be had raises at start-up; it never becomes a silent session on the CPU. What
`auto` got is in `Engine.provider`, and why that is not CUDA in `Engine.cpu_reason`.
"""

import os
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import onnx

from service.errors import DeviceUnavailable
from service.runtime.batch_sizes import buckets
from service.runtime.contended_session import ContendedSession
from service.runtime.cuda import Cuda
from service.runtime.ort_errors import RunFailed, UnloadableModel, ort_exceptions, reason
from service.runtime.placement import CPU, CUDA
from service.runtime.session import LOG_FATAL, Session
from service.runtime.watchdog import Watchdog
from service.telemetry.instruments import Counter, Gauge

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Device = Literal["auto", "cpu", "cuda"]

# On a CPU more inputs in one run gain nothing.
_DEFAULT_MAX_BATCH = {CPU: 8, CUDA: 32}

_PROBE = """<ir_version: 8, opset_import: ["" : 17]>
probe (float[1,1,4,4] x) => (float[1,1,2,2] y) <float[1,1,3,3] w = {1,1,1,1,1,1,1,1,1}> {
  y = Conv(x, w)
}"""


class _Replaced(UnloadableModel):
    """ONNX Runtime took another provider than it was asked for."""


class Engine:
    """Makes sessions on one device, with `threads` threads within an operator (0: the runtime's own
    choice).

    On a CPU, a session loaded with `adapt_threads` has `contended_threads` for a run while there
    are several `busy_workers`. `cuda` says how a GPU is used, `max_batch` how many inputs go into
    one run (8 on the CPU and 32 on CUDA by default). Each session is counted in `built`. Raises
    DeviceUnavailable if the device cannot be had, or no ONNX Runtime is installed.
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
        self._ort = _import_ort()
        self._threads = threads
        self._contended_threads = threads if contended_threads is None else contended_threads
        self._busy_workers = busy_workers or Gauge()
        self._cuda = cuda or Cuda()
        self._lock = threading.Lock()
        self._watchdog = Watchdog()
        self._built = built or Counter()
        self._shares_allocator = False
        self.cpu_reason = ""
        self.provider = self._pick_provider(device)
        if self.provider == CPU:
            self._share_allocator()
        self.max_batch = max_batch or _DEFAULT_MAX_BATCH[self.provider]
        self.batch_sizes = buckets(self.max_batch) if self.provider == CUDA else ()
        """The sizes that batches are padded to; none on the CPU, which prepares nothing for a
        shape.
        """

    @property
    def version(self) -> str:
        """ONNX Runtime's version."""
        return str(self._ort.__version__)

    @property
    def sessions_built(self) -> int:
        """How many sessions were built since the start."""
        return int(self._built.value)

    def load(
        self, proto: onnx.ModelProto, *, adapt_threads: bool = False, allow_spinning: bool = False
    ) -> Session:
        """A session of this graph; raises UnloadableModel.

        With `allow_spinning` the threads of a run on the CPU wait for its next operator by
        spinning, until the run ends: worth it where a run takes milliseconds, because waking a
        thread takes tens of microseconds.
        """
        contended = self._contended_session(proto) if adapt_threads else None
        allow_spinning = allow_spinning and self.provider == CPU
        session = self._load_on(self.provider, proto, contended, allow_spinning=allow_spinning)
        with self._lock:
            self._built.inc()
        return session

    def _contended_session(self, proto: onnx.ModelProto) -> ContendedSession | None:
        if self.provider != CPU or self._contended_threads == self._threads:
            return None
        build = partial(self._create_session, proto, CPU, self._contended_threads)
        return ContendedSession(build, self._busy_workers)

    def _share_allocator(self) -> None:
        """One memory arena for the runs of all sessions: with one each, a session of a layer takes
        twice as much.
        """
        ort = self._ort
        kind = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
        memory = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(memory, None)
        self._shares_allocator = True

    def _pick_provider(self, device: Device) -> str:
        if device == "cpu":
            return CPU
        missing = self._cuda_missing()
        if not missing:
            return CUDA
        if device == "cuda":
            raise DeviceUnavailable(f"FOVEA_DEVICE is cuda, but CUDA cannot be had: {missing}")
        self.cpu_reason = missing
        return CPU

    def _cuda_missing(self) -> str:
        """Why there is no CUDA here; empty if a convolution ran on it."""
        if CUDA not in self._ort.get_available_providers():
            return (
                "this ONNX Runtime is built without CUDA; install fovea[gpu] in place of fovea[cpu]"
            )
        if hasattr(self._ort, "preload_dlls"):
            self._ort.preload_dlls()
        try:
            session = self._load_on(CUDA, onnx.parser.parse_model(_PROBE))
            (result,) = session.run({"x": np.ones((1, 1, 4, 4), np.float32)})
        except _Replaced:
            return (
                "its libraries or the driver were not found; "
                "what ONNX Runtime wrote on standard error says which"
            )
        except (UnloadableModel, RunFailed, RuntimeError) as error:
            return reason(error)
        return "" if np.all(result == 9) else "a first convolution on it gave a wrong result"

    def _load_on(
        self,
        provider: str,
        proto: onnx.ModelProto,
        contended: ContendedSession | None = None,
        *,
        allow_spinning: bool = False,
    ) -> Session:
        ort_session = self._create_session(
            proto, provider, self._threads, allow_spinning=allow_spinning
        )
        session = Session(ort_session, self._ort, self._watchdog, contended)
        if session.providers[0] != provider:
            raise _Replaced(f"{provider} was asked for, ONNX Runtime gave {session.providers[0]}")
        return session

    def _create_session(
        self, proto: onnx.ModelProto, provider: str, threads: int, *, allow_spinning: bool = False
    ) -> Any:
        """ONNX Runtime's own session."""
        providers: Sequence[Any] = [CPU] if provider == CPU else [(CUDA, self._cuda.options()), CPU]
        try:
            return self._ort.InferenceSession(
                proto.SerializeToString(),
                self._session_options(threads, allow_spinning),
                providers=providers,
                enable_fallback=0,
            )
        except ort_exceptions() as error:
            raise UnloadableModel(reason(error)) from error

    def _session_options(self, threads: int, allow_spinning: bool) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = LOG_FATAL
        spinning = "1" if allow_spinning else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
        # Threads that spin between runs take the cores from decoding and from the other sessions.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if self._shares_allocator:
            options.add_session_config_entry("session.use_env_allocators", "1")
        # Recorded while nodes are assigned anyway; a runtime too old to know it ignores it.
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options


def _import_ort() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - one of two extras brings it
    except ImportError:
        raise DeviceUnavailable(
            "ONNX Runtime is not installed: install fovea[cpu], or fovea[gpu] for an NVIDIA GPU"
        ) from None
    return onnxruntime
