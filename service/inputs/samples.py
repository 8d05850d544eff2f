"""Inputs to try a model with: the pictures and numbers in the folder `samples` beside its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.errors import UnknownSample

MEDIA_TYPES: Mapping[str, str] = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".npy": "application/x-npy",
    ".csv": "text/csv",
    ".json": "application/json",
}


@dataclass(frozen=True)
class Sample:
    """A file that can be posted as it is."""

    path: Path
    size: int

    @property
    def name(self) -> str:
        """The file's name for people."""
        return " ".join(self.path.stem.replace("_", " ").replace("-", " ").split())

    @property
    def media_type(self) -> str:
        """What the file is, by the end of its name."""
        return MEDIA_TYPES[self.path.suffix.lower()]


def samples(model: Path | None, largest: int) -> tuple[Sample, ...]:
    """The samples beside a model's file, by name; hidden files, links that lead elsewhere and files
    of more than `largest` bytes are left out.
    """
    folder = None if model is None else model.parent / "samples"
    if folder is None or not folder.is_dir():
        return ()
    paths = sorted(path for path in folder.iterdir() if _is_sample(path, folder))
    listed = [Sample(path, path.stat().st_size) for path in paths]
    return tuple(sample for sample in listed if 0 < sample.size <= largest)


def find(listed: tuple[Sample, ...], file: str) -> Sample:
    """The sample of this file name; raises UnknownSample."""
    for sample in listed:
        if sample.path.name == file:
            return sample
    names = ", ".join(sample.path.name for sample in listed[:20]) or "none"
    raise UnknownSample(f"there is no sample '{file[:200]}'; this model has {names}")


def _is_sample(path: Path, folder: Path) -> bool:
    """Whether it is a file of a known kind that lies in the folder, also where it is a link."""
    if path.suffix.lower() not in MEDIA_TYPES or path.name.startswith("."):
        return False
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())
