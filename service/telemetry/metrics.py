"""The instruments of an app, declared once with their names and help texts.

A `Metrics` per app, so that nothing is registered at import. The parts of the service get the
instruments that they change, and know nothing of Prometheus or of other workers.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client.core import Metric

from service.telemetry.instruments import Counter, Gauge, Histogram
from service.telemetry.registry import Reading, Registry
from service.telemetry.shared_counters import SharedCounters

Stage = Literal["queue", "decode", "run", "encode"]
Reason = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]
"""Why a request failed: rejected before it ran or past its deadline, cancelled by the caller, or
failed in the run; `OTHER` for the rest.
"""

STAGES: tuple[Stage, ...] = ("queue", "decode", "run", "encode")
MODEL_LABELS = ("model", "version")
# In seconds.
REQUEST_BOUNDS = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
STAGE_BOUNDS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)


@dataclass(frozen=True, slots=True)
class CacheMetrics:
    """What a cache counts; without a registry it counts for itself."""

    hits: Counter = field(default_factory=Counter)
    misses: Counter = field(default_factory=Counter)
    evictions: Counter = field(default_factory=Counter)
    size: Gauge = field(default_factory=Gauge)

    @classmethod
    def of_layer_sessions(cls, registry: Registry) -> "CacheMetrics":
        """The cache of sessions for single layers."""
        return cls(
            registry.counter(
                "fovea_layer_session_hits", "Layer queries answered by a session in the cache"
            ),
            registry.counter(
                "fovea_layer_session_misses", "Layer queries that had to build a session"
            ),
            registry.counter(
                "fovea_layer_session_evictions", "Layer sessions dropped to make room for others"
            ),
            registry.gauge("fovea_layer_sessions", "Layer sessions in the cache"),
        )


@dataclass(frozen=True, slots=True)
class InputStoreMetrics:
    """What the input store counts; without a registry it counts for itself."""

    hits: Counter = field(default_factory=Counter)
    misses: Counter = field(default_factory=Counter)
    writes: Counter = field(default_factory=Counter)
    evictions: Counter = field(default_factory=Counter)

    @classmethod
    def declare(cls, registry: Registry) -> "InputStoreMetrics":
        """The instruments of the input store."""
        return cls(
            registry.counter("fovea_input_store_hits", "Lookups of inputs that were stored"),
            registry.counter("fovea_input_store_misses", "Lookups of inputs that were not stored"),
            registry.counter("fovea_input_store_writes", "Inputs written"),
            registry.counter(
                "fovea_input_store_evictions",
                "Inputs deleted because of their age or lack of space",
            ),
        )


class ModelMetrics:
    """What is counted of each model version; `statistics` says what counts as what."""

    def __init__(self, registry: Registry) -> None:
        self.successes = registry.counters(
            "fovea_inference_request_success", "Inference requests answered", MODEL_LABELS
        )
        self.failures = registry.counters(
            "fovea_inference_request_failure",
            "Inference requests that failed, by reason",
            (*MODEL_LABELS, "reason"),
        )
        self.failure_seconds = registry.counters(
            "failure_seconds", "Time of requests that failed", MODEL_LABELS, exposed=False
        )
        self.inferences = registry.counters(
            "fovea_inference_count", "Inputs that went through the network", MODEL_LABELS
        )
        self.executions = registry.counters(
            "fovea_inference_exec_count", "Runs of the network", MODEL_LABELS
        )
        self.stage_seconds = registry.histograms(
            "fovea_stage_seconds",
            f"Time of a prediction in each stage: {', '.join(STAGES)}",
            ("stage", *MODEL_LABELS),
            STAGE_BOUNDS,
        )
        self.last_inference = registry.gauges(
            "last_inference_timestamp_seconds",
            "When the network ran last",
            MODEL_LABELS,
            aggregation="max",
            exposed=False,
        )
        self.batches = registry.runs(
            "batch_runs",
            "Runs of the network and their time, by batch size",
            (*MODEL_LABELS, "size"),
        )
        self._declare_layer_runs(registry)

    def _declare_layer_runs(self, registry: Registry) -> None:
        self.layer_runs = registry.counters(
            "fovea_layer_runs", "Runs for the activations of a layer", MODEL_LABELS
        )
        self.layer_run_seconds = registry.counters(
            "fovea_layer_run_seconds", "Time of runs for the activations of a layer", MODEL_LABELS
        )


class Metrics:
    """The instruments of one app, over memory that it shares with the other workers."""

    def __init__(self, shared: SharedCounters | None = None) -> None:
        shared = shared or SharedCounters()
        registry = self._registry = Registry(shared)
        self.parent = os.getppid() if shared.shared else None
        """The process that watches over the workers, if there is one."""
        self._requests = registry.counters(
            "fovea_requests", "Requests answered", ("method", "route", "status")
        )
        self._request_seconds = registry.histograms(
            "fovea_request_seconds",
            "Time from the head of a request to the end of its response",
            ("method", "route"),
            REQUEST_BOUNDS,
        )
        self._request_series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests_in_flight = registry.gauge(
            "fovea_requests_in_flight", "Requests being answered"
        )
        self.models = ModelMetrics(registry)
        self.queue_length = registry.gauge(
            "fovea_queue_length", "Work items that are running or waiting"
        )
        self.other_queue_seconds = registry.histogram(
            "fovea_other_queue_seconds",
            "Queue time of work other than predictions, such as layers, kernels and samples",
            STAGE_BOUNDS,
        )
        self.sessions_built = registry.counter(
            "fovea_sessions_built", "ONNX Runtime sessions built, for models and for layers"
        )
        self.layer_sessions = CacheMetrics.of_layer_sessions(registry)
        self.input_store = InputStoreMetrics.declare(registry)
        self._declare_workers(registry)

    def _declare_workers(self, registry: Registry) -> None:
        self._workers = registry.gauge("fovea_workers", "Worker processes that serve")
        self._worker_starts = registry.counter(
            "fovea_worker_starts", "Worker processes started, replacements included"
        )
        self._pids = registry.gauges("pid", "Process id of each worker", (), exposed=False)

    def worker_started(self) -> None:
        """Count this process as a worker that serves."""
        self._workers.set(1)
        self._worker_starts.inc()
        self._pids.labels().set(os.getpid())

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; on the thread of the event loop only."""
        key = method, route, status
        counter, latency = self._request_series.get(key) or self._new_request_series(key)
        counter.inc()
        latency.observe(seconds)

    @property
    def pids(self) -> list[int]:
        """The processes that serve, this one first."""
        return [int(pid) for pid in self._pids.read_each() if pid]

    def read(self) -> Reading:
        """The values of all workers at this moment."""
        return self._registry.read()

    def collect(self, reading: Reading) -> Iterator[Metric]:
        """The instruments as Prometheus reads them."""
        return self._registry.collect(reading)

    def _new_request_series(self, key: tuple[str, str, int]) -> tuple[Counter, Histogram]:
        method, route, status = key
        series = (
            self._requests.labels(method, route, str(status)),
            self._request_seconds.labels(method, route),
        )
        self._request_series[key] = series
        return series
