"""A real `python -m service`, in a process of its own, on a port that the system chose."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
STOP_SECONDS = 30

Value = TypeVar("Value")


class Service:
    """Runs while the `with` block does. `FOVEA_…` variables are keywords; those of the caller are
    left out.
    """

    def __init__(self, folder: Path, models: Path, **variables: str) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("FOVEA_")}
        given = {
            "FOVEA_PORT": "0",
            "FOVEA_MODELS": str(models),
            "FOVEA_INPUT_STORE": str(folder / "inputs"),
            "FOVEA_LOG_FORMAT": "json",
            "FOVEA_DEVICE": "cpu",
        }
        self._environment = own | given | variables
        self._output, self._errors = folder / "stdout", folder / "stderr"
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Its own session: the workers of a service with several go with it.
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(STOP_SECONDS)

    @property
    def output(self) -> str:
        """Standard output so far."""
        return self._output.read_text()

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return self._errors.read_text()

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The lines of the log so far that are complete; a line that is not JSON fails."""
        return [
            json.loads(line)
            for line in self.errors.splitlines(keepends=True)
            if line.endswith("\n")
        ]

    @property
    def started(self) -> list[int]:
        """The process ids of all that served or serve, oldest first: this one, or each of its
        workers.
        """
        events = (
            re.fullmatch(r"Started server process \[(\d+)\]", line["event"]) for line in self.logs
        )
        return [int(event[1]) for event in events if event]

    def address(self) -> str:
        """Where it listens, as it says itself."""

        def said() -> str | None:
            assert self._process.poll() is None, self.errors
            found = re.search(r"^Fovea +(http://\S+)\n", self.output)
            return found and found[1]

        return until(said, "the address is printed")

    def ready(self) -> str:
        """The address, once requests are answered there."""
        address = self.address()
        until(lambda: status(f"{address}/readyz") == 200, "the service is ready")
        return address

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(STOP_SECONDS)


def status(url: str) -> int | None:
    """The status of a GET, None if nobody answers."""
    try:
        return httpx.get(url, timeout=10).status_code
    except httpx.TransportError:
        return None


def until(ask: Callable[[], Value | None], what: str, seconds: float = START_SECONDS) -> Value:
    """The first answer that is true; fails if none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} seconds: {what}")
