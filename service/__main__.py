"""`python -m service`: read the settings, load the models, serve, and say where."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from typing import NoReturn

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.app import create_app
from service.errors import DeviceUnavailable, SettingsError
from service.logs import configure
from service.services import Services
from service.settings import Settings

# Draining comes first and takes `shutdown_seconds`; what is open after it are idle connections.
CLOSING_SECONDS = 2
# A worker that answers nothing for so long is replaced; loading a large model on a busy machine must not look like it.
HUNG_SECONDS = 60
CANNOT_START = 2
WORKER_FAILED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal, then 0; 2 for what an operator must change before it can start, 3 if workers cannot."""
    try:
        settings = Settings.load(sys.argv[1:] if argv is None else argv)
        configure(settings.log_format, settings.log_level)
        return serve(settings)
    except (SettingsError, DeviceUnavailable) as error:
        return _refuse(error)


def serve(settings: Settings) -> int:
    """Serve in this process, or in `workers` others."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with bind(settings.host, settings.port) as listener:
        return _serve_here(settings, listener) if settings.workers == 1 else _serve_workers(settings, listener)


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds the address; raises SettingsError if it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"cannot listen on {host} port {port}: {reason}; choose another with FOVEA_PORT or --port"
        ) from None
    return listener


def _serve_here(settings: Settings, listener: socket.socket) -> int:
    services = Services.start(settings)
    _announce(settings.host, listener)
    server = uvicorn.Server(_config(create_app(settings, services)))
    server.run(sockets=[listener])
    return 0 if server.started else WORKER_FAILED


def _serve_workers(settings: Settings, listener: socket.socket) -> int:
    """Each worker reads the settings again, from the environment; this process only watches over them."""
    code = _rehearse(settings)
    if code:
        return code
    os.environ.update(settings.environ())
    _announce(settings.host, listener)
    workers = Multiprocess(_config("service.app:app_from_environment", settings.workers), sockets=[listener])
    workers.run()
    return WORKER_FAILED if any((each.exitcode or 0) > 0 for each in workers.processes) else 0


def _rehearse(settings: Settings) -> int:
    """Start the services once, in a process that ends: the one that watches must hold no model and no GPU memory."""
    process = get_context("spawn").Process(target=_start_and_stop, args=(settings,), daemon=True)
    process.start()
    process.join()
    return process.exitcode or 0


def _start_and_stop(settings: Settings) -> None:
    configure(settings.log_format, settings.log_level)
    try:
        Services.start(settings).close()
    except (SettingsError, DeviceUnavailable) as error:
        sys.exit(_refuse(error))


def _config(app: object, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        factory=isinstance(app, str),
        workers=workers,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        timeout_worker_healthcheck=HUNG_SECONDS,
    )


def _leave(*_: object) -> NoReturn:
    """End with 0: before the server listens to signals, and when it raises the one it was stopped with again."""
    raise SystemExit(0)


def _refuse(error: Exception) -> int:
    print(f"fovea: {error}", file=sys.stderr)
    return CANNOT_START


def _announce(host: str, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, host)  # noqa: S104 - only shown
    address = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    print(f"Fovea  {address}\n  docs {address}/docs", flush=True)


if __name__ == "__main__":
    sys.exit(main())
