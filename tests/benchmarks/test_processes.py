"""The accounts of processes: against what processes say of themselves, and against files of /proc
written by hand.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.serving import processes

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="accounts are read from Linux's /proc"
)

# Burns so many seconds in a child that it waits for, as many in one that lives on, and as many
# itself.
BURN = """
import subprocess, sys, time
burn = "import sys, time\\nwhile time.process_time() < {0}: pass\\n"
subprocess.run([sys.executable, "-c", burn])
living = subprocess.Popen([sys.executable, "-c", burn + "print(flush=True)\\nsys.stdin.read()"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
living.stdout.readline()
while time.process_time() < {0}: pass
print(living.pid, flush=True)
sys.stdin.read()
"""


@contextmanager
def burning(seconds: float) -> Iterator[tuple[int, int]]:
    """The ids of such a process and of its living child, once all of them have burnt theirs."""
    source = BURN.replace("{0}", str(seconds))
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())


def test_time_is_that_of_the_process_its_children_and_those_that_have_ended() -> None:
    with burning(0.3) as (pid, _):
        seconds = processes.cpu_seconds(pid)
    # Each also starts an interpreter, and those that wait use next to nothing.
    assert 0.9 - 3 / processes.TICKS <= seconds < 1.4


def test_the_tree_holds_a_child_in_a_session_of_its_own() -> None:
    with burning(0.01) as (pid, child):
        assert processes.tree(pid) == [pid, child]
        assert child in processes.tree(os.getpid())


def test_memory_is_told_of_each_process_and_at_most_what_is_resident() -> None:
    with burning(0.01) as (pid, child):
        sizes = processes.pss_bytes(pid)
        resident = [_resident(process) for process in (pid, child)]
    assert len(sizes) == 2
    assert all(0 < size <= most for size, most in zip(sizes, resident, strict=True))


def test_a_process_that_has_ended_has_no_tree() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert processes.tree(process.pid) == []
    assert processes.cpu_seconds(process.pid) == 0


def test_a_name_with_spaces_and_parentheses_does_not_shift_the_fields(tmp_path: Path) -> None:
    write(tmp_path, 7, "a) b (c", parent=1, times=(100, 20, 3, 4))
    write(tmp_path, 8, "worker", parent=7, times=(50, 0, 0, 0))
    write(tmp_path, 9, "other", parent=1, times=(999, 999, 999, 999))
    (tmp_path / "self").mkdir()
    assert processes.tree(7, tmp_path) == [7, 8]
    assert processes.cpu_seconds(7, tmp_path) == (100 + 20 + 3 + 4 + 50) / processes.TICKS


def test_what_is_at_work_does_not_settle() -> None:
    burn = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", burn]) as process:
        try:
            with pytest.raises(processes.Quiet, match="still at work"):
                processes.settle(process.pid, 0.5)
        finally:
            process.kill()


def write(
    proc: Path, pid: int, name: str, *, parent: int, times: tuple[int, int, int, int]
) -> None:
    """A stat file: pid, name, state, parent, nine fields that are not read, and the four times."""
    (proc / str(pid)).mkdir()
    unread = "0 " * 9
    (proc / str(pid) / "stat").write_text(
        f"{pid} ({name}) S {parent} {unread}{' '.join(map(str, times))} 20 0 1\n"
    )


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
