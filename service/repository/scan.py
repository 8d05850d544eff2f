"""The models folder as it is on disk, `<name>/<version>/model.onnx`, without reading what is in the
files.

Versions are numbers. Hidden folders and names that are no text stay out. A version's files are all
that is in its folder (a graph may keep its weights beside it), but for hidden ones, which are what
is still being written, and the samples.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = "model.onnx"
SAMPLES = "samples"

ModelKey = tuple[str, str]
"""Name and version."""

Signature = tuple[tuple[str, int, int, int], ...]
"""Of each file of a version: its path inside, bytes, nanoseconds of its last change, and its number
on the disk.
"""


@dataclass(frozen=True)
class Entry:
    """A model file on disk, and what it and the files beside it looked like."""

    name: str
    version: str
    path: Path
    signature: Signature = ()

    @property
    def key(self) -> ModelKey:
        """Name and version."""
        return self.name, self.version


@dataclass(frozen=True)
class Scan:
    """What the folder held at one moment; of the models in `unreadable` it could not be told."""

    entries: Mapping[ModelKey, Entry]
    unreadable: frozenset[str] = frozenset()


def scan(folder: Path) -> Scan:
    """The model files by name and version; raises OSError where the folder itself cannot be listed."""
    entries: dict[ModelKey, Entry] = {}
    unreadable = set()
    for name in _folders(folder):
        if not name.isprintable():
            # Bytes that are no text in any answer, or what would break a line of it.
            unreadable.add(name)
            continue
        try:
            versions = [
                each for each in _folders(folder / name) if each.isascii() and each.isdigit()
            ]
            for version in sorted(versions, key=int):
                path = folder / name / version / FILE
                if path.exists():
                    entries[name, version] = Entry(name, version, path, signature(path.parent))
        except OSError:
            unreadable.add(name)
    return Scan(entries, frozenset(unreadable))


def signature(folder: Path) -> Signature:
    """What a version's files look like now; equal to a former one if nothing was written since."""
    return tuple((str(path.relative_to(folder)), *_looks(path)) for path in _files(folder))


def unchanged(entry: Entry) -> bool:
    """Whether a version's files still look as they did."""
    return signature(entry.path.parent) == entry.signature


def digest(folder: Path) -> str:
    """SHA-256 of a version's files, names and all; empty where one cannot be read."""
    whole = hashlib.sha256()
    try:
        for path in _files(folder):
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder)}\0{part}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        return ""
    return whole.hexdigest()


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        return sorted(
            each.name for each in found if not each.name.startswith(".") and each.is_dir()
        )


def _looks(path: Path) -> tuple[int, int, int]:
    """Bytes, date and number of a file; zeros for one that is not there, as where a link leads
    nowhere.
    """
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each != SAMPLES
        )
        yield from (Path(where) / each for each in sorted(files) if not each.startswith("."))
