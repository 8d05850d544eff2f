"""What each model version did: counts and times with the meanings of Triton's statistics, over all
workers.

An execution is one run of the network, of one request or of several. Each of its requests is
charged with its own wait and with the whole execution's times, for that is what it waited for;
`batch_stats` counts each execution once. Runs for the activations of a layer are counted apart.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from service.telemetry.shared_counters import Labels, Numbers, SharedCounters

Stage = Literal["queue", "decode", "run", "encode"]
Reason = Literal["REJECTED", "CANCELED", "BACKEND", "OTHER"]
"""Why a request failed: refused before it ran or run out of time, given up by the caller, failed in
the run, other.
"""

STAGES: tuple[Stage, ...] = ("queue", "decode", "run", "encode")
BOUNDS = (
    1e-5,
    2.5e-5,
    5e-5,
    1e-4,
    2.5e-4,
    5e-4,
    1e-3,
    2.5e-3,
    5e-3,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
)
"""Of the histograms of the stages, in seconds; what takes longer than the last is counted behind
it.
"""

SIZES = 256
"""Different batch sizes of a model that are told apart; callers may choose any."""

# The numbers of a model version: requests, inferences, executions, the seconds of each stage, the
# stages' buckets.
_REQUESTS, _INFERENCES, _EXECUTIONS, _QUEUE, _DECODE, _RUN, _ENCODE, _BUCKETS = range(8)
_WIDTH = len(BOUNDS) + 1


@dataclass(frozen=True, slots=True)
class Duration:
    """How often, and the nanoseconds of all times together."""

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
    """Of one model version, since the service started; `last_inference` in milliseconds since 1970,
    0 for never.

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
    """How many requests took how long in a stage: up to each of the BOUNDS, and in all."""


class Statistics:
    """Of all models of this process, kept in its ledger and told of all processes. Safe to use from
    any thread.
    """

    def __init__(self, ledger: SharedCounters | None = None) -> None:
        self._ledger = ledger or SharedCounters()
        self._lock = threading.Lock()
        self._models: dict[tuple[str, str], _Record] = {}
        self._waits = self._ledger.block("sum", "waits", (), 1 + _WIDTH)

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
        record = self._models.get(key) or self._model(key)
        with self._lock:
            numbers, count, queued = record.numbers, len(waits), 0.0
            for wait in waits:
                queued += wait
                numbers[_BUCKETS + bisect_left(BOUNDS, wait)] += 1.0
            numbers[_REQUESTS] += count
            numbers[_INFERENCES] += size
            numbers[_EXECUTIONS] += 1.0
            numbers[_QUEUE] += queued
            numbers[_DECODE] += count * decode
            numbers[_RUN] += count * run
            numbers[_ENCODE] += count * encode
            numbers[_BUCKETS + _WIDTH + bisect_left(BOUNDS, decode)] += count
            numbers[_BUCKETS + 2 * _WIDTH + bisect_left(BOUNDS, run)] += count
            numbers[_BUCKETS + 3 * _WIDTH + bisect_left(BOUNDS, encode)] += count
            record.latest[0] = time.time()
            batch = record.batches.get(size) or record.batch(size)
            batch[0] += 1.0
            batch[1] += decode
            batch[2] += run
            batch[3] += encode

    def failed(self, name: str, version: str, reason: Reason, seconds: float) -> None:
        """Count a request that this model did not answer, and how long that took."""
        numbers = self._ledger.block("sum", "failure", (name, version, reason), 2)
        with self._lock:
            numbers[0] += 1.0
            numbers[1] += seconds

    def layer_run(self, name: str, version: str, seconds: float) -> None:
        """Count a run for the activations of a layer, and how long it took."""
        numbers = self._ledger.block("sum", "layer", (name, version), 2)
        with self._lock:
            numbers[0] += 1.0
            numbers[1] += seconds

    def waited(self, seconds: float) -> None:
        """Count the wait in the queue of work that is no prediction."""
        with self._lock:
            self._waits[0] += seconds
            self._waits[1 + bisect_left(BOUNDS, seconds)] += 1.0

    def of(self, name: str, version: str) -> ModelStatistics:
        """What this model version did so far, in all processes; zeros for one that was never asked."""
        return _Book(self._ledger).model(name, version)

    def all(self) -> Iterator[ModelStatistics]:
        """What each model version did that was asked ever."""
        book = _Book(self._ledger)
        return (book.model(*key) for key in book.models())

    def _model(self, key: tuple[str, str]) -> "_Record":
        with self._lock:
            return self._models.setdefault(key, _Record(self._ledger, key))


class _Record:
    """Where the numbers of a model version are in this process's ledger."""

    def __init__(self, ledger: SharedCounters, key: Labels) -> None:
        self._ledger = ledger
        self._key = key
        self.numbers = ledger.block("sum", "model", key, _BUCKETS + len(STAGES) * _WIDTH)
        self.latest = ledger.block("latest", "latest", key, 1)
        self.batches: dict[int, Numbers] = {}

    def batch(self, size: int) -> Numbers:
        """The numbers of a batch size that is new here; those of none where there are too many."""
        if len(self.batches) >= SIZES:
            return [0.0] * 4
        found = self.batches[size] = self._ledger.block("sum", "batch", (*self._key, str(size)), 4)
        return found


class _Book:
    """What all processes counted, read at one moment."""

    def __init__(self, ledger: SharedCounters) -> None:
        self._by_name: dict[str, dict[Labels, tuple[float, ...]]] = {}
        for key, values in ledger.read().items():
            self._by_name.setdefault(key.name, {})[key.labels] = values

    def models(self) -> list[tuple[str, str]]:
        """Names and versions, in order."""
        found = {
            labels[:2]
            for name in ("model", "failure", "layer")
            for labels in self._by_name.get(name, ())
        }
        return sorted((name, version) for name, version in found)

    def model(self, name: str, version: str) -> ModelStatistics:
        key = name, version
        numbers = self._one("model", key, _BUCKETS + len(STAGES) * _WIDTH)
        requests = round(numbers[_REQUESTS])
        times = [numbers[place] for place in (_QUEUE, _DECODE, _RUN, _ENCODE)]
        queue, decode, run, encode = (_duration(requests, seconds) for seconds in times)
        failures = self._under("failure", key)
        return ModelStatistics(
            name,
            version,
            round(numbers[_INFERENCES]),
            round(numbers[_EXECUTIONS]),
            int(self._one("latest", key, 1)[0] * 1000),
            _duration(requests, sum(times)),
            _duration(
                sum(each[0] for each in failures.values()),
                sum(each[1] for each in failures.values()),
            ),
            queue,
            decode,
            run,
            encode,
            tuple(
                _batch(int(size), values)
                for size, values in sorted(self._under("batch", key).items(), key=_size)
            ),
            {_reason(reason): round(values[0]) for reason, values in sorted(failures.items())},
            _duration(*self._one("layer", key, 2)),
            {stage: _cumulated(numbers, place) for place, stage in enumerate(STAGES)},
        )

    def _one(self, name: str, key: Labels, size: int) -> tuple[float, ...]:
        return self._by_name.get(name, {}).get(key, (0.0,) * size)

    def _under(self, name: str, key: Labels) -> dict[str, tuple[float, ...]]:
        """By what follows the model and the version among the labels."""
        return {
            labels[2]: values
            for labels, values in self._by_name.get(name, {}).items()
            if labels[:2] == key
        }


def _size(item: tuple[str, tuple[float, ...]]) -> int:
    return int(item[0])


def _reason(text: str) -> Reason:
    known: dict[str, Reason] = {
        "REJECTED": "REJECTED",
        "CANCELED": "CANCELED",
        "BACKEND": "BACKEND",
    }
    return known.get(text, "OTHER")


def _cumulated(numbers: Sequence[float], stage: int) -> tuple[int, ...]:
    start = _BUCKETS + stage * _WIDTH
    return tuple(map(round, accumulate(numbers[start : start + _WIDTH])))


def _batch(size: int, values: Sequence[float]) -> BatchStatistics:
    count, *times = values
    decode, run, encode = (_duration(count, seconds) for seconds in times)
    return BatchStatistics(size, decode, run, encode)


def _duration(count: float, seconds: float) -> Duration:
    return Duration(round(count), round(seconds * 1e9))
