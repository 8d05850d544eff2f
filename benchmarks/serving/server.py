"""The real server, `python -m service`, in a process group of its own, and what its processes
cost.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from benchmarks.serving import processes
from benchmarks.serving.wire import Address, Call, Connection

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


class ServerError(Exception):
    """The server did not start, or answers wrongly; the message says what it said."""


class Server:
    """Serves a folder of models while the `with` block runs, on a port that the system chose.

    All settings are the defaults but those given: `FOVEA_…` variables of the caller are left out.
    `folder` is its own.
    """

    def __init__(self, folder: Path, models: Path, settings: Mapping[str, str]) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("FOVEA_")
        }
        defaults = {
            "FOVEA_PORT": "0",
            "FOVEA_MODELS": str(models),
            "FOVEA_INPUT_STORE": str(folder / "inputs"),
        }
        self._environment = {**inherited, **defaults, "FOVEA_DEVICE": "cpu", **settings}
        folder.mkdir(parents=True, exist_ok=True)
        self._errors = folder / "stderr"
        self._process: subprocess.Popen[bytes]
        self.address: Address

    def __enter__(self) -> Self:
        self.started = time.perf_counter()
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            self.address = self._said()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Its own session: the workers go with it.
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(STOP_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        return processes.cpu_seconds(self._process.pid)

    def pss_bytes(self) -> list[int]:
        """The proportional set size of each of its processes."""
        return processes.pss_bytes(self._process.pid)

    def settle(self) -> None:
        """Wait until it is idle."""
        processes.settle(self._process.pid)

    def first_right(self, call: Call) -> float:
        """Seconds from the start of the process to the first right answer; raises ServerError for a
        wrong one.
        """
        end = self.started + START_SECONDS
        while True:
            with Connection(self.address) as connection:
                answer = connection.ask(call.bytes())
            ended = time.perf_counter()
            # Not ready yet.
            if answer.status != 503 or ended > end:
                break
            time.sleep(0.002)
        if wrong := call.wrong(answer):
            raise ServerError(f"{call.method} {call.target}: {wrong}")
        return ended - self.started

    def _said(self) -> Address:
        """The address that it prints; raises ServerError with what it said instead."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = (
                self._process.stdout.readline().decode() if selector.select(START_SECONDS) else ""
            )
        address = re.search(r"http://([\d.]+):(\d+)", line)
        if not address:
            raise ServerError(
                f"the server did not start: {self._errors.read_text().strip() or 'it said nothing'}"
            )
        return address[1], int(address[2])
