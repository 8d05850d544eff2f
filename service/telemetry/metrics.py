"""What Prometheus reads: requests, their latency, work in flight, models, caches, the store, and
the processes.

Counting is a few additions to the numbers of a ledger, for it happens on every request;
Prometheus's families are made of them when they are asked for, of all workers together. One
`Metrics` per app, so that nothing is registered at import. Requests are counted on the event loop's
thread only.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from service.telemetry import process_metrics, prometheus
from service.telemetry.prometheus import OF_MODEL, Read, counter, gauge
from service.telemetry.shared_counters import Key, Kind, Numbers, SharedCounters
from service.telemetry.statistics import Statistics

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS = (
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)

PID = Key("now", "pid", ())

_SUMS = (
    ("sessions", 0, "fovea_sessions_built", "ONNX Runtime sessions built"),
    (
        "layer sessions",
        0,
        "fovea_layer_session_hits",
        "Questions to layers whose session was there",
    ),
    (
        "layer sessions",
        1,
        "fovea_layer_session_misses",
        "Questions to layers whose session had to be built",
    ),
    ("layer sessions", 2, "fovea_layer_session_evictions", "Sessions of layers dropped for others"),
    ("inputs", 0, "fovea_input_store_hits", "Inputs asked for that were there"),
    ("inputs", 1, "fovea_input_store_misses", "Inputs asked for that were not there"),
    ("inputs", 2, "fovea_input_store_writes", "Inputs written"),
    (
        "inputs",
        3,
        "fovea_input_store_evictions",
        "Inputs deleted, for their age or for want of room",
    ),
    ("workers", 0, "fovea_worker_starts", "Processes that began to serve"),
)
"""Counters without labels: the name of their block and their place in it, their own name, what they
are.
"""

_NOW = (
    ("in flight", "fovea_requests_in_flight", "Requests being answered"),
    ("queue", "fovea_queue_length", "Work that is running or waiting"),
    ("layer sessions now", "fovea_layer_sessions", "Sessions of layers that are kept"),
)


@dataclass(frozen=True)
class Snapshot:
    """What is not counted but looked at: the same for all workers, or of the machine."""

    provider: str = ""
    runtime: str = ""
    served: Sequence[tuple[str, str, str]] = ()
    """Of each model version its name, the version and the provider."""
    refused: int = 0
    stored: tuple[int, int] = (0, 0)
    """Files and bytes of inputs that are kept."""
    room: int = 0
    """Bytes of inputs that may be kept."""


class Metrics:
    """The metrics of one app, counted in this ledger."""

    def __init__(self, ledger: SharedCounters | None = None) -> None:
        self._ledger = ledger or SharedCounters()
        self._statistics = Statistics(self._ledger)
        self._parent = os.getppid() if self._ledger.shared else None
        self._requests: dict[tuple[str, str, int], tuple[Numbers, Numbers]] = {}
        self._in_flight = self._ledger.block("now", "in flight", (), 1)
        self._ledger.block("now", PID.name, PID.labels, 1)[0] = os.getpid()
        self._ledger.block("sum", "workers", (), 1)[0] += 1.0

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        key = method, route, status
        counts, latency = self._requests.get(key) or self._new(key)
        counts[0] += 1.0
        latency[0] += seconds
        latency[1 + bisect_left(BUCKETS, seconds)] += 1.0

    def in_flight(self, count: int) -> None:
        """Say how many requests are being answered."""
        self._in_flight[0] = count

    def text(self, seen: Snapshot) -> bytes:
        """All of it in Prometheus' text format, of all workers at this moment."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_StaticCollector(self._families(seen)))
        return generate_latest(registry)

    def _new(self, key: tuple[str, str, int]) -> tuple[Numbers, Numbers]:
        method, route, status = key
        counts = self._ledger.block("sum", "requests", (method, route, str(status)), 1)
        latency = self._ledger.block("sum", "latency", (method, route), len(BUCKETS) + 2)
        self._requests[key] = counts, latency
        return counts, latency

    def _families(self, seen: Snapshot) -> Iterator[Metric]:
        read = self._ledger.read()
        pids = [int(pid) for (pid,) in self._ledger.each(PID) if pid]
        yield from prometheus.requests(read, BUCKETS)
        yield from prometheus.models(list(self._statistics.all()))
        yield from prometheus.waits(read)
        for block, place, name, text in _SUMS:
            yield counter(name, text, (), [((), _number(read, "sum", block, place))])
        for block, name, text in _NOW:
            yield gauge(name, text, (), [((), _number(read, "now", block, 0))])
        yield gauge("fovea_workers", "Processes that serve", (), [((), len(pids))])
        yield from _seen(seen)
        yield from process_metrics.families(pids, self._parent)


class _StaticCollector(Collector):
    """Families that were made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _number(read: Read, kind: Kind, block: str, place: int) -> float:
    values = read.get(Key(kind, block, ()), ())
    return values[place] if place < len(values) else 0.0


def _seen(seen: Snapshot) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "fovea_engine",
        "What runs the networks",
        {"provider": seen.provider, "onnxruntime": seen.runtime},
    )
    states = [(("served",), len(seen.served)), (("refused",), seen.refused)]
    yield gauge("fovea_models", "Model versions, by state", ("state",), states)
    rows = ((labels, 1.0) for labels in seen.served)
    yield gauge("fovea_model_info", "Model versions that answer", (*OF_MODEL, "provider"), rows)
    files, size = seen.stored
    yield gauge("fovea_input_store_files", "Inputs that are kept", (), [((), files)])
    yield gauge("fovea_input_store_bytes", "Bytes of the inputs that are kept", (), [((), size)])
    yield gauge(
        "fovea_input_store_limit_bytes", "Bytes of inputs that may be kept", (), [((), seen.room)]
    )
