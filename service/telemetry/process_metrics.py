"""Memory, processor time and open files of the processes that serve, put together."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_LEAST = ("process_start_time_seconds",)
"""What makes no sense as a sum."""


def families(pids: Sequence[int], parent: int | None) -> Iterator[Metric]:
    """Of these processes and of the one that watches over them; nothing where the system does not
    tell.

    The processor time of those that ended is known to the one that started them, so that the sum
    never goes back.
    """
    found: dict[str, list[float]] = {}
    texts: dict[str, tuple[str, str]] = {}
    for pid in (*pids, *(() if parent is None else (parent,))):
        for family in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
            texts[family.name] = family.documentation, family.type
            found.setdefault(family.name, []).extend(sample.value for sample in family.samples)
    if parent is not None and "process_cpu_seconds" in found:
        found["process_cpu_seconds"].append(_ended(parent))
    for name, values in found.items():
        text, kind = texts[name]
        value = min(values) if name in _LEAST else sum(values)
        yield (
            CounterMetricFamily(name, text, value)
            if kind == "counter"
            else GaugeMetricFamily(name, text, value)
        )


def _ended(parent: int) -> float:
    """Seconds that the ended children of this process took."""
    try:
        fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / _TICKS
