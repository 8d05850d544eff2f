"""How many processors this process may use: the control group's quota, not the host's count."""

import os
from pathlib import Path

ROOT = Path("/")


def cpu_quota(root: Path = ROOT) -> int:
    """Whole processors this process may keep busy: the least of its affinity and its cgroup quotas, at least 1."""
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
            quotas += [_quota(*_read(group / "cpu.max").split()) for group in _ancestry(mount, path)]
        elif "cpu" in controllers.split(","):
            for group in [*_ancestry(mount / "cpu", path), *_ancestry(mount / controllers, path)]:
                quotas.append(_quota(_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")))
    return [quota for quota in quotas if quota is not None]


def _ancestry(mount: Path, path: str) -> list[Path]:
    """The group's folder and those above it; inside a container the path may not exist, the mount does."""
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
