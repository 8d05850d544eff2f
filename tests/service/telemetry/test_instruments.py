"""Counters, gauges and histograms, declared by name and read over all workers."""

from pathlib import Path

import pytest
from prometheus_client.core import Metric

from service.telemetry.instruments import Counter, Gauge, Histogram
from service.telemetry.metric_families import Distribution
from service.telemetry.metrics import Metrics
from service.telemetry.registry import Registry
from service.telemetry.shared_counters import SharedCounters


def samples(families: list[Metric]) -> dict[str, float]:
    """Each sample by its name, label values and all."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_an_instrument_that_no_registry_declared_counts_for_its_owner_alone() -> None:
    counter, gauge = Counter(), Gauge()
    counter.inc()
    counter.inc(2.5)
    gauge.set(7)
    gauge.set(4)
    Histogram((1.0, 2.0)).observe(3.0)
    assert (counter.value, gauge.value) == (3.5, 4)


def test_a_histogram_counts_each_value_at_its_bound_and_below() -> None:
    registry = Registry(SharedCounters())
    seconds = registry.histograms("seconds", "Time", ("route",), (1.0, 2.0))
    one = seconds.labels("one")
    for value in (0.5, 1.0, 2.5):
        one.observe(value)
    one.observe_times(1.5, 3)
    one.observe_each([0.25, 0.75])
    assert seconds.read(registry.read(), "one") == Distribution(9.5, (4, 7, 8))
    assert seconds.read(registry.read(), "none") == Distribution(0, (0, 0, 0))


def test_what_is_declared_is_exposed_with_its_help_and_zeros_before_anything_happens() -> None:
    registry = Registry(SharedCounters())
    registry.counter("done", "Things that were done")
    registry.gauge("open", "Things that are open")
    registry.histogram("seconds", "Time", (1.0,))
    registry.counters("by_route", "Things by route", ("route",))
    registry.gauges("pid", "Read by the service itself", (), exposed=False)
    families = list(registry.collect(registry.read()))
    assert {family.name: family.documentation for family in families} == {
        "done": "Things that were done",
        "open": "Things that are open",
        "seconds": "Time",
        "by_route": "Things by route",
    }
    assert {name: value for name, value in samples(families).items() if "seconds" not in name} == {
        "done_total": 0,
        "open": 0,
    }


def test_the_workers_of_one_folder_are_read_together(tmp_path: Path) -> None:
    registries = [Registry(SharedCounters(tmp_path, slot)) for slot in range(2)]
    for number, registry in enumerate(registries, 1):
        requests = registry.counters("requests", "Requests", ("method", "status"))
        requests.labels("GET", "200").inc(number)
        requests.labels("GET", str(number)).inc()
        registry.gauge("open", "Open").set(10 * number)
        newest = registry.gauges("newest", "Newest", (), aggregation="max")
        newest.labels().set(5 * number)
    expected = {
        "requests_total GET 200": 3,
        "requests_total GET 1": 1,
        "requests_total GET 2": 1,
        "open": 30,
        "newest": 10,
    }
    for registry in registries:
        assert samples(list(registry.collect(registry.read()))) == expected


def test_a_name_that_is_declared_twice_is_an_error() -> None:
    registry = Registry(SharedCounters())
    registry.counter("done", "Things that were done")
    with pytest.raises(ValueError, match="done is declared twice"):
        registry.gauge("done", "Another thing of the same name")


@pytest.mark.parametrize("labels", [(), ("GET",), ("GET", "200", "more")])
def test_labels_that_were_not_declared_are_an_error(labels: tuple[str, ...]) -> None:
    registry = Registry(SharedCounters())
    requests = registry.counters("requests", "Requests", ("method", "status"))
    with pytest.raises(ValueError, match="requests has the labels"):
        requests.labels(*labels)
    with pytest.raises(ValueError, match="requests has the labels"):
        requests.read(registry.read(), *labels)


def test_an_instrument_that_was_not_declared_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Metrics().requests_in_flihgt.set(1)  # type: ignore[attr-defined]
