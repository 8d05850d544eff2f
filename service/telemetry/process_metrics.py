"""Memory, processor time and open files of the processes that serve, summed up."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_CPU_SECONDS = "process_cpu_seconds"
_MINIMUM_OF = ("process_start_time_seconds",)
"""Metrics that make no sense as a sum."""


def families(pids: Sequence[int], parent: int | None) -> Iterator[Metric]:
    """The metrics of these processes and of the one that watches over them; nothing where the
    system has none.

    The processor time of processes that ended is known to their parent, so the sum never decreases.
    """
    watched = pids if parent is None else [*pids, parent]
    metrics: dict[str, list[Metric]] = {}
    for pid in watched:
        for metric in _process(pid):
            metrics.setdefault(metric.name, []).append(metric)
    for name, of_processes in metrics.items():
        values = [sample.value for metric in of_processes for sample in metric.samples]
        if parent is not None and name == _CPU_SECONDS:
            values.append(_cpu_seconds_of_ended(parent))
        yield _combined(of_processes[0], values)


def _combined(metric: Metric, values: Sequence[float]) -> Metric:
    family = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    value = min(values) if metric.name in _MINIMUM_OF else sum(values)
    return family(metric.name, metric.documentation, value)


def _process(pid: int) -> Iterator[Metric]:
    yield from ProcessCollector(pid=lambda: pid, registry=None).collect()


def _cpu_seconds_of_ended(parent: int) -> float:
    """Processor time of the children of this process that ended."""
    try:
        fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    user, system = int(fields[13]), int(fields[14])
    return (user + system) / _TICKS
