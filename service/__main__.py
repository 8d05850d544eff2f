"""`python -m service`: read the settings, load the models, serve, and say where."""

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from service import address_file, server
from service.app import create_app
from service.errors import DeviceUnavailable, SettingsError, UnsupportedUvicorn
from service.http.protocol import check_uvicorn
from service.services import Services
from service.settings import Settings
from service.telemetry.logs import configure

CANNOT_START = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal, then 0; 2 for what an operator must change first, 3 for a server that
    failed to start.
    """
    try:
        settings = Settings.load(sys.argv[1:] if argv is None else argv)
        configure(settings.log_format, settings.log_level)
        return serve(settings)
    except (SettingsError, DeviceUnavailable, UnsupportedUvicorn) as error:
        print(f"fovea: {error}", file=sys.stderr)
        return CANNOT_START


def serve(settings: Settings) -> int:
    """Serve in this process, or in `workers` others."""
    check_uvicorn()
    server.end_with_0_on_signals()
    with bind(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        if settings.workers == 1:
            services = Services.start(settings)
            _announce(settings.host, port)
            with address_file.written(settings.host, port):
                return server.run(create_app(settings, services), listener)
        if server.rehearse(settings):
            return CANNOT_START
        _announce(settings.host, port)
        with address_file.written(settings.host, port):
            return server.run_workers(settings, listener)


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds the address; raises SettingsError if it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with ExitStack() as failing:
            listener = failing.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
            failing.pop_all()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "this is no name of a host"
        raise SettingsError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port or --host"
        ) from None
    return listener


def _announce(host: str, port: int) -> None:
    shown = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, host)  # noqa: S104 - only shown
    address = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    print(f"Fovea  {address}\n  docs {address}/docs", flush=True)


if __name__ == "__main__":
    sys.exit(main())
