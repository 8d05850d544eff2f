"""The machine and the code that figures belong to."""

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.serving.bare import processors
from benchmarks.serving.processes import TICKS, cpu_seconds
from benchmarks.serving.server import ROOT
from benchmarks.train_step import machine

BUSY = 0.5
"""Load average for each processor from which on figures say more of the machine's other work than
of the server.
"""


def described() -> dict[str, Any]:
    """Processor, cores, versions, commit, and how busy the machine is before the measurement."""
    load = os.getloadavg()[0]
    return {
        "processor": machine(),
        "processors": processors(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "commit": commit(),
        "load_before": round(load, 2),
        "busy": load > BUSY * processors(),
    }


def commit() -> str | None:
    """The commit of the working tree, marked where files differ from it; None outside of git."""
    git = shutil.which("git")
    if git is None:
        return None

    def said(*arguments: str) -> str | None:
        done = subprocess.run(
            [git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    head = said("rev-parse", "--short=12", "HEAD")
    changed = said(
        "status", "--porcelain", "--untracked-files=no", "--", "service", "anatomy", "benchmarks"
    )
    return f"{head} with changes" if head and changed else head


class Others:
    """How much of the processors others have, from now on."""

    def __init__(self) -> None:
        self._start, self._all, self._ours = _account()

    def share(self) -> float:
        """0 to 1 of all processors: what is neither ours nor idle, with what a hypervisor took."""
        now, everything, ours = _account()
        theirs = (everything - self._all) - (ours - self._ours)
        return round(max(theirs, 0) / (now - self._start) / (os.cpu_count() or 1), 3)


def _account() -> tuple[float, float, float]:
    """Seconds: by the clock, of all processors at work, of this process and its descendants."""
    user, nice, system, _, _, *rest = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return time.monotonic(), (user + nice + system + sum(rest)) / TICKS, cpu_seconds(os.getpid())
