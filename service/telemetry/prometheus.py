"""What was counted as families of metrics, as Prometheus has them: pure functions of a ledger's
numbers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from service.telemetry.shared_counters import Key, Labels
from service.telemetry.statistics import BOUNDS, STAGES, Duration, ModelStatistics

NANO = 1e-9
OF_MODEL = ("model", "version")
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Read = Mapping[Key, tuple[float, ...]]
Rows = Iterable[tuple[Labels, float]]


def under(read: Read, name: str) -> dict[Labels, tuple[float, ...]]:
    """The numbers of this name by their labels, in order."""
    return {key.labels: values for key, values in sorted(read.items()) if key.name == name}


def counter(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A family of counters."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in rows:
        family.add_metric(values, count)
    return family


def gauge(name: str, text: str, labels: Sequence[str], rows: Rows) -> Metric:
    """A family of gauges."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


class Histograms:
    """A family of histograms whose buckets end at `bounds`."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self.family: Metric = HistogramMetricFamily(name, text, labels=labels)
        self._bounds = (*map(floatToGoString, bounds), "+Inf")

    def add(self, labels: Labels, counts: Iterable[float], total: float) -> None:
        """One histogram: how many are in each bucket or in a smaller one."""
        buckets = list(zip(self._bounds, counts, strict=True))
        self.family.add_metric(labels, buckets, total)  # type: ignore[attr-defined]


def requests(read: Read, bounds: Sequence[float]) -> Iterator[Metric]:
    """Requests answered, and how long they took."""
    counts = under(read, "requests").items()
    yield counter(
        "fovea_requests",
        "Requests answered",
        ("method", "route", "status"),
        ((labels, values[0]) for labels, values in counts),
    )
    text = "From the request's head to the answer's end"
    latency = Histograms("fovea_request_seconds", text, ("method", "route"), bounds)
    for labels, (total, *buckets) in under(read, "latency").items():
        latency.add(labels, accumulate(buckets), total)
    yield latency.family


def waits(read: Read) -> Iterator[Metric]:
    """How long work waited that is no prediction."""
    text = "Wait in the queue of work that is no prediction"
    found = Histograms("fovea_other_queue_seconds", text, (), BOUNDS)
    for labels, (total, *buckets) in under(read, "waits").items():
        found.add(labels, accumulate(buckets), total)
    yield found.family


def models(found: Sequence[ModelStatistics]) -> Iterator[Metric]:
    """What each model version did."""
    yield counter(
        "fovea_inference_request_success", "Requests answered", OF_MODEL, _each(found, "success")
    )
    yield counter(
        "fovea_inference_request_failure",
        "Requests failed",
        (*OF_MODEL, "reason"),
        (
            ((each.name, each.version, reason), count)
            for each in found
            for reason, count in each.failures.items()
        ),
    )
    inferences = (((each.name, each.version), each.inference_count) for each in found)
    yield counter(
        "fovea_inference_count", "Inputs that went through the network", OF_MODEL, inferences
    )
    executions = (((each.name, each.version), each.execution_count) for each in found)
    yield counter("fovea_inference_exec_count", "Runs of the network", OF_MODEL, executions)
    for name, attribute, text in (
        ("request", "success", "From the queue to the output, of requests answered"),
        ("queue", "queue", "In the queue"),
        ("compute_input", "compute_input", "Making the input ready: decode, crop, resize"),
        ("compute_infer", "compute_infer", "In the network"),
        ("compute_output", "compute_output", "Making the answer of the output"),
    ):
        rows = _each(found, attribute, seconds=True)
        yield counter(f"fovea_inference_{name}_duration_seconds", text, OF_MODEL, rows)
    yield counter(
        "fovea_layer_runs", "Runs for a layer's activations", OF_MODEL, _each(found, "layer_runs")
    )
    rows = _each(found, "layer_runs", seconds=True)
    yield counter(
        "fovea_layer_run_seconds", "Time of runs for a layer's activations", OF_MODEL, rows
    )
    yield _stages(found)
    yield _batches(found)


def _each(
    found: Sequence[ModelStatistics], attribute: str, *, seconds: bool = False
) -> Iterator[tuple[Labels, float]]:
    for each in found:
        duration: Duration = getattr(each, attribute)
        yield (each.name, each.version), duration.ns * NANO if seconds else duration.count


def _stages(found: Sequence[ModelStatistics]) -> Metric:
    text = "Parts of a prediction: " + ", ".join(STAGES)
    stages = Histograms("fovea_stage_seconds", text, ("stage", *OF_MODEL), BOUNDS)
    for each in found:
        totals = (each.queue, each.compute_input, each.compute_infer, each.compute_output)
        for stage, total in zip(STAGES, totals, strict=True):
            stages.add((stage, each.name, each.version), each.stages[stage], total.ns * NANO)
    return stages.family


def _batches(found: Sequence[ModelStatistics]) -> Metric:
    sizes = Histograms("fovea_batch_size", "Inputs in a run of the network", OF_MODEL, BATCHES)
    for each in found:
        counts = [(batch.batch_size, batch.compute_infer.count) for batch in each.batch_stats]
        upto = [sum(count for size, count in counts if size <= bound) for bound in BATCHES]
        sizes.add((each.name, each.version), [*upto, each.execution_count], each.inference_count)
    return sizes.family
