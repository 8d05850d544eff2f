"""What each model version did: counts and times with the meanings of Triton's statistics, over all
workers.

An execution is one run of the network, for one request or for several. Each of its requests is
charged with its own wait and with the times of the whole execution, for that is what it waited for;
`batch_stats` counts each execution once. Runs for the activations of a layer are counted apart.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.telemetry.instruments import RunCounter
from service.telemetry.metrics import (
    STAGES,
    Metrics,
    ModelMetrics,
    Reason,
    Stage,
)
from service.telemetry.registry import Reading

MAX_BATCH_SIZES = 256
"""Different batch sizes of a model that are told apart; callers may choose any."""

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
            batch.add(decode, run, encode)

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
        self.batches: dict[int, RunCounter] = {}

    def batch(self, size: int) -> RunCounter:
        """The counter of a batch size that is new here; where there are too many, one that nobody
        reads.
        """
        if len(self.batches) >= MAX_BATCH_SIZES:
            return RunCounter()
        counter = self.batches[size] = self._metrics.batches.labels(*self._key, str(size))
        return counter


class _Totals:
    """What all workers counted, read at one moment."""

    def __init__(self, metrics: ModelMetrics, reading: Reading) -> None:
        self._metrics = metrics
        self._reading = reading

    def keys(self) -> list[ModelKey]:
        """Names and versions, in order."""
        known = self._metrics.successes.known(self._reading)
        return [(name, version) for name, version in sorted(known)]

    def model(self, key: ModelKey) -> ModelStatistics:
        """The statistics of one model version."""
        metrics, reading = self._metrics, self._reading
        requests = metrics.successes.read(reading, *key)
        failures = self._failures(key)
        stages = {stage: metrics.stage_seconds.read(reading, stage, *key) for stage in STAGES}
        durations = {stage: _duration(requests, stages[stage].total) for stage in STAGES}
        return ModelStatistics(
            *key,
            inference_count=round(metrics.inferences.read(reading, *key)),
            execution_count=round(metrics.executions.read(reading, *key)),
            last_inference=int(metrics.last_inference.read(reading, *key) * 1000),
            success=_duration(requests, sum(stage.total for stage in stages.values())),
            fail=_duration(sum(failures.values()), metrics.failure_seconds.read(reading, *key)),
            queue=durations["queue"],
            compute_input=durations["decode"],
            compute_infer=durations["run"],
            compute_output=durations["encode"],
            batch_stats=self._batches(key),
            failures=failures,
            layer_runs=_duration(
                metrics.layer_runs.read(reading, *key),
                metrics.layer_run_seconds.read(reading, *key),
            ),
            stages={stage: tuple(map(round, stages[stage].cumulative)) for stage in STAGES},
        )

    def _failures(self, key: ModelKey) -> dict[Reason, int]:
        failures = self._metrics.failures
        reasons = [reason for *model, reason in failures.known(self._reading) if (*model,) == key]
        return {
            _reason(reason): round(failures.read(self._reading, *key, reason))
            for reason in sorted(reasons)
        }

    def _batches(self, key: ModelKey) -> tuple[BatchStatistics, ...]:
        known = self._metrics.batches.known(self._reading)
        sizes = sorted(int(size) for *model, size in known if (*model,) == key)
        return tuple(self._batch(key, size) for size in sizes)

    def _batch(self, key: ModelKey, size: int) -> BatchStatistics:
        totals = self._metrics.batches.read(self._reading, *key, str(size))
        return BatchStatistics(
            size,
            _duration(totals.runs, totals.decode),
            _duration(totals.runs, totals.run),
            _duration(totals.runs, totals.encode),
        )


def _reason(text: str) -> Reason:
    known: dict[str, Reason] = {
        "REJECTED": "REJECTED",
        "CANCELED": "CANCELED",
        "BACKEND": "BACKEND",
    }
    return known.get(text, "OTHER")


def _duration(count: float, seconds: float) -> Duration:
    return Duration(round(count), round(seconds * 1e9))
