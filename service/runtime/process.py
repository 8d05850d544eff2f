"""What this process may use of the machine, and what it gives back: the processors that its control
group grants (not the host's count), the threads of a run, and memory that was freed.
"""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads within an operator, for a run by itself and for one beside others; `processors` is
    the worker's share.
    """

    processors: int
    alone: int
    contended: int

    @classmethod
    def share(cls, workers: int, instances: int | None, chosen: int | None) -> "Threads":
        """Of one of so many workers. What was chosen holds; else a run by itself has all processors
        of the worker, and each of `instances` runs an equal part (one processor a run where that is
        open).
        """
        processors = max(1, cpu_quota() // workers)
        contended = max(1, processors // (instances or processors))
        return cls(processors, chosen or processors, chosen or contended)


def cpu_quota(root: Path = ROOT) -> int:
    """Whole processors this process may keep busy: the least of its affinity and its cgroup quotas,
    at least 1.
    """
    return max(1, min([_affinity(), *(int(quota) for quota in _quotas(root))]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> list[float]:
    """Every quota that binds, in processors; a group is bound by its ancestors too."""
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
    """The group's folder and those above it; inside a container the path may not exist, the mount
    does.
    """
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
    """Return free memory, also from the middle of the heap, as glibc's `malloc_trim` does;
    elsewhere nothing is done.

    Reading a model leaves several times its size behind. It takes some milliseconds.
    """
    if _TRIM is not None:
        _TRIM(0)


def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


_TRIM = _trim()
