"""What was posted before, kept by the SHA-256 of its bytes in one folder that all workers of a
machine share.

What is read is checked by its name, so that nobody is given half of one; a read counts as a use.
The folder is bounded by bytes and by age since the last use, the least recently used go first, and
any worker may delete any file at any time: losing one costs the caller a second upload, never an
answer. Only files that the store named are counted or deleted.
"""

import contextlib
import hashlib
import os
import threading
import time
from pathlib import Path

import structlog

from service.errors import UnknownInput
from service.inputs.store_files import (
    ID,
    INCOMING,
    count_files,
    list_files,
    make_private,
    remove,
    write_file,
)
from service.telemetry.instruments import Counter
from service.telemetry.metrics import InputStoreMetrics

SWEEP_SECONDS = 10.0
SPARE_SHARE = 16
BEING_WRITTEN_SECONDS = 0.01
USAGE_INTERVAL = 50
"""How many times as long as it takes to look through the folder it is not looked through again."""

log = structlog.get_logger(__name__)


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
        self._spare = max_bytes // SPARE_SHARE
        self._unswept = 0
        self._swept = float("-inf")
        self._sweeping = threading.Lock()
        self._usage, self._look_again = (0, 0), 0.0
        self._prefix = os.path.join(folder, "")  # noqa: PTH118 - paths cost more than the system call
        make_private(folder)

    def put(self, data: bytes) -> str:
        """Keep these bytes and return their id; an input larger than the whole store gets an id but
        is not kept.
        """
        input_id = hashlib.sha256(data).hexdigest()
        if len(data) > self._max_bytes - self._spare:
            return input_id
        if not self._touch(input_id):
            self._keep(self._folder / input_id, data)
        return input_id

    def usage(self) -> tuple[int, int]:
        """How many inputs are kept and their bytes; a folder that takes long to look through is
        looked at rarely.
        """
        began = time.monotonic()
        if began >= self._look_again:
            self._usage = count_files(self._folder)
            # A full store takes a while to look through.
            self._look_again = time.monotonic() + USAGE_INTERVAL * (time.monotonic() - began)
        return self._usage

    def _touch(self, input_id: str) -> bool:
        """Count a use of an input; False if it is not here. The quickest way for a repeated one."""
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
            young, data = self._read_file(path)
            if young and not _is_whole(path, data):
                # It is being written at this moment, or a machine that went down left the name
                # without the bytes.
                time.sleep(BEING_WRITTEN_SECONDS)
                young, data = self._read_file(path)
            if young and _is_whole(path, data):
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

    def _read_file(self, path: Path) -> tuple[bool, bytes]:
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
        write_file(self._prefix, name, data)
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
        files = sorted(list_files(self._folder), key=lambda file: file.last_use)
        total = sum(file.size for file in files)
        oldest = time.time() - self._max_seconds
        for file in files:
            fits = total + coming <= self._max_bytes - self._spare
            if file.last_use >= oldest and (file.incoming or fits):
                continue
            self._drop(file.path)
            total -= file.size

    def _drop(self, path: Path) -> None:
        remove(path)
        self._count(self._metrics.evictions)

    def _count(self, counter: Counter) -> None:
        with self._counting:
            counter.inc()


def _is_whole(path: Path, data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == path.name


def _gone(input_id: str) -> str:
    return f"no input is kept as {input_id}, perhaps no longer; post it again"
