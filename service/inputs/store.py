"""What was posted before, kept by the SHA-256 of its bytes in one folder that all workers of a
machine share.

A large input is written to a temporary file and renamed, a small one in one call, and what is read
is checked by its name, so that nobody is given half of one; a read counts as a use. The folder is
bounded by bytes and by age since the last use, the least recently used go first, and any worker may
delete any file at any time: losing one costs the caller a second upload, never an answer. Only
files that this module named are counted or deleted.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import re
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from service.errors import SettingsError, UnknownInput
from service.telemetry.instruments import Counter
from service.telemetry.metrics import InputStoreMetrics

ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
INCOMING = ".incoming-"
SWEEP_SECONDS = 10.0
SHARE = 16
AT_ONCE_BYTES = 16_384
"""What the system writes in one call, so that nobody meets half of it but in that moment."""
BEING_WRITTEN_SECONDS = 0.01
LOOK_SHARE = 50
"""How many times as long as it takes to look through the folder it is not looked through again."""
# Of the files that this process writes: no two at once have one name, whichever thread they come
# from.
_numbers = itertools.count()

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Kept:
    used: float
    size: int
    path: Path

    @property
    def incoming(self) -> bool:
        """Whether it is still being written, unless its writer died."""
        return self.path.name.startswith(INCOMING)


class InputStore:
    """At most `max_bytes` of inputs in `folder`, each for `max_seconds` after its last use.

    Raises SettingsError if the folder cannot be made, or is somebody else's.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        max_seconds: float,
        metrics: InputStoreMetrics | None = None,
    ) -> None:
        self._metrics = metrics or InputStoreMetrics()
        self._counting = threading.Lock()
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        # Sweeping costs a look at every file, so it is done per sixteenth of the room, and that
        # much is kept free.
        self._spare = max_bytes // SHARE
        self._unswept = 0
        self._swept = float("-inf")
        self._sweeping = threading.Lock()
        self._usage, self._look_again = (0, 0), 0.0
        self._prefix = os.path.join(folder, "")  # noqa: PTH118 - paths cost more than the system call
        _make_private(folder)

    def put(self, data: bytes) -> str:
        """Keep these bytes and return their id; an input larger than the whole store gets an id but
        is not kept.
        """
        input_id = hashlib.sha256(data).hexdigest()
        if len(data) > self._max_bytes - self._spare:
            return input_id
        if not self._counted(input_id):
            self._keep(self._folder / input_id, data)
        return input_id

    def usage(self) -> tuple[int, int]:
        """How many inputs are kept and their bytes; a folder that takes long to look through is
        looked at rarely.
        """
        began = time.monotonic()
        if began >= self._look_again:
            self._usage = _usage(self._folder)
            # A full store takes a while to look through.
            self._look_again = time.monotonic() + LOOK_SHARE * (time.monotonic() - began)
        return self._usage

    def _counted(self, input_id: str) -> bool:
        """Count a use of an input that is here: the quickest way for the same one again and again."""
        try:
            os.utime(f"{self._prefix}{input_id}")
        except OSError:
            return False
        return True

    def get(self, input_id: str) -> bytes:
        """The bytes kept under this id; raises UnknownInput if there are none (any more)."""
        if not ID.fullmatch(input_id):
            raise UnknownInput(
                "this is not an input id; post the input and use the input_id of the answer"
            )
        data = self._read(self._folder / input_id)
        self._count(self._metrics.misses if data is None else self._metrics.hits)
        if data is None:
            raise UnknownInput(_gone(input_id))
        return data

    def use(self, input_id: str) -> None:
        """Count a use of an input whose bytes are not needed; raises UnknownInput as `get` does."""
        path = f"{self._prefix}{input_id if ID.fullmatch(input_id) else INCOMING}"
        try:
            if time.time() - os.stat(path).st_mtime <= self._max_seconds:  # noqa: PTH116
                with contextlib.suppress(OSError):
                    os.utime(path)
                self._count(self._metrics.hits)
                return
            self._drop(Path(path))
        except OSError:
            pass
        self._count(self._metrics.misses)
        raise UnknownInput(_gone(input_id))

    def _read(self, path: Path) -> bytes | None:
        """The bytes of a file that is there, young enough and whole; one that is not goes away."""
        try:
            young, data = self._found(path)
            if young and hashlib.sha256(data).hexdigest() != path.name:
                # It is being written at this moment, or a machine that went down left the name
                # without the bytes.
                time.sleep(BEING_WRITTEN_SECONDS)
                young, data = self._found(path)
            if young and hashlib.sha256(data).hexdigest() == path.name:
                # On a disk that has become read-only the use goes uncounted.
                with contextlib.suppress(OSError):
                    os.utime(path)
                return data
            self._drop(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("input not read", input_id=path.name, reason=error.strerror)
        return None

    def _found(self, path: Path) -> tuple[bool, bytes]:
        """Whether a file is young enough, and what it holds now."""
        with path.open("rb") as file:
            return time.time() - os.fstat(file.fileno()).st_mtime <= self._max_seconds, file.read()

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            try:
                self._write(path.name, data)
            except FileNotFoundError:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write(path.name, data)
        except OSError as error:
            # A full disk must not fail the prediction: the caller is told to post again when it
            # asks for the input.
            log.warning("input not kept", input_id=path.name, reason=error.strerror)

    def _write(self, name: str, data: bytes) -> None:
        self._make_room(len(data))
        _write(self._prefix, name, data)
        self._count(self._metrics.writes)

    def _make_room(self, size: int) -> None:
        with self._sweeping:
            self._unswept += size
            if self._unswept > self._spare or time.monotonic() - self._swept > SWEEP_SECONDS:
                self._sweep(size)
                self._unswept, self._swept = 0, time.monotonic()

    def _sweep(self, coming: int) -> None:
        """Delete what is too old, then the least recently used until `coming` bytes fit and some
        are to spare.
        """
        kept = sorted(_kept(self._folder), key=lambda each: each.used)
        total = sum(each.size for each in kept)
        oldest = time.time() - self._max_seconds
        for each in kept:
            if each.used >= oldest and (
                each.incoming or total + coming <= self._max_bytes - self._spare
            ):
                continue
            self._drop(each.path)
            total -= each.size

    def _drop(self, path: Path) -> None:
        _remove(path)
        self._count(self._metrics.evictions)

    def _count(self, counter: Counter) -> None:
        with self._counting:
            counter.inc()


def _gone(input_id: str) -> str:
    return f"no input is kept as {input_id}, perhaps no longer; post it again"


def _make_private(folder: Path) -> None:
    """The folder, readable by this user only: in a shared temporary folder its name could be taken
    by another.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (
            hasattr(os, "getuid") and found.st_uid != os.getuid()
        ):
            raise SettingsError(f"input_store {folder} is not a folder of this user; name another")
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"input_store {folder} cannot be used ({error.strerror}); name another"
        ) from None


def _write(prefix: str, name: str, data: bytes) -> None:
    """Write a file whole or not at all; in system calls alone, for every new input waits for it."""
    if len(data) <= AT_ONCE_BYTES:
        _write_at_once(prefix + name, data)
        return
    incoming = f"{prefix}{INCOMING}{os.getpid()}-{next(_numbers)}"
    number = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(number, left) :]
        finally:
            os.close(number)
        os.rename(incoming, prefix + name)  # noqa: PTH104
    except OSError:
        _remove(Path(incoming))
        raise


def _write_at_once(path: str, data: bytes) -> None:
    """Write a small file under its own name: renaming would take as long again, and a reader knows
    half of one.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Another worker was given the same.
        return
    try:
        try:
            if os.write(number, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(number)
    except OSError:
        _remove(Path(path))
        raise


def _kept(folder: Path) -> list[_Kept]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if ID.fullmatch(entry.name) or entry.name.startswith(INCOMING):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append(_Kept(status.st_mtime, status.st_size, Path(entry.path)))
    return found


def _usage(folder: Path) -> tuple[int, int]:
    """Files and bytes, without making objects of them: there may be very many."""
    files = size = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if ID.fullmatch(entry.name):
                    try:
                        size += entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue
                    files += 1
    except OSError:
        pass
    return files, size


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
