"""Declares instruments by name, help text and labels, and reads the values of all workers."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import Metric

from service.telemetry.instruments import Counter, Gauge, Histogram, RunCounter, RunTotals
from service.telemetry.metric_families import (
    Description,
    Distribution,
    counter_family,
    gauge_family,
    histogram_family,
)
from service.telemetry.shared_counters import Aggregation, Key, Labels, SharedCounters, Values

Reading = Mapping[str, Mapping[Labels, tuple[float, ...]]]
"""The values of all workers at one moment, by metric and labels."""

Series = TypeVar("Series", Counter, Gauge, Histogram, RunCounter)


class Family(Generic[Series]):
    """The series of one metric, one for each combination of the values of its labels."""

    def __init__(
        self,
        shared: SharedCounters,
        description: Description,
        make: Callable[[Values], Series],
        size: int = 1,
        aggregation: Aggregation = "sum",
    ) -> None:
        self.description = description
        self._shared = shared
        self._make: Callable[[Values], Series] = make
        self._size = size
        self._aggregation = aggregation
        self._series: dict[Labels, Series] = {}

    def labels(self, *values: str) -> Series:
        """The series with these values of the labels, in the order of their declaration."""
        return self._series.get(values) or self._add(values)

    def known(self, reading: Reading) -> Collection[Labels]:
        """The labels of every series that a worker has."""
        return reading.get(self.description.name, {}).keys()

    def key(self, labels: Labels) -> Key:
        """What the series with these labels is called in shared memory."""
        return Key(self._aggregation, self.description.name, labels)

    def _add(self, labels: Labels) -> Series:
        self._check(labels)
        series = self._make(self._shared.values(self.key(labels), self._size))
        return self._series.setdefault(labels, series)

    def _check(self, labels: Labels) -> None:
        names = self.description.labels
        if len(labels) != len(names):
            raise ValueError(f"{self.description.name} has the labels {names}, got {labels}")

    def _values(self, reading: Reading, labels: Labels) -> tuple[float, ...]:
        self._check(labels)
        return reading.get(self.description.name, {}).get(labels, (0.0,) * self._size)


class CounterFamily(Family[Counter]):
    """Counters told apart by labels."""

    def read(self, reading: Reading, *labels: str) -> float:
        """The number of one counter; 0 if no worker has it."""
        (value,) = self._values(reading, labels)
        return value

    def collect(self, reading: Reading) -> Metric:
        """The family as Prometheus reads it."""
        rows = {labels: self.read(reading, *labels) for labels in sorted(self.known(reading))}
        return counter_family(self.description, rows)


class GaugeFamily(Family[Gauge]):
    """Gauges told apart by labels."""

    def read(self, reading: Reading, *labels: str) -> float:
        """The number of one gauge; 0 if no worker has it."""
        (value,) = self._values(reading, labels)
        return value

    def read_each(self, *labels: str) -> list[float]:
        """The number of one gauge in each worker that has it, this one first."""
        return [value for (value,) in self._shared.read_each(self.key(labels))]

    def collect(self, reading: Reading) -> Metric:
        """The family as Prometheus reads it."""
        rows = {labels: self.read(reading, *labels) for labels in sorted(self.known(reading))}
        return gauge_family(self.description, rows)


class HistogramFamily(Family[Histogram]):
    """Histograms with the same bounds, told apart by labels."""

    def __init__(
        self, shared: SharedCounters, description: Description, bounds: Sequence[float]
    ) -> None:
        make = partial(Histogram, bounds)
        super().__init__(shared, description, make, Histogram.size(bounds))
        self._bounds = bounds

    def read(self, reading: Reading, *labels: str) -> Distribution:
        """What one histogram observed; nothing if no worker has it."""
        total, *buckets = self._values(reading, labels)
        return Distribution(total, tuple(accumulate(buckets)))

    def collect(self, reading: Reading) -> Metric:
        """The family as Prometheus reads it."""
        rows = {labels: self.read(reading, *labels) for labels in sorted(self.known(reading))}
        return histogram_family(self.description, self._bounds, rows)


class RunFamily(Family[RunCounter]):
    """Counters of runs told apart by labels."""

    def read(self, reading: Reading, *labels: str) -> RunTotals:
        """What one of them counted; zeros if no worker has it."""
        return RunTotals(*self._values(reading, labels))


class Registry:
    """Declares the instruments of an app, each name once, over the memory that its workers share.

    What is declared with `exposed=False` is read by the service itself and is no Prometheus metric.
    """

    def __init__(self, shared: SharedCounters) -> None:
        self._shared = shared
        self._names: set[str] = set()
        self._exposed: list[CounterFamily | GaugeFamily | HistogramFamily] = []

    def counter(self, name: str, help_text: str) -> Counter:
        """One counter without labels."""
        return self.counters(name, help_text, ()).labels()

    def gauge(self, name: str, help_text: str) -> Gauge:
        """One gauge without labels, summed over the workers that live."""
        return self.gauges(name, help_text, ()).labels()

    def histogram(self, name: str, help_text: str, bounds: Sequence[float]) -> Histogram:
        """One histogram without labels."""
        return self.histograms(name, help_text, (), bounds).labels()

    def counters(
        self,
        name: str,
        help_text: str,
        labels: Labels,
        *,
        exposed: bool = True,
    ) -> CounterFamily:
        """Counters with these labels."""
        family = CounterFamily(self._shared, self._describe(name, help_text, labels), Counter)
        if exposed:
            self._exposed.append(family)
        return family

    def gauges(
        self,
        name: str,
        help_text: str,
        labels: Labels,
        *,
        aggregation: Aggregation = "livesum",
        exposed: bool = True,
    ) -> GaugeFamily:
        """Gauges with these labels."""
        description = self._describe(name, help_text, labels)
        family = GaugeFamily(self._shared, description, Gauge, aggregation=aggregation)
        if exposed:
            self._exposed.append(family)
        return family

    def histograms(
        self,
        name: str,
        help_text: str,
        labels: Labels,
        bounds: Sequence[float],
    ) -> HistogramFamily:
        """Histograms with these labels, whose buckets end at `bounds`."""
        description = self._describe(name, help_text, labels)
        family = HistogramFamily(self._shared, description, bounds)
        self._exposed.append(family)
        return family

    def runs(self, name: str, help_text: str, labels: Labels) -> RunFamily:
        """Counters of runs with these labels, which are never exposed."""
        description = self._describe(name, help_text, labels)
        return RunFamily(self._shared, description, RunCounter, len(RunTotals._fields))

    def read(self) -> Reading:
        """The values of all workers at this moment."""
        by_name: dict[str, dict[Labels, tuple[float, ...]]] = {}
        for key, values in self._shared.read().items():
            by_name.setdefault(key.name, {})[key.labels] = values
        return by_name

    def collect(self, reading: Reading) -> Iterator[Metric]:
        """What is exposed, as Prometheus reads it."""
        return (family.collect(reading) for family in self._exposed)

    def _describe(self, name: str, help_text: str, labels: Labels) -> Description:
        if name in self._names:
            raise ValueError(f"the metric {name} is declared twice")
        self._names.add(name)
        return Description(name, help_text, labels)
