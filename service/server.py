"""The HTTP server on a socket that is open already: in this process, or in workers that this one watches over."""

import os
import socket
import sys
from multiprocessing import get_context

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from service.errors import DeviceUnavailable, SettingsError
from service.logs import configure
from service.services import Services
from service.settings import Settings

# Draining comes first and takes `shutdown_seconds`; what is open after it are idle connections.
CLOSING_SECONDS = 2
# A worker that answers nothing for so long is replaced; loading a large model on a busy machine must not look like it.
HUNG_SECONDS = 60
FAILED = 3


def run(app: FastAPI, listener: socket.socket) -> int:
    """Serve in this process until a signal, then 0; 3 if the app did not start."""
    server = uvicorn.Server(_config(app))
    server.run(sockets=[listener])
    return 0 if server.started else FAILED


def run_workers(settings: Settings, listener: socket.socket) -> int:
    """Serve in `workers` processes until a signal, then 0; 3 if one of them cannot start. One that dies is replaced."""
    # A worker reads the settings again, from the environment.
    os.environ.update(settings.environ())
    workers = Multiprocess(_config("service.app:app_from_environment", settings.workers), sockets=[listener])
    workers.run()
    return FAILED if any((each.exitcode or 0) > 0 for each in workers.processes) else 0


def rehearse(settings: Settings) -> int:
    """Start the services once, in a process that ends: the one that watches must hold no model and no GPU memory.

    0 if they start; otherwise standard error has said why.
    """
    process = get_context("spawn").Process(target=_start_and_stop, args=(settings,), daemon=True)
    process.start()
    process.join()
    return process.exitcode or 0


def _start_and_stop(settings: Settings) -> None:
    configure(settings.log_format, settings.log_level)
    try:
        Services.start(settings).close()
    except (SettingsError, DeviceUnavailable) as error:
        sys.exit(f"fovea: {error}")


def _config(app: FastAPI | str, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        timeout_worker_healthcheck=HUNG_SECONDS,
    )
