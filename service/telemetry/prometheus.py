"""The page that Prometheus scrapes: the instruments of all workers, and what is derived from them
or looked up at the moment of the scrape.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from service.telemetry import process_metrics
from service.telemetry.metric_families import (
    Description,
    Distribution,
    counter_family,
    gauge_family,
    histogram_family,
)
from service.telemetry.metrics import MODEL_LABELS, Metrics
from service.telemetry.shared_counters import Labels
from service.telemetry.statistics import Duration, ModelStatistics, Statistics

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
NANO = 1e-9
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_BATCH_SIZE = Description("fovea_batch_size", "Inputs in one run of the network", MODEL_LABELS)
_DURATIONS: tuple[tuple[str, str, Callable[[ModelStatistics], Duration]], ...] = (
    (
        "request",
        "Time of answered inference requests, from the queue to the output",
        lambda model: model.success,
    ),
    ("queue", "Time of inference requests in the queue", lambda model: model.queue),
    (
        "compute_input",
        "Time of inference requests to make the input ready: decode, crop, resize",
        lambda model: model.compute_input,
    ),
    (
        "compute_infer",
        "Time of inference requests in the network",
        lambda model: model.compute_infer,
    ),
    (
        "compute_output",
        "Time of inference requests to turn the output into the response",
        lambda model: model.compute_output,
    ),
)


@dataclass(frozen=True)
class Snapshot:
    """What is looked up at a scrape instead of being counted: the same for all workers, or of the
    machine.
    """

    provider: str = ""
    runtime: str = ""
    served: Sequence[tuple[str, str, str]] = ()
    """The name, the version and the provider of each model version."""
    rejected: int = 0
    stored: tuple[int, int] = (0, 0)
    """How many inputs are stored, and their bytes."""
    store_limit: int = 0
    """Bytes of inputs that may be stored."""


def render(metrics: Metrics, statistics: Statistics, snapshot: Snapshot) -> bytes:
    """Everything in Prometheus' text format, of all workers at this moment."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StaticCollector(_families(metrics, statistics, snapshot)))
    return generate_latest(registry)


class _StaticCollector(Collector):
    """Families that were made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(metrics: Metrics, statistics: Statistics, snapshot: Snapshot) -> Iterator[Metric]:
    yield from metrics.collect(metrics.read())
    models = list(statistics.all())
    yield from _durations(models)
    yield _batch_sizes(models)
    yield from _engine_and_models(snapshot)
    yield from _input_store(snapshot)
    yield from process_metrics.families(metrics.pids, metrics.parent)


def _durations(models: Sequence[ModelStatistics]) -> Iterator[Metric]:
    for name, text, duration_of in _DURATIONS:
        description = Description(f"fovea_inference_{name}_duration_seconds", text, MODEL_LABELS)
        rows: dict[Labels, float] = {
            (model.name, model.version): duration_of(model).ns * NANO for model in models
        }
        yield counter_family(description, rows)


def _batch_sizes(models: Sequence[ModelStatistics]) -> Metric:
    rows: dict[Labels, Distribution] = {
        (model.name, model.version): _batch_distribution(model) for model in models
    }
    return histogram_family(_BATCH_SIZE, BATCH_BOUNDS, rows)


def _batch_distribution(model: ModelStatistics) -> Distribution:
    counts = [(batch.batch_size, batch.compute_infer.count) for batch in model.batch_stats]
    cumulative = [sum(count for size, count in counts if size <= bound) for bound in BATCH_BOUNDS]
    return Distribution(model.inference_count, [*cumulative, model.execution_count])


def _engine_and_models(snapshot: Snapshot) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "fovea_engine",
        "What runs the networks",
        {"provider": snapshot.provider, "onnxruntime": snapshot.runtime},
    )
    yield gauge_family(
        Description("fovea_models", "Model versions, by state", ("state",)),
        {("served",): len(snapshot.served), ("refused",): snapshot.rejected},
    )
    yield gauge_family(
        Description(
            "fovea_model_info", "Model versions that are served", (*MODEL_LABELS, "provider")
        ),
        dict.fromkeys(snapshot.served, 1.0),
    )


def _input_store(snapshot: Snapshot) -> Iterator[Metric]:
    files, size = snapshot.stored
    for name, text, value in (
        ("files", "Inputs that are stored", files),
        ("bytes", "Bytes of the inputs that are stored", size),
        ("limit_bytes", "Bytes of inputs that may be stored", snapshot.store_limit),
    ):
        yield gauge_family(Description(f"fovea_input_store_{name}", text), {(): value})
