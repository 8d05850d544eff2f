"""What the service knows of a model version that was loaded or refused, and what it says of it in
the index and the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import structlog

from service.repository.loader import Refused
from service.repository.model import Model
from service.repository.scan import ModelFiles, ModelKey

FILE_MISSING = "its file is gone; it goes on until another version of the model can be loaded"
NOT_LOADED = "not loaded"

State = Literal["READY", "UNAVAILABLE"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelEntry:
    """A version that was loaded or refused: the model that answers, if any, and why its files were
    refused, if so.

    Both are there where a file was replaced by a bad one: the former model goes on. `digest` is of
    the files of the model.
    """

    files: ModelFiles
    model: Model | None
    reason: str = ""
    digest: str = ""
    file_missing: bool = False

    @classmethod
    def first(cls, files: ModelFiles, loaded: Model | Refused, digest: str = "") -> "ModelEntry":
        """The entry of a version that was not loaded before."""
        if isinstance(loaded, Refused):
            return cls(files, None, loaded.reason)
        return cls(files, loaded, digest=digest)

    @property
    def served(self) -> bool:
        """Whether a model answers."""
        return self.model is not None


Entries = Mapping[ModelKey, ModelEntry]


@dataclass(frozen=True)
class IndexEntry:
    """A version of a model, whether it answers, and why not or what became of its file."""

    name: str
    version: str
    state: State
    reason: str


def index_entry(entry: ModelEntry) -> IndexEntry:
    """What the index says of a version."""
    reason = entry.reason
    if reason and entry.served:
        reason = f"its new file was refused, the former one goes on: {reason}"
    if not reason and entry.file_missing:
        reason = FILE_MISSING
    return IndexEntry(*entry.files.key, "READY" if entry.served else "UNAVAILABLE", reason)


def log_change(key: ModelKey, entry: ModelEntry, before: ModelEntry | None) -> None:
    """Log a version that changed; nothing if only the dates of its files did."""
    name, version = key
    if entry.file_missing:
        log.warning("model file missing", model=name, version=version, reason=FILE_MISSING)
    elif entry.reason:
        log_rejected(name, version, entry.reason, "the former one" if entry.served else None)
    elif before is None or entry.model is not before.model:
        log.info("model loaded", model=name, version=version)


def log_rejected(name: str, version: str, reason: str, serving: str | None = None) -> None:
    """Log a model file that is not served, and what goes on in its place."""
    log.error("model rejected", model=name, version=version, reason=reason, serving=serving)


def log_dropped(key: ModelKey, before: ModelEntry) -> None:
    """Log a version that answers no more."""
    if before.served:
        name, version = key
        log.info("model unloaded", model=name, version=version)


def log_swaps(before: Mapping[str, Model], now: Mapping[str, Model]) -> None:
    """Log each name for which another model answers now."""
    for name, model in now.items():
        former = before.get(name)
        if former is not None and former is not model:
            log.info("model swapped", model=name, version=model.version, before=former.version)
