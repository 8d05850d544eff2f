"""What a process and all that descend from it cost: processor time and memory, as Linux counts them
in /proc.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
QUIET_SECONDS = 0.2


class Quiet(Exception):
    """The processes did not come to rest in time."""


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """The process and its descendants, those of other process groups too; empty if it has ended."""
    children: dict[int, list[int]] = {}
    for process in _numbers(proc):
        fields = _stat(process, proc)
        if fields:
            children.setdefault(int(fields[1]), []).append(process)
    processes = [pid] if _stat(pid, proc) else []
    for process in processes:
        # The list grows while it is read.
        processes += children.get(process, [])
    return processes


def cpu_seconds(pid: int, proc: Path = PROC) -> float:
    """User and system time of the tree so far, with that of descendants that have ended and were
    waited for.

    The system counts in ticks of 10 ms; take differences over a second or more.
    """
    ticks = 0
    for process in tree(pid, proc):
        # utime, stime, and the same of children that were waited for (proc(5), fields 14 to 17).
        ticks += sum(map(int, _stat(process, proc)[11:15]))
    return ticks / TICKS


def pss_bytes(pid: int, proc: Path = PROC) -> list[int]:
    """The proportional set size of each process of the tree: pages that several share count by
    their share.
    """
    sizes: list[int] = []
    for process in tree(pid, proc):
        try:
            lines = (proc / str(process) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        sizes += [int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")]
    return sizes


def settle(pid: int, seconds: float = 30) -> None:
    """Wait until the tree has used no processor for a moment: what a load left behind is not the
    next one's cost.

    Raises Quiet after so many seconds.
    """
    end = time.monotonic() + seconds
    before = cpu_seconds(pid)
    while time.monotonic() < end:
        time.sleep(QUIET_SECONDS)
        after = cpu_seconds(pid)
        # One tick is what housekeeping takes.
        if after - before <= 1 / TICKS:
            return
        before = after
    raise Quiet(f"the server was still at work {seconds} seconds after the load had ended")


def _numbers(proc: Path) -> Iterator[int]:
    return (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())


def _stat(pid: int, proc: Path) -> list[str]:
    """The fields after the name, from the state (field 3) on; empty for a process that is gone."""
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        return []
    # The name stands in parentheses and may hold spaces and parentheses itself.
    return text.rpartition(")")[2].split()
