"""The files of the input store: a folder for this user alone, and files that nobody meets half of.

A large input is written to a temporary file and renamed, a small one is written in one system call.
"""

import contextlib
import errno
import itertools
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from service.errors import SettingsError

ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
INCOMING = ".incoming-"
ONE_WRITE_BYTES = 16_384
"""What the system writes in one call, so that nobody meets half of it but in that moment."""
# Of the files that this process writes: no two at once have one name, whichever thread they come
# from.
_numbers = itertools.count()


@dataclass(frozen=True)
class StoredFile:
    """A file of the store, with the time of its last use."""

    last_use: float
    size: int
    path: Path

    @property
    def incoming(self) -> bool:
        """Whether it is still being written, unless its writer died."""
        return self.path.name.startswith(INCOMING)


def make_private(folder: Path) -> None:
    """Make the folder, readable by this user only.

    In a shared temporary folder its name could be taken by another.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        is_owner = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        if not (stat.S_ISDIR(status.st_mode) and is_owner):
            raise SettingsError(f"input_store {folder} is not a folder of this user; name another")
        if stat.S_IMODE(status.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"input_store {folder} cannot be used ({error.strerror}); name another"
        ) from None


def write_file(prefix: str, name: str, data: bytes) -> None:
    """Write a file whole or not at all; in system calls alone, for every new input waits for it."""
    if len(data) <= ONE_WRITE_BYTES:
        _write_in_place(prefix + name, data)
        return
    incoming = f"{prefix}{INCOMING}{os.getpid()}-{next(_numbers)}"
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
        os.rename(incoming, prefix + name)  # noqa: PTH104
    except OSError:
        remove(Path(incoming))
        raise


def list_files(folder: Path) -> list[StoredFile]:
    """Every file that this module named, those being written included."""
    files: list[StoredFile] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (ID.fullmatch(entry.name) or entry.name.startswith(INCOMING)):
                continue
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                files.append(StoredFile(status.st_mtime, status.st_size, Path(entry.path)))
    return files


def count_files(folder: Path) -> tuple[int, int]:
    """Inputs and their bytes, without making objects of them: there may be very many."""
    files = size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not ID.fullmatch(entry.name):
                continue
            try:
                size += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
            files += 1
    return files, size


def remove(path: Path) -> None:
    """Delete a file; another worker may have done so."""
    path.unlink(missing_ok=True)


def _write_in_place(path: str, data: bytes) -> None:
    """Write a small file under its own name: renaming would take as long again, and a reader knows
    half of one.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Another worker was given the same.
        return
    try:
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
    except OSError:
        remove(Path(path))
        raise
