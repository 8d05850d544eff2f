"""`python -m service`: read the settings, load the models, serve, and say where."""

import os
import socket
import sys
from collections.abc import Sequence

import uvicorn

from service.app import create_app
from service.errors import DeviceUnavailable, SettingsError
from service.logs import configure
from service.services import Services
from service.settings import Settings

# Draining comes first and takes `shutdown_seconds`; what is open after it are idle connections.
CLOSING_SECONDS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; 2 for what an operator must change before it can start."""
    try:
        settings = Settings.load(sys.argv[1:] if argv is None else argv)
        configure(settings.log_format, settings.log_level)
        return serve(settings)
    except (SettingsError, DeviceUnavailable) as error:
        print(f"fovea: {error}", file=sys.stderr)
        return 2


def serve(settings: Settings) -> int:
    """Serve in this process, or in `workers` others."""
    listener = bind(settings.host, settings.port)
    with listener:
        port = listener.getsockname()[1]
        services = Services.start(settings)
        if settings.workers == 1:
            _announce(settings.host, port)
            uvicorn.Server(_config(create_app(settings, services))).run(sockets=[listener])
            return 0
        services.close()
    _serve_workers(settings, port)
    return 0


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


def _serve_workers(settings: Settings, port: int) -> None:
    """Each worker reads the settings again, from the environment."""
    os.environ.update(settings.environ())
    _announce(settings.host, port)
    uvicorn.run(
        "service.app:app_from_environment",
        factory=True,
        workers=settings.workers,
        host=settings.host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=CLOSING_SECONDS,
    )


def _announce(host: str, port: int) -> None:
    shown = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, host)  # noqa: S104 - only shown
    address = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    print(f"Fovea  {address}\n  docs {address}/docs", flush=True)


if __name__ == "__main__":
    sys.exit(main())
