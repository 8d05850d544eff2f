"""Memory-mapped doubles that outlive the process that counts them and that its siblings can read.

Each worker has a slot, and each slot two files in a folder that the workers share: the doubles, and
a line of text for each block of them that names its series. Only the worker in that slot writes
them, without a system call and without a lock between processes; a double is written in one piece,
so readers need no lock either. The successor of a worker that died takes its slot and goes on
counting where it ended, and the gauges of the dead worker are set to zero. Without a folder the
doubles are memory of this process only.

Only the instruments of `service.telemetry.instruments` read and write these doubles.
"""

import contextlib
import errno
import json
import mmap
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import structlog

CAPACITY = 1 << 17
"""Doubles that a worker can count in: a mebibyte."""
DOUBLE_BYTES = 8

Labels = tuple[str, ...]
Aggregation = Literal["sum", "livesum", "max"]
"""How the values of several workers are put together, in the words of prometheus_client: their sum,
the sum of the workers that live, or the largest.
"""

log = structlog.get_logger(__name__)


class Values(Protocol):
    """The doubles of one series, changed in place."""

    def __getitem__(self, index: int, /) -> float:
        """One of them."""

    def __setitem__(self, index: int, value: float, /) -> None:
        """Change one of them."""


class Key(NamedTuple):
    """Names a series, and says how its values of several workers are put together."""

    aggregation: Aggregation
    name: str
    labels: Labels


Reading = Mapping[Key, tuple[float, ...]]
"""The values of every series, read at one moment."""


class SharedCounters:
    """The doubles of the worker in one slot of `folder`.

    Raises OSError if the files cannot be made.
    """

    def __init__(self, folder: Path | None = None, slot: int = 0) -> None:
        self._folder = folder
        self._slot = slot
        self._lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._blocks: dict[Key, memoryview[float]] = {}
        self._dropped: dict[Key, list[float]] = {}
        self._siblings: dict[str, _Sibling] = {}
        self._used = 0
        if folder is None:
            self._doubles = _private_memory()
        else:
            self._doubles = _mapped_file(_values_file(folder, str(slot)))
            self._restore(_keys_file(folder, str(slot)))

    @property
    def shared(self) -> bool:
        """Whether other workers count too."""
        return self._folder is not None

    def values(self, key: Key, size: int) -> Values:
        """The `size` doubles of this series, zero at first and the same ones each time.

        Where no more doubles fit, they are memory that nobody reads.
        """
        with self._lock:
            return self._blocks.get(key) or self._dropped.get(key) or self._allocate(key, size)

    def read(self) -> Reading:
        """The values of all workers put together."""
        with self._lock:
            totals = {key: tuple(block) for key, block in self._blocks.items()}
        for reading in self._read_siblings():
            for key, values in reading.items():
                totals[key] = _aggregate(key, totals[key], values) if key in totals else values
        return totals

    def read_each(self, key: Key) -> list[tuple[float, ...]]:
        """The values of this series in each worker that has it, this one first."""
        with self._lock:
            block = self._blocks.get(key)
        if block is None:
            return []
        of_siblings = [reading[key] for reading in self._read_siblings() if key in reading]
        return [tuple(block), *of_siblings]

    def _allocate(self, key: Key, size: int) -> Values:
        try:
            self._declare(key, size)
        except OSError as error:
            log.warning("metric dropped", name=key.name, labels=key.labels, reason=error.strerror)
            self._dropped[key] = [0.0] * size
            return self._dropped[key]
        return self._next_block(key, size)

    def _declare(self, key: Key, size: int) -> None:
        """Tell the siblings whose the next doubles are; raises OSError where they do not fit."""
        if self._used + size > CAPACITY:
            raise OSError(errno.ENOSPC, "too many different numbers")
        if self._folder is not None:
            _append_key(_keys_file(self._folder, str(self._slot)), key, size)

    def _next_block(self, key: Key, size: int) -> "memoryview[float]":
        block = self._blocks[key] = self._doubles[self._used : self._used + size]
        self._used += size
        return block

    def _restore(self, keys_file: Path) -> None:
        """Take over what was counted in this slot before."""
        lines = _complete_lines(keys_file, 0)
        for key, size in map(_parse_key, lines):
            self._next_block(key, size)
        if keys_file.exists():
            # A process that was killed may have left half a line.
            os.truncate(keys_file, sum(len(line) + 1 for line in lines))
        self._reset_gauges()

    def _reset_gauges(self) -> None:
        for key, block in self._blocks.items():
            if key.aggregation == "livesum":
                for index in range(len(block)):
                    block[index] = 0.0

    def _read_siblings(self) -> list[Reading]:
        with self._read_lock:
            return [sibling.read() for sibling in self._find_siblings()]

    def _find_siblings(self) -> "list[_Sibling]":
        if self._folder is None:
            return []
        slots = {path.stem for path in self._folder.glob("*.values")} - {str(self._slot)}
        for slot in slots - self._siblings.keys():
            with contextlib.suppress(OSError, ValueError):
                self._siblings[slot] = _Sibling(self._folder, slot)
        return [self._siblings[slot] for slot in sorted(slots & self._siblings.keys())]


class _Sibling:
    """Reads the doubles of another worker."""

    def __init__(self, folder: Path, slot: str) -> None:
        self._keys_file = _keys_file(folder, slot)
        with _values_file(folder, slot).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), CAPACITY * DOUBLE_BYTES, access=mmap.ACCESS_READ)
        self._doubles = memoryview(mapped).cast("d")
        self._bytes_read = 0
        self._used = 0
        self._blocks: dict[Key, memoryview[float]] = {}

    def read(self) -> Reading:
        """The values of every series that the worker has by now."""
        for line in _complete_lines(self._keys_file, self._bytes_read):
            self._bytes_read += len(line) + 1
            key, size = _parse_key(line)
            self._blocks[key] = self._doubles[self._used : self._used + size]
            self._used += size
        return {key: tuple(block) for key, block in self._blocks.items()}


def _values_file(folder: Path, slot: str) -> Path:
    return folder / f"{slot}.values"


def _keys_file(folder: Path, slot: str) -> Path:
    return folder / f"{slot}.keys"


def _private_memory() -> "memoryview[float]":
    return memoryview(mmap.mmap(-1, CAPACITY * DOUBLE_BYTES)).cast("d")


def _mapped_file(path: Path) -> "memoryview[float]":
    size = CAPACITY * DOUBLE_BYTES
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # The disk's blocks are reserved now: a write to mapped memory that finds none kills the
        # process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:
            os.ftruncate(descriptor, size)
        return memoryview(mmap.mmap(descriptor, size)).cast("d")
    finally:
        os.close(descriptor)


def _append_key(path: Path, key: Key, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, json.dumps([*key, size]).encode() + b"\n")
    finally:
        os.close(descriptor)


def _complete_lines(path: Path, start: int) -> list[bytes]:
    """The lines from this byte on, without a last one that is still being written."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _parse_key(line: bytes) -> tuple[Key, int]:
    aggregation, name, labels, size = json.loads(line)
    return Key(aggregation, name, tuple(labels)), size


def _aggregate(key: Key, one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    if key.aggregation == "max":
        return tuple(map(max, one, other))
    return tuple(a + b for a, b in zip(one, other, strict=True))
