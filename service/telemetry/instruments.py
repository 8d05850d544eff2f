"""Counters, gauges and histograms. A registry declares them by name and help text, and reads the
values of all workers.

An instrument takes no lock: one that several threads change is changed under a lock of its owner.
One that no registry declared, such as `Counter()`, counts for its owner alone.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import Metric

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


class Counter:
    """A number that only grows."""

    __slots__ = ("_values",)

    def __init__(self, values: Values | None = None) -> None:
        self._values = [0.0] if values is None else values

    def inc(self, amount: float = 1.0) -> None:
        """Add to the number."""
        self._values[0] += amount

    @property
    def value(self) -> float:
        """What this worker counted."""
        return self._values[0]


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("_values",)

    def __init__(self, values: Values | None = None) -> None:
        self._values = [0.0] if values is None else values

    def set(self, value: float) -> None:
        """Replace the number."""
        self._values[0] = value

    @property
    def value(self) -> float:
        """What this worker set last."""
        return self._values[0]


class Histogram:
    """Counts values by the bucket that they fall into, and adds them up."""

    __slots__ = ("_bounds", "_values")

    def __init__(self, bounds: Sequence[float], values: Values | None = None) -> None:
        self._bounds = bounds
        self._values = [0.0] * self.size(bounds) if values is None else values

    @staticmethod
    def size(bounds: Sequence[float]) -> int:
        """How many doubles it takes: the sum, a bucket that ends at each bound, and one beyond."""
        return 1 + len(bounds) + 1

    def observe(self, value: float) -> None:
        """Count a value."""
        values = self._values
        values[0] += value
        values[1 + bisect_left(self._bounds, value)] += 1.0

    def observe_times(self, value: float, times: int) -> None:
        """Count a value that occurred so many times."""
        values = self._values
        values[0] += value * times
        values[1 + bisect_left(self._bounds, value)] += times

    def observe_each(self, several: Sequence[float]) -> None:
        """Count each of these values."""
        values, bounds, total = self._values, self._bounds, 0.0
        for value in several:
            total += value
            values[1 + bisect_left(bounds, value)] += 1.0
        values[0] += total


Series = TypeVar("Series", Counter, Gauge, Histogram)


class Family(ABC, Generic[Series]):
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

    @abstractmethod
    def collect(self, reading: Reading) -> Metric:
        """The family as Prometheus reads it."""

    def labels(self, *values: str) -> Series:
        """The series with these values of the labels, in the order of their declaration."""
        return self._series.get(values) or self._add(values)

    def key(self, labels: Labels) -> Key:
        """What the series with these labels is called in shared memory."""
        return Key(self._aggregation, self.description.name, labels)

    def _add(self, labels: Labels) -> Series:
        names = self.description.labels
        if len(labels) != len(names):
            raise ValueError(f"{self.description.name} has the labels {names}, got {labels}")
        series = self._make(self._shared.values(self.key(labels), self._size))
        return self._series.setdefault(labels, series)

    def _values(self, reading: Reading) -> list[tuple[Labels, tuple[float, ...]]]:
        return sorted(reading.get(self.description.name, {}).items())


class CounterFamily(Family[Counter]):
    """Counters told apart by labels."""

    def read(self, reading: Reading) -> dict[Labels, float]:
        """The number of each counter."""
        return {labels: value for labels, (value,) in self._values(reading)}

    def collect(self, reading: Reading) -> Metric:
        return counter_family(self.description, self.read(reading))


class GaugeFamily(Family[Gauge]):
    """Gauges told apart by labels."""

    def read(self, reading: Reading) -> dict[Labels, float]:
        """The number of each gauge."""
        return {labels: value for labels, (value,) in self._values(reading)}

    def read_each(self, *labels: str) -> list[float]:
        """The number of one gauge in each worker that has it."""
        return [value for (value,) in self._shared.read_each(self.key(labels))]

    def collect(self, reading: Reading) -> Metric:
        return gauge_family(self.description, self.read(reading))


class HistogramFamily(Family[Histogram]):
    """Histograms with the same bounds, told apart by labels."""

    def __init__(
        self, shared: SharedCounters, description: Description, bounds: Sequence[float]
    ) -> None:
        super().__init__(shared, description, partial(Histogram, bounds), Histogram.size(bounds))
        self._bounds = bounds

    def read(self, reading: Reading) -> dict[Labels, Distribution]:
        """The distribution that each histogram observed."""
        return {
            labels: Distribution(total, tuple(accumulate(buckets)))
            for labels, (total, *buckets) in self._values(reading)
        }

    def collect(self, reading: Reading) -> Metric:
        return histogram_family(self.description, self._bounds, self.read(reading))


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
