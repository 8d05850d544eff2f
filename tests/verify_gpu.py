"""`make verify-gpu`: the tests that need a GPU, what they saw, and an exit code of 0 only if all of
them passed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import DeviceUnavailable
from service.runtime.engine import Engine

ROOT = Path(__file__).parents[1]


class Summary:
    """One row for each test."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
            seen = "; ".join(f"{key}: {value}" for key, value in report.user_properties)
            self.rows.append((name, report.outcome, seen))

    @property
    def verified(self) -> bool:
        return bool(self.rows) and all(outcome == "passed" for _, outcome, _ in self.rows)


def gpu() -> str:
    """What the driver says of the GPUs."""
    if not shutil.which("nvidia-smi"):
        return "unknown (there is no nvidia-smi)"
    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    try:
        engine = Engine("cuda", 1)
    except DeviceUnavailable as error:
        print(f"Nothing was verified. {error}", file=sys.stderr)
        return 1
    summary = Summary()
    pytest.main(
        [
            "-m",
            "gpu",
            "-q",
            "-p",
            "no:cacheprovider",
            str(ROOT / "tests/service/runtime/test_gpu.py"),
        ],
        [summary],
    )
    print(
        f"\nGPU: {gpu()}\nONNX Runtime {engine.version}, {engine.provider}\n\n| check | outcome | "
        "seen |\n|---|---|---|"
    )
    for row in summary.rows:
        print("| " + " | ".join(row) + " |")
    print("\nVerified." if summary.verified else "\nNOT verified: not every check passed.")
    return 0 if summary.verified else 1


if __name__ == "__main__":
    sys.exit(main())
