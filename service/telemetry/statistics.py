"""What each model version did: counts and times with the meanings of Triton's statistics, over all
workers.

An execution is one run of the network, for one request or for several. Each of its requests is
charged with its own wait and with the times of the whole execution, for that is what it waited for;
`batch_stats` counts each execution once. Runs for the activations of a layer are counted apart.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from service.telemetry.instruments import Counter, Reading
from service.telemetry.metric_families import Distribution
from service.telemetry.metrics import (
    STAGE_BOUNDS,
    STAGES,
    Metrics,
    ModelMetrics,
    Reason,
    Stage,
)

MAX_BATCH_SIZES = 256
"""Different batch sizes of a model that are told apart; callers may choose any."""
_NOTHING = Distribution(0.0, (0.0,) * (len(STAGE_BOUNDS) + 1))

ModelKey = tuple[str, str]
"""Name and version."""


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something was done, and the nanoseconds that all of it took."""

    count: int
    ns: int


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """The executions of one batch size."""

    batch_size: int
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What one model version did since the service started; `last_inference` in milliseconds since
    1970, 0 for never.

    `success` lasts from the request's arrival in the queue until its output is there, and so is the
    sum of `queue` and the three parts of the computation. `inference_count` over `execution_count`
    is the mean batch size.
    """

    name: str
    version: str
    inference_count: int
    execution_count: int
    last_inference: int
    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    batch_stats: tuple[BatchStatistics, ...]
    failures: Mapping[Reason, int]
    layer_runs: Duration
    stages: Mapping[Stage, Sequence[int]]
    """How many requests took how long in a stage: up to each of the STAGE_BOUNDS, and in all."""


class Statistics:
    """Counts what the models of this process do, and tells what those of all workers did. Safe to
    use from any thread.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._lock = threading.Lock()
        self._records: dict[ModelKey, _ModelRecord] = {}

    def record(
        self,
        name: str,
        version: str,
        size: int,
        waits: Sequence[float],
        decode: float,
        run: float,
        encode: float,
    ) -> None:
        """Count one execution that succeeded: `size` inferences of as many requests as there are
        `waits`.

        All times in seconds: of each request in the queue; of the execution, to make its input
        ready, in the network, and to make of its output what the requests asked for.
        """
        key = name, version
        record = self._records.get(key) or self._record_of(key)
        count = len(waits)
        with self._lock:
            record.queue.observe_each(waits)
            record.decode.observe_times(decode, count)
            record.run.observe_times(run, count)
            record.encode.observe_times(encode, count)
            record.successes.inc(count)
            record.inferences.inc(size)
            record.executions.inc()
            record.last_inference.set(time.time())
            batch = record.batches.get(size) or record.batch(size)
            batch.executions.inc()
            batch.decode.inc(decode)
            batch.run.inc(run)
            batch.encode.inc(encode)

    def failed(self, name: str, version: str, reason: Reason, seconds: float) -> None:
        """Count a request that this model did not answer, and how long that took."""
        record = self._record_of((name, version))
        failures = self._metrics.models.failures.labels(name, version, reason)
        with self._lock:
            failures.inc()
            record.failure_seconds.inc(seconds)

    def layer_run(self, name: str, version: str, seconds: float) -> None:
        """Count a run for the activations of a layer, and how long it took."""
        record = self._record_of((name, version))
        with self._lock:
            record.layer_runs.inc()
            record.layer_run_seconds.inc(seconds)

    def waited(self, seconds: float) -> None:
        """Count the wait in the queue of work that is no prediction."""
        with self._lock:
            self._metrics.other_queue_seconds.observe(seconds)

    def of(self, name: str, version: str) -> ModelStatistics:
        """What this model version did so far, in all workers; zeros if it was never asked."""
        return self._totals().model((name, version))

    def all(self) -> Iterator[ModelStatistics]:
        """What each model version did that was asked ever."""
        totals = self._totals()
        return map(totals.model, totals.keys())

    def _totals(self) -> "_Totals":
        return _Totals(self._metrics.models, self._metrics.read())

    def _record_of(self, key: ModelKey) -> "_ModelRecord":
        record = self._records.get(key)
        if record is None:
            with self._lock:
                record = self._records.setdefault(key, _ModelRecord(self._metrics.models, key))
        return record


class _ModelRecord:
    """The instruments of one model version in this process."""

    def __init__(self, metrics: ModelMetrics, key: ModelKey) -> None:
        self._metrics = metrics
        self._key = key
        self.successes = metrics.successes.labels(*key)
        self.failure_seconds = metrics.failure_seconds.labels(*key)
        self.inferences = metrics.inferences.labels(*key)
        self.executions = metrics.executions.labels(*key)
        self.last_inference = metrics.last_inference.labels(*key)
        self.queue, self.decode, self.run, self.encode = (
            metrics.stage_seconds.labels(stage, *key) for stage in STAGES
        )
        self.layer_runs = metrics.layer_runs.labels(*key)
        self.layer_run_seconds = metrics.layer_run_seconds.labels(*key)
        self.batches: dict[int, _BatchRecord] = {}

    def batch(self, size: int) -> "_BatchRecord":
        """The counters of a batch size that is new here; where there are too many, some that nobody
        reads.
        """
        if len(self.batches) >= MAX_BATCH_SIZES:
            return _BatchRecord()
        labels = *self._key, str(size)
        seconds = self._metrics.batch_seconds
        record = _BatchRecord(
            self._metrics.batch_executions.labels(*labels),
            seconds.labels(*labels, "decode"),
            seconds.labels(*labels, "run"),
            seconds.labels(*labels, "encode"),
        )
        self.batches[size] = record
        return record


@dataclass(frozen=True, slots=True)
class _BatchRecord:
    """The counters of one batch size."""

    executions: Counter = field(default_factory=Counter)
    decode: Counter = field(default_factory=Counter)
    run: Counter = field(default_factory=Counter)
    encode: Counter = field(default_factory=Counter)


class _Totals:
    """What all workers counted, read at one moment."""

    def __init__(self, metrics: ModelMetrics, reading: Reading) -> None:
        self._successes = metrics.successes.read(reading)
        self._failures = metrics.failures.read(reading)
        self._failure_seconds = metrics.failure_seconds.read(reading)
        self._inferences = metrics.inferences.read(reading)
        self._executions = metrics.executions.read(reading)
        self._last_inference = metrics.last_inference.read(reading)
        self._stages = metrics.stage_seconds.read(reading)
        self._batch_executions = metrics.batch_executions.read(reading)
        self._batch_seconds = metrics.batch_seconds.read(reading)
        self._layer_runs = metrics.layer_runs.read(reading)
        self._layer_run_seconds = metrics.layer_run_seconds.read(reading)

    def keys(self) -> list[ModelKey]:
        """Names and versions, in order."""
        return [(name, version) for name, version in self._successes]

    def model(self, key: ModelKey) -> ModelStatistics:
        """The statistics of one model version."""
        requests = self._successes.get(key, 0)
        failures = self._failures_of(key)
        stages = {stage: self._stages.get((stage, *key), _NOTHING) for stage in STAGES}
        durations = {stage: _duration(requests, stages[stage].total) for stage in STAGES}
        return ModelStatistics(
            *key,
            inference_count=round(self._inferences.get(key, 0)),
            execution_count=round(self._executions.get(key, 0)),
            last_inference=int(self._last_inference.get(key, 0) * 1000),
            success=_duration(requests, sum(stage.total for stage in stages.values())),
            fail=_duration(sum(failures.values()), self._failure_seconds.get(key, 0)),
            queue=durations["queue"],
            compute_input=durations["decode"],
            compute_infer=durations["run"],
            compute_output=durations["encode"],
            batch_stats=self._batches_of(key),
            failures=failures,
            layer_runs=_duration(self._layer_runs.get(key, 0), self._layer_run_seconds.get(key, 0)),
            stages={stage: tuple(map(round, stages[stage].cumulative)) for stage in STAGES},
        )

    def _failures_of(self, key: ModelKey) -> dict[Reason, int]:
        return {
            _reason(reason): round(count)
            for (*model, reason), count in self._failures.items()
            if tuple(model) == key
        }

    def _batches_of(self, key: ModelKey) -> tuple[BatchStatistics, ...]:
        sizes = [int(size) for *model, size in self._batch_executions if tuple(model) == key]
        return tuple(self._batch(key, size) for size in sorted(sizes))

    def _batch(self, key: ModelKey, size: int) -> BatchStatistics:
        labels = *key, str(size)
        executions = self._batch_executions[labels]
        decode, run, encode = (
            _duration(executions, self._batch_seconds.get((*labels, stage), 0))
            for stage in ("decode", "run", "encode")
        )
        return BatchStatistics(size, decode, run, encode)


def _reason(text: str) -> Reason:
    known: dict[str, Reason] = {
        "REJECTED": "REJECTED",
        "CANCELED": "CANCELED",
        "BACKEND": "BACKEND",
    }
    return known.get(text, "OTHER")


def _duration(count: float, seconds: float) -> Duration:
    return Duration(round(count), round(seconds * 1e9))
