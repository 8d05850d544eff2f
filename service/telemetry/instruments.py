"""Counters, gauges and histograms: the objects that the parts of the service change.

An instrument takes no lock: one that several threads change is changed under a lock of its owner.
One that no registry declared, such as `Counter()`, counts for its owner alone.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from service.telemetry.shared_counters import Values


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


class RunTotals(NamedTuple):
    """How many runs there were, and the seconds of their stages."""

    runs: float = 0.0
    decode: float = 0.0
    run: float = 0.0
    encode: float = 0.0


class RunCounter:
    """Counts runs of a network and adds up the seconds of their stages."""

    __slots__ = ("_values",)

    def __init__(self, values: Values | None = None) -> None:
        self._values = [0.0] * len(RunTotals._fields) if values is None else values

    def add(self, decode: float, run: float, encode: float) -> None:
        """Count one run; its values lie in the order of RunTotals."""
        values = self._values
        values[0] += 1.0
        values[1] += decode
        values[2] += run
        values[3] += encode
