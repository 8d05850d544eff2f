"""The HTTP server on a socket that is open already: in this process, or in workers that this one
watches over.
"""

import signal
import socket
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
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
from service.telemetry.worker_slots import WorkerSlot, worker_slots

# Draining comes first and takes `shutdown_seconds`; what is open after it are idle connections.
CLOSING_SECONDS = 2
# A worker that dies again and again must not take the processors from the others.
RESTART_SECONDS = 1
FAILED = 3

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

    Each counts in a slot of its own, where its successor goes on. Raises SettingsError if there is
    no room for that.
    """
    with worker_slots(settings.workers) as slots:
        workers = [_start_worker(settings, listener, slot) for slot in slots]
        try:
            while True:
                wait([worker.sentinel for worker in workers])
                for index, worker in enumerate(workers):
                    if worker.exitcode == FAILED:
                        return FAILED
                    if worker.exitcode is not None:
                        log.error("worker died", pid=worker.pid, exit_code=worker.exitcode)
                        slots[index].reset_gauges()
                        time.sleep(RESTART_SECONDS)
                        workers[index] = _start_worker(settings, listener, slots[index])
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()


def rehearse(settings: Settings) -> int:
    """Start the services once, in a process that ends: the one that watches must hold no model and
    no GPU memory.

    0 if they start; otherwise standard error has said why.
    """
    process = get_context("spawn").Process(target=_start_and_stop, args=(settings,), daemon=True)
    process.start()
    process.join()
    return process.exitcode or 0


def _start_worker(settings: Settings, listener: socket.socket, slot: WorkerSlot) -> SpawnProcess:
    worker = get_context("spawn").Process(
        target=_work, args=(settings, listener, slot), daemon=True
    )
    worker.start()
    return worker


def _work(settings: Settings, listener: socket.socket, slot: WorkerSlot) -> NoReturn:
    end_with_0_on_signals()
    configure(settings.log_format, settings.log_level)
    sys.exit(run(create_app(settings, metrics=slot.metrics()), listener))


def _start_and_stop(settings: Settings) -> None:
    configure(settings.log_format, settings.log_level)
    try:
        Services.start(settings).close()
    except (SettingsError, DeviceUnavailable) as error:
        sys.exit(f"fovea: {error}")


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)
