"""`fovea probe`: ask the service that runs on this machine whether it is alive, or ready.

It asks where the service really listens, which a file that it writes at start tells, and never goes
through a proxy. Of several services it needs `--port`.
"""

import argparse
import http.client
import os
import sys
from collections.abc import Sequence

from service.address_file import ANY, addresses

SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask once: 0 if the service answers 200, else 1 with a line on standard error."""
    options = _parser().parse_args(arguments)
    path = "/readyz" if options.ready else "/livez"
    host, port, reason = _address(options.port)
    if reason:
        print(f"fovea: {reason}", file=sys.stderr)
        return 1
    status, text = _ask(host, port, path, options.timeout)
    if status == 200:
        return 0
    print(f"fovea: http://{_shown(host)}:{port}{path}: {text}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fovea probe", description="Ask the service that runs here: exit code 0 or 1."
    )
    parser.add_argument("--ready", action="store_true", help="ask /readyz instead of /livez")
    parser.add_argument("--port", type=int, help="of several services the one on this port")
    parser.add_argument(
        "--timeout", type=float, default=SECONDS, help=f"seconds to wait ({SECONDS:g})"
    )
    return parser


def _address(port: int | None) -> tuple[str, int, str]:
    """Host and port to ask, or why there are none.

    Where no file tells of a service, the settings of the environment do: a file system that cannot
    be written has none.
    """
    known = [address for address in addresses() if port in (None, address[1])]
    if len(known) == 1:
        return (*known[0], "")
    if known:
        ports = ", ".join(str(number) for _, number in known)
        return "", 0, f"several services run here, on the ports {ports}; name one with --port"
    host = os.environ.get("FOVEA_HOST") or "127.0.0.1"
    try:
        return ANY.get(host, host), port or int(os.environ.get("FOVEA_PORT") or 8000), ""
    except ValueError:
        return "", 0, f"FOVEA_PORT is {os.environ['FOVEA_PORT']!r}, which is no port"


def _ask(host: str, port: int, path: str, timeout: float) -> tuple[int, str]:
    """Status and reason of the answer; 0 where there was none."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, f"{response.status} {response.reason}"
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        connection.close()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    sys.exit(main())
