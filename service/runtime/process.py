"""What this process may use of the machine: the processors that its control group grants (not the
host's count), the threads of a run, and the heap, trimmed when memory was freed.
"""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads within an operator, for a run alone and for a run at the same time as others.

    `processors` is the worker's share of the machine.
    """

    processors: int
    alone: int
    contended: int

    @classmethod
    def share(cls, workers: int, instances: int | None, chosen: int | None) -> "Threads":
        """The threads of one of `workers` processes: `chosen` for every run if it is set.

        Otherwise a run alone has all processors of the worker, and each of `instances` runs an
        equal part; one processor a run if `instances` is None.
        """
        processors = max(1, cpu_quota() // workers)
        contended = max(1, processors // (instances or processors))
        return cls(processors, chosen or processors, chosen or contended)


def cpu_quota(root: Path = ROOT) -> int:
    """The number of processors this process may keep busy: the least of its affinity and its cgroup
    quotas, rounded down, at least 1.
    """
    return max(1, min([_affinity(), *(int(quota) for quota in _quotas(root))]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> list[float]:
    """Every CPU quota in force, in processors; a group has those of its ancestors too."""
    quotas: list[float | None] = []
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quotas += [
                _quota(*_read(group / "cpu.max").split()) for group in _ancestry(mount, path)
            ]
        elif "cpu" in controllers.split(","):
            for group in [*_ancestry(mount / "cpu", path), *_ancestry(mount / controllers, path)]:
                quotas.append(
                    _quota(_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us"))
                )
    return [quota for quota in quotas if quota is not None]


def _ancestry(mount: Path, path: str) -> list[Path]:
    """The group's folder and its parents; in a container only the mount may exist."""
    group = mount / path.strip("/")
    return [group, *(parent for parent in group.parents if parent.is_relative_to(mount))]


def _quota(quota: str = "", period: str = "") -> float | None:
    if quota.strip().isdigit() and period.strip().isdigit() and int(period) > 0:
        return int(quota) / int(period)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def trim_heap() -> None:
    """Return free memory to the system, also from the middle of the heap, by glibc's `malloc_trim`.

    It takes some milliseconds, and does nothing on another C library. Reading a model leaves
    several times its size behind.
    """
    if _TRIM is not None:
        _TRIM(0)


def _trim() -> Callable[[int], int] | None:
    try:
        malloc_trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return malloc_trim


_TRIM = _trim()
