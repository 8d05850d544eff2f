"""Slots in a folder of shared memory, one for each worker of a server to count in."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.errors import SettingsError
from service.telemetry.metrics import Metrics
from service.telemetry.shared_counters import SharedCounters

MEMORY = "/dev/shm"  # noqa: S108 - what is made in it gets a name of its own and is private


@dataclass(frozen=True)
class WorkerSlot:
    """Where one worker counts, and its successor after it."""

    folder: Path
    number: int

    def metrics(self) -> Metrics:
        """The instruments of the worker in this slot; for that process only."""
        return Metrics(SharedCounters(self.folder, self.number))

    def reset_gauges(self) -> None:
        """Forget what was true of a worker that died; what it counted stays."""
        SharedCounters(self.folder, self.number)


@contextmanager
def worker_slots(count: int) -> Iterator[list[WorkerSlot]]:
    """Slots for so many workers, in memory where the system has a folder in it: they are written to
    all the time.

    Raises SettingsError if there is no room for them.
    """
    reason = ""
    for parent in (MEMORY, tempfile.gettempdir()):
        with ExitStack() as cleanup:
            try:
                folder = Path(tempfile.mkdtemp(prefix="fovea-counts-", dir=parent))
                cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
                for number in range(count):
                    SharedCounters(folder, number)
            except OSError as error:
                reason = f"{parent}: {error.strerror}"
                continue
            yield [WorkerSlot(folder, number) for number in range(count)]
            return
    raise SettingsError(f"no room for what {count} workers count; {reason}")
