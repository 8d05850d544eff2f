"""A session of ONNX Runtime: arrays in, arrays out, ended at its deadline or when it is cancelled.

What ONNX Runtime says of a session is in `Session.cuda`, the options of its provider, and in
`Session.placement`, where its nodes run.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

import numpy as np

from service.errors import DeadlinePassed, Impossible
from service.runtime.cancellation import Cancelled, is_cancelled, on_cancel
from service.runtime.contended_session import ContendedSession
from service.runtime.cuda import Cuda
from service.runtime.ort_errors import RunFailed, is_out_of_memory, ort_exceptions, reason
from service.runtime.placement import CPU, CUDA, Placement
from service.runtime.run_times import RunTimes
from service.runtime.watchdog import Watchdog

LOG_FATAL = 4
"""ONNX Runtime's log level at which it prints no failure: failures are raised anyway."""


class Session:
    """One graph, loaded. Safe to run from several threads at once.

    `ort` is the module `onnxruntime`, `contended` the session for runs at the same time as others.
    """

    def __init__(
        self,
        session: Any,
        ort: Any,
        watchdog: Watchdog,
        contended: ContendedSession | None = None,
    ) -> None:
        self._session = session
        self._contended = contended
        self._ort = ort
        self._watchdog = watchdog
        self._has_dynamic_shape = any(
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
        # On a GPU the thread waits while the network runs.
        self._busy_clock = time.thread_time if self.providers[0] == CPU else time.monotonic

    def run(
        self, feeds: Mapping[str, np.ndarray], deadline: float | None = None
    ) -> list[np.ndarray]:
        """All outputs for these inputs, in the order of `outputs`.

        `deadline` is a point of `time.monotonic()`. The run is terminated there, with
        DeadlinePassed, and when its cancel scope is cancelled, with Cancelled. Raises Impossible
        for inputs whose names, types or shapes the graph does not take, RunFailed for what is no
        fault of the input.
        """
        options = self._ort.RunOptions()
        options.log_severity_level = LOG_FATAL
        terminate = partial(setattr, options, "terminate", True)
        with self._watchdog.terminate_at(deadline, options), on_cancel(terminate):
            session = self._session_under_load()
            started, busy = time.monotonic(), self._busy_clock()
            try:
                outputs = list(session.run(None, dict(feeds), options))
            except ort_exceptions() as error:
                self._raise_failure(error, feeds, options.terminate)
            self.times.record(time.monotonic() - started, self._busy_clock() - busy)
            return outputs

    def _session_under_load(self) -> Any:
        """ONNX Runtime's session for a run that starts now."""
        contended = self._contended.session if self._contended is not None else None
        return contended or self._session

    def _raise_failure(
        self, error: Exception, feeds: Mapping[str, np.ndarray], terminated: bool
    ) -> NoReturn:
        if is_cancelled():
            raise Cancelled from None
        if terminated:
            raise DeadlinePassed(
                "the run took longer than allowed and was ended; try again later"
            ) from None
        if not is_out_of_memory(error) and self._may_be_wrong_input(error, feeds):
            raise Impossible(self._mismatch(feeds)) from error
        raise RunFailed(reason(error)) from error

    def _may_be_wrong_input(self, error: Exception, feeds: Mapping[str, np.ndarray]) -> bool:
        # A size that the graph leaves open can be one that an operator deep inside cannot take.
        return (
            self._has_dynamic_shape
            or feeds.keys() != set(self.inputs)
            or type(error).__name__ == "InvalidArgument"
        )

    def _mismatch(self, feeds: Mapping[str, np.ndarray]) -> str:
        expected = ", ".join(
            f"{value.name}: {value.type} {value.shape}" for value in self._session.get_inputs()
        )
        got = ", ".join(
            f"{name}: {array.dtype} {list(array.shape)}" for name, array in feeds.items()
        )
        return (
            f"the network takes {expected}; this input is {got or 'none'}, "
            "which it cannot work with"
        )


def _cuda_of(session: Any) -> Cuda | None:
    options = session.get_provider_options()
    return Cuda.from_runtime(options[CUDA]) if CUDA in options else None


def _placement_of(session: Any) -> Placement | None:
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    assignment = session.get_provider_graph_assignment_info()
    return Placement.from_runtime(assignment, session.get_providers()[0])
