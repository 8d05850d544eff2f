"""What Prometheus reads: requests, their latency, work in flight, the provider in use and the sessions built.

One registry per app, so that nothing is registered at import. With several worker processes, each has its own.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("fovea_requests", "Requests answered", labels, registry=self._registry)
        self._latency = Histogram(
            "fovea_request_seconds",
            "From the request's head to the answer's end",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "fovea_stage_seconds",
            "Parts of a prediction: queue, decode, run",
            ("stage",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.in_flight = Gauge("fovea_requests_in_flight", "Requests being answered", registry=self._registry)
        self.queued = Gauge("fovea_queue_length", "Work that is running or waiting", registry=self._registry)
        self.sessions = Gauge("fovea_sessions_built", "ONNX Runtime sessions built", registry=self._registry)
        self._models = Gauge("fovea_models", "Model versions, by state", ("state",), registry=self._registry)
        self._engine = Info("fovea_engine", "What runs the networks", registry=self._registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Record the time of one part of a prediction."""
        self._stages.labels(name).observe(seconds)

    def engine(self, provider: str, version: str) -> None:
        """Say what runs the networks."""
        self._engine.info({"provider": provider, "onnxruntime": version})

    def models(self, served: int, refused: int) -> None:
        """Say how many model versions are served and refused."""
        self._models.labels("served").set(served)
        self._models.labels("refused").set(refused)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
