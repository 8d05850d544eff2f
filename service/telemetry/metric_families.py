"""Families of samples as prometheus_client writes them: pure functions of rows of labels and
values.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from service.telemetry.shared_counters import Labels


@dataclass(frozen=True, slots=True)
class Description:
    """The name of a metric, its help text, and the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a histogram observed: the sum of all values, and how many are at most each bound; the
    last count is that of all.
    """

    total: float
    cumulative: Sequence[float]


def counter_family(description: Description, rows: Mapping[Labels, float]) -> Metric:
    """A family of counters; Prometheus adds `_total` to its name."""
    family = CounterMetricFamily(description.name, description.help, labels=description.labels)
    for labels, value in rows.items():
        family.add_metric(labels, value)
    return family


def gauge_family(description: Description, rows: Mapping[Labels, float]) -> Metric:
    """A family of gauges."""
    family = GaugeMetricFamily(description.name, description.help, labels=description.labels)
    for labels, value in rows.items():
        family.add_metric(labels, value)
    return family


def histogram_family(
    description: Description, bounds: Iterable[float], rows: Mapping[Labels, Distribution]
) -> Metric:
    """A family of histograms whose buckets end at `bounds`."""
    family = HistogramMetricFamily(description.name, description.help, labels=description.labels)
    ends = [*map(floatToGoString, bounds), "+Inf"]
    for labels, distribution in rows.items():
        buckets = list(zip(ends, distribution.cumulative, strict=True))
        family.add_metric(labels, buckets, distribution.total)
    return family
