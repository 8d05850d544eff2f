"""The HTTP server on a socket that is open already: in this process, or in workers that this one
watches over.
"""

import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NoReturn

import structlog
import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import DeviceUnavailable, SettingsError
from service.http.protocol import HttpProtocol
from service.services import Services
from service.settings import Settings
from service.telemetry.logs import configure
from service.telemetry.metrics import Metrics
from service.telemetry.shared_counters import SharedCounters

# Draining comes first and takes `shutdown_seconds`; what is open after it are idle connections.
CLOSING_SECONDS = 2
# A worker that dies again and again must not take the processors from the others.
RESTART_SECONDS = 1
FAILED = 3
MEMORY = "/dev/shm"  # noqa: S108 - what is made in it gets a name of its own and is private

log = structlog.get_logger(__name__)


def end_with_0_on_signals() -> None:
    """Before the server listens to signals, and when it raises again the one that it was stopped
    with.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def run(app: FastAPI, listener: socket.socket) -> int:
    """Serve in this process until a signal, then 0; 3 if the app did not start."""
    server = server_of(app)
    server.run(sockets=[listener])
    return 0 if server.started else FAILED


def server_of(app: FastAPI) -> uvicorn.Server:
    """The HTTP server of this app, as it is configured here."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            http=HttpProtocol,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
    )


def run_workers(settings: Settings, listener: socket.socket) -> int:
    """Serve in `workers` processes until a signal ends this one; 3 if one cannot start. One that
    dies is replaced.

    Each has a place in a folder of what is counted; who replaces it goes on from there. Raises
    SettingsError if there is no room for that.
    """
    with counts(settings.workers) as folder:
        workers = [_started(settings, listener, folder, place) for place in range(settings.workers)]
        try:
            while True:
                wait([worker.sentinel for worker in workers])
                for place, worker in enumerate(workers):
                    if worker.exitcode == FAILED:
                        return FAILED
                    if worker.exitcode is not None:
                        log.error("worker died", pid=worker.pid, exit_code=worker.exitcode)
                        # Nobody is to be told of what it was doing.
                        SharedCounters(folder, place)
                        time.sleep(RESTART_SECONDS)
                        workers[place] = _started(settings, listener, folder, place)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()


@contextmanager
def counts(workers: int) -> Iterator[Path]:
    """A folder with room for the numbers of so many processes: in memory if it can be, for they
    change often.
    """
    reason = ""
    for parent in (MEMORY, tempfile.gettempdir()):
        with ExitStack() as ending:
            try:
                folder = Path(tempfile.mkdtemp(prefix="fovea-counts-", dir=parent))
                ending.callback(shutil.rmtree, folder, ignore_errors=True)
                for place in range(workers):
                    SharedCounters(folder, place)
            except OSError as error:
                reason = f"{parent}: {error.strerror}"
                continue
            yield folder
            return
    raise SettingsError(f"no room for what {workers} workers count; {reason}")


def rehearse(settings: Settings) -> int:
    """Start the services once, in a process that ends: the one that watches must hold no model and
    no GPU memory.

    0 if they start; otherwise standard error has said why.
    """
    process = get_context("spawn").Process(target=_start_and_stop, args=(settings,), daemon=True)
    process.start()
    process.join()
    return process.exitcode or 0


def _started(settings: Settings, listener: socket.socket, folder: Path, place: int) -> SpawnProcess:
    worker = get_context("spawn").Process(
        target=_work, args=(settings, listener, folder, place), daemon=True
    )
    worker.start()
    return worker


def _work(settings: Settings, listener: socket.socket, folder: Path, place: int) -> NoReturn:
    end_with_0_on_signals()
    configure(settings.log_format, settings.log_level)
    sys.exit(run(create_app(settings, metrics=Metrics(SharedCounters(folder, place))), listener))


def _start_and_stop(settings: Settings) -> None:
    configure(settings.log_format, settings.log_level)
    try:
        Services.start(settings).close()
    except (SettingsError, DeviceUnavailable) as error:
        sys.exit(f"fovea: {error}")


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)
