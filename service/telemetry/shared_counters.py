"""Numbers that outlive the process that counts them, and that its siblings can read: memory-mapped
doubles.

A process has a place, and the place two files in a folder that the processes share: the numbers,
and a line of text for each block of them that says whose they are. Only the process in that place
writes them, without a system call and without waiting for anybody; a number is written in one
piece, so that readers need no lock. Who takes the place of a process that died goes on counting
where it ended, and what was true of the dead one only is forgotten. A ledger without a folder is
memory of this process only.
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

CELLS = 1 << 17
"""Numbers that a process can count: a mebibyte."""

Labels = tuple[str, ...]
Kind = Literal["sum", "now", "latest"]
"""What several processes' numbers make together: their sum, for `now` that of the living ones, or
the largest.
"""

log = structlog.get_logger(__name__)


class Numbers(Protocol):
    """A few numbers that can be changed in place, such as a list or a part of a ledger."""

    def __getitem__(self, place: int, /) -> float:
        """One of them."""

    def __setitem__(self, place: int, value: float, /) -> None:
        """Change one of them."""


class Key(NamedTuple):
    """Whose numbers a block holds, and how those of several processes are put together."""

    kind: Kind
    name: str
    labels: Labels


class SharedCounters:
    """The numbers of the process in one place of `folder`; raises OSError if the files cannot be
    made.
    """

    def __init__(self, folder: Path | None = None, place: int = 0) -> None:
        self._folder = folder
        self._place = place
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._blocks: dict[Key, memoryview[float]] = {}
        self._lost: dict[Key, list[float]] = {}
        self._siblings: dict[str, _Reader] = {}
        self._used = 0
        self._cells = _anonymous() if folder is None else _mapped(folder / f"{place}.cells")
        if folder is not None:
            self._go_on(folder / f"{place}.keys")

    @property
    def shared(self) -> bool:
        """Whether other processes count too."""
        return self._folder is not None

    def block(self, kind: Kind, name: str, labels: Labels, size: int) -> Numbers:
        """The `size` numbers of this key, zero at first; the same ones each time."""
        key = Key(kind, name, labels)
        with self._lock:
            return self._blocks.get(key) or self._lost.get(key) or self._taken(key, size)

    def read(self) -> Mapping[Key, tuple[float, ...]]:
        """The numbers of all processes together."""
        with self._lock:
            whole = {key: tuple(block) for key, block in self._blocks.items()}
        for found in self._read_others():
            for key, values in found.items():
                whole[key] = _together(key, whole[key], values) if key in whole else values
        return whole

    def each(self, key: Key) -> list[tuple[float, ...]]:
        """The numbers of this key in each process that has them, its own first."""
        with self._lock:
            own = self._blocks.get(key)
        return (
            []
            if own is None
            else [tuple(own)] + [found[key] for found in self._read_others() if key in found]
        )

    def _read_others(self) -> list[Mapping[Key, tuple[float, ...]]]:
        with self._reading:
            return [sibling.read() for sibling in self._others()]

    def _taken(self, key: Key, size: int) -> Numbers:
        try:
            self._note(key, size)
        except OSError as error:
            log.warning("not counted", name=key.name, labels=key.labels, reason=error.strerror)
            self._lost[key] = [0.0] * size
            return self._lost[key]
        return self._next(key, size)

    def _note(self, key: Key, size: int) -> None:
        if self._used + size > CELLS:
            raise OSError(errno.ENOSPC, "too many different numbers")
        if self._folder is not None:
            _append(self._folder / f"{self._place}.keys", key, size)

    def _next(self, key: Key, size: int) -> "memoryview[float]":
        block = self._blocks[key] = self._cells[self._used : self._used + size]
        self._used += size
        return block

    def _go_on(self, path: Path) -> None:
        """Take over what was counted in this place before."""
        lines = _lines(path, 0)
        for key, size in map(_parsed, lines):
            self._next(key, size)
        if path.exists():
            # A process that was killed may have left half a line.
            os.truncate(path, sum(len(line) + 1 for line in lines))
        self._forget()

    def _forget(self) -> None:
        """Set to zero what is only true of a process that lives."""
        for block in (block for key, block in self._blocks.items() if key.kind == "now"):
            for place in range(len(block)):
                block[place] = 0.0

    def _others(self) -> "list[_Reader]":
        if self._folder is None:
            return []
        names = {path.stem for path in self._folder.glob("*.cells")} - {str(self._place)}
        for name in names - self._siblings.keys():
            with contextlib.suppress(OSError, ValueError):
                self._siblings[name] = _Reader(self._folder, name)
        return [self._siblings[name] for name in sorted(names & self._siblings.keys())]


class _Reader:
    """The numbers of a sibling."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.keys"
        with (folder / f"{name}.cells").open("rb") as file:
            self._cells = memoryview(
                mmap.mmap(file.fileno(), CELLS * 8, access=mmap.ACCESS_READ)
            ).cast("d")
        self._read = self._used = 0
        self._blocks: dict[Key, memoryview[float]] = {}

    def read(self) -> Mapping[Key, tuple[float, ...]]:
        for line in _lines(self._path, self._read):
            self._read += len(line) + 1
            key, size = _parsed(line)
            self._blocks[key] = self._cells[self._used : self._used + size]
            self._used += size
        return {key: tuple(block) for key, block in self._blocks.items()}


def _anonymous() -> "memoryview[float]":
    return memoryview(mmap.mmap(-1, CELLS * 8)).cast("d")


def _mapped(path: Path) -> "memoryview[float]":
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Room on the disk is had now or never: a write to mapped memory that finds none ends the
        # process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(number, 0, CELLS * 8)
        else:
            os.ftruncate(number, CELLS * 8)
        return memoryview(mmap.mmap(number, CELLS * 8)).cast("d")
    finally:
        os.close(number)


def _append(path: Path, key: Key, size: int) -> None:
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(number, json.dumps([*key, size]).encode() + b"\n")
    finally:
        os.close(number)


def _lines(path: Path, start: int) -> list[bytes]:
    """The whole lines from here on."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _parsed(line: bytes) -> tuple[Key, int]:
    kind, name, labels, size = json.loads(line)
    return Key(kind, name, tuple(labels)), size


def _together(key: Key, one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(max if key.kind == "latest" else _sum, one, other))


def _sum(one: float, other: float) -> float:
    return one + other
