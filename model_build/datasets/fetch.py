"""Downloads from public mirrors into the user's cache.

Files are checked before they are written, and written completely or not at all.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from model_build.datasets.split import DataError

LARGEST = 64 << 20
"""Bytes that are taken from a mirror at most."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/fovea`, or `~/.cache/fovea` where that variable holds no absolute path."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    caches = configured if configured.is_absolute() else Path.home() / ".cache"
    return caches / "fovea"


def fetch(
    name: str, mirrors: Sequence[str], check: Callable[[bytes], object], client: httpx.Client
) -> bytes:
    """The bytes of file `name` from the first mirror that gives what `check` accepts.

    `check` raises DataError for bytes that are not the file; then the next mirror is asked. Raises
    DataError if none has it.
    """
    reasons = []
    for mirror in mirrors:
        try:
            data = _body(f"{mirror}{name}", client)
            check(data)
        except (httpx.HTTPError, DataError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            reasons.append(f"{mirror}: {lines[0]}")
        else:
            return data
    raise DataError(f"{name} could not be fetched ({'; '.join(reasons)})")


def _body(url: str, client: httpx.Client) -> bytes:
    parts, size = [], 0
    # A mirror that sends the file as a compressed encoding of itself would have it unpacked on the
    # way.
    with client.stream(
        "GET", url, headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT
    ) as response:
        response.raise_for_status()
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                raise DataError(f"sent more than {LARGEST >> 20} MiB")
    return b"".join(parts)


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file under its name only when it is complete; makes folders. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
