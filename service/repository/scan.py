"""The models folder as it is on disk, `<name>/<version>/model.onnx`, without reading the files.

Versions are numbers. Hidden folders and names that are no text stay out. The files of a version are
all that are in its folder, since a graph may keep its weights beside it; hidden files, which are
still being written, and the samples are not.
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
"""Each file of a version: its path inside, bytes, nanoseconds of its last change, and inode."""


@dataclass(frozen=True)
class ModelFiles:
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
    """What the folder held at one moment; the models in `unreadable` may have been there or not."""

    files: Mapping[ModelKey, ModelFiles]
    unreadable: frozenset[str] = frozenset()

    def of_model(self, name: str) -> Mapping[ModelKey, ModelFiles]:
        """The versions of one model."""
        return {key: files for key, files in self.files.items() if key[0] == name}


def scan(folder: Path) -> Scan:
    """The model files by name and version; raises OSError where `folder` cannot be listed."""
    files: dict[ModelKey, ModelFiles] = {}
    unreadable = set()
    for name in _folders(folder):
        if not name.isprintable():
            # Bytes that no response can hold as text, or a line break, which would end a log line.
            unreadable.add(name)
            continue
        try:
            # One by one: the versions before one that cannot be read are known.
            for version in _versions(folder, name):
                files[version.key] = version
        except OSError:
            unreadable.add(name)
    return Scan(files, frozenset(unreadable))


def signature(folder: Path) -> Signature:
    """What the files of a version look like now; equal to an earlier one if nothing was written."""
    return tuple((str(path.relative_to(folder)), *_file_state(path)) for path in _files(folder))


def unchanged(files: ModelFiles) -> bool:
    """Whether the files of a version still look as they did."""
    return signature(files.path.parent) == files.signature


def digest(folder: Path) -> str:
    """SHA-256 of the files of a version with their names; empty where one cannot be read."""
    total = hashlib.sha256()
    try:
        for path in _files(folder):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            line = f"{path.relative_to(folder)}\0{content}\n"
            total.update(line.encode("utf-8", "surrogateescape"))
    except OSError:
        return ""
    return total.hexdigest()


def _versions(folder: Path, name: str) -> Iterator[ModelFiles]:
    versions = [version for version in _folders(folder / name) if _is_number(version)]
    for version in sorted(versions, key=int):
        path = folder / name / version / FILE
        if path.exists():
            yield ModelFiles(name, version, path, signature(path.parent))


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        folders = [entry.name for entry in entries if _is_shown(entry.name) and entry.is_dir()]
    return sorted(folders)


def _is_shown(name: str) -> bool:
    return not name.startswith(".")


def _file_state(path: Path) -> tuple[int, int, int]:
    """Bytes, date and inode of a file; zeros if it is not there, such as a dangling link."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0, 0
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        # In place: `os.walk` goes into what is left.
        folders[:] = sorted(name for name in folders if _is_shown(name) and name != SAMPLES)
        yield from (Path(parent) / name for name in sorted(filter(_is_shown, files)))
