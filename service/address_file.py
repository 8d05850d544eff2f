"""Where the service listens, in a file that it writes at start: `fovea probe` asks there.

Each process has a file of its own in a folder that is this user's alone, and removes it at its end.
A file whose process is gone counts for nothing.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - only compared
"""Hosts that stand for every address of the machine, and where the machine reaches itself."""


def folder() -> Path:
    """The folder of the files; it need not exist."""
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"fovea-run-{owner}"


@contextmanager
def written(host: str, port: int) -> Iterator[None]:
    """While open, a file tells that this process listens there. Without a folder that can be
    written nothing is told, and nothing fails.
    """
    path = folder() / str(os.getpid())
    try:
        folder().mkdir(mode=0o700, exist_ok=True)
        if _is_ours(folder()):
            path.write_text(f"{ANY.get(host, host)} {port}", encoding="utf-8")
    except OSError:
        pass
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def addresses() -> list[tuple[str, int]]:
    """Host and port of every service of this user that runs, in the order of their process ids."""
    if not _is_ours(folder()):
        return []
    files = [path for path in folder().iterdir() if path.name.isdecimal()]
    alive = sorted((path for path in files if _is_alive(int(path.name))), key=lambda p: int(p.name))
    return [address for path in alive if (address := _read(path)) is not None]


def _read(path: Path) -> tuple[str, int] | None:
    try:
        host, port = path.read_text(encoding="utf-8").split()
        return host, int(port)
    except (OSError, ValueError):
        return None


def _is_ours(path: Path) -> bool:
    """Whether this is a folder of this user that no other can write: what it holds is believed."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(status.st_mode)
    private = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and private


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
