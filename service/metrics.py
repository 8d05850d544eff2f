"""What Prometheus reads: requests, their latency, work in flight, the provider in use and the sessions built.

Counting is a few additions to plain numbers, for it happens on every request; Prometheus's families are made of them
when they are asked for. One `Metrics` per app, so that nothing is registered at import. All of it belongs to the event
loop's thread. With several worker processes, each has its own.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NAMES = (*map(str, _BUCKETS), "+Inf")

Labels = tuple[str, ...]


class _Histogram:
    """Counts by bucket, for each combination of labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one duration."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * len(_NAMES)
            self._sums[labels] = 0.0
        counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sums[labels] += seconds

    def family(self) -> Metric:
        """All of it, as Prometheus has it: a bucket holds what the smaller ones hold too."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, counts in self._counts.items():
            buckets = list(zip(_NAMES, accumulate(counts), strict=True))
            family.add_metric(labels, [(name, float(count)) for name, count in buckets], self._sums[labels])
        return family


class Metrics(Collector):
    """The metrics of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests: dict[Labels, int] = {}
        self._latency = _Histogram(
            "fovea_request_seconds", "From the request's head to the answer's end", ("method", "route")
        )
        self._stages = _Histogram("fovea_stage_seconds", "Parts of a prediction: queue, decode, run", ("stage",))
        self.in_flight = Gauge("fovea_requests_in_flight", "Requests being answered", registry=self._registry)
        self.queued = Gauge("fovea_queue_length", "Work that is running or waiting", registry=self._registry)
        self.sessions = Gauge("fovea_sessions_built", "ONNX Runtime sessions built", registry=self._registry)
        self._models = Gauge("fovea_models", "Model versions, by state", ("state",), registry=self._registry)
        self._engine = Info("fovea_engine", "What runs the networks", registry=self._registry)
        self._registry.register(self)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        labels = (method, route, str(status))
        self._requests[labels] = self._requests.get(labels, 0) + 1
        self._latency.observe((method, route), seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Record the time of one part of a prediction."""
        self._stages.observe((name,), seconds)

    def engine(self, provider: str, version: str) -> None:
        """Say what runs the networks."""
        self._engine.info({"provider": provider, "onnxruntime": version})

    def models(self, served: int, refused: int) -> None:
        """Say how many model versions are served and refused."""
        self._models.labels("served").set(served)
        self._models.labels("refused").set(refused)

    def collect(self) -> Iterator[Metric]:
        """The families that are counted here."""
        requests = CounterMetricFamily("fovea_requests", "Requests answered", labels=("method", "route", "status"))
        for labels, count in self._requests.items():
            requests.add_metric(labels, count)
        yield requests
        yield self._latency.family()
        yield self._stages.family()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
