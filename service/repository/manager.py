"""When models are loaded and dropped: at start-up only, as their files change, or when a caller
asks for it by name.

A new model is read, loaded and run once before it replaces the former one, in one step; requests
keep the model that they began with, and its memory is free when the last of them is done. A file
that cannot be served changes nothing but what is said about it. All of this waits for files and for
the runtime: it is no work for the event loop.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from service.errors import ModelRefused, NotAllowed, SettingsError, UnknownModel
from service.repository.catalogue import Catalogue, ModelControl
from service.repository.changes import Changes, changes_of_missing, needs_loading, settled
from service.repository.entry import (
    NOT_LOADED,
    Entries,
    IndexEntry,
    ModelEntry,
    index_entry,
    log_change,
    log_dropped,
    log_swaps,
)
from service.repository.loader import Loader, Refused
from service.repository.model import short
from service.repository.scan import ModelFiles, ModelKey, Scan, digest, unchanged
from service.repository.scanner import FolderScanner

ALL_MODELS = "*"
BEING_WRITTEN = "its files are still being written; try again later"
_EMPTY = Scan({})

log = structlog.get_logger(__name__)


class ModelManager:
    """Keeps `catalogue` as the folder and the callers want it; every method may be called from any
    thread.

    `at_start` names what is loaded at start-up if models are loaded on request only. Raises
    SettingsError if one of them cannot be, and for a default model that never will be.
    """

    def __init__(
        self,
        models: Path,
        loader: Loader,
        mode: ModelControl = "none",
        default: str | None = None,
        at_start: Sequence[str] = (),
    ) -> None:
        self._loader = loader
        self._mode = mode
        self._scanner = FolderScanner(models, warns=mode != "none")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._entries: Entries = {}
        self._last_scan = self._scan()
        self._entries = self._load_at_start(at_start)
        self.catalogue = Catalogue(self._entries, default, mode)

    def index(self) -> list[IndexEntry]:
        """Every version that is loaded, was refused, or could be loaded, by name and number."""
        index = {key: index_entry(entry) for key, entry in self._entries.items()}
        if self._mode == "explicit":
            for key in self._scan().files:
                index.setdefault(key, IndexEntry(*key, "UNAVAILABLE", NOT_LOADED))
        return sorted(index.values(), key=lambda entry: (entry.name, int(entry.version)))

    def load(self, name: str) -> None:
        """Load the model of this name as it is on disk now, all its versions; what did not change
        is left alone.

        Raises NotAllowed unless models are loaded on request, UnknownModel, and ModelRefused if a
        version cannot be served: the others are then, and where its file was another before, that
        goes on.
        """
        self._check_allowed()
        with self._lock:
            on_disk = self._on_disk(name)
            loaded = {
                key: self._load(files)
                for key, files in on_disk.items()
                if needs_loading(files, self._entries.get(key), retry=True)
            }
            entries = _without_unsettled(loaded)
            missing = changes_of_missing(name, on_disk.keys(), {**self._entries, **entries})
            self._publish(Changes({**entries, **missing.changed}, missing.dropped))
        _raise_refused(name, loaded)

    def unload(self, name: str) -> None:
        """Serve no version of this model any more; nothing happens if none is.

        Raises NotAllowed unless models are loaded on request, UnknownModel for what is neither
        loaded nor on disk.
        """
        self._check_allowed()
        with self._lock:
            versions = frozenset(key for key in self._entries if key[0] == name)
            if not versions:
                self._on_disk(name)
            self._publish(Changes(dropped=versions))

    def poll(self) -> None:
        """Load what is new and did not change since the last poll, and drop what was missing in
        both.
        """
        with self._lock:
            now, before = self._scanner.scan(), self._last_scan
            if now is None:
                return
            self._last_scan = now
            for files in settled(now, before):
                if needs_loading(files, self._entries.get(files.key)):
                    self._publish(Changes(_without_unsettled({files.key: self._load(files)})))
            present = now.files.keys() | before.files.keys()
            for name in {name for name, _ in self._entries} - now.unreadable:
                self._publish(changes_of_missing(name, present, self._entries))

    def watch(self, seconds: float) -> None:
        """Poll every so many seconds, in a thread of its own, until `close`."""
        self._thread = threading.Thread(
            target=self._watch, args=(seconds,), name="fovea-models", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop polling; waits for a model that is being loaded."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, seconds: float) -> None:
        while not self._closing.wait(seconds):
            try:
                self.poll()
            except Exception:
                # Whatever went wrong in one poll: what is served goes on, and the next may succeed.
                log.exception("models poll failed")

    def _check_allowed(self) -> None:
        if self._mode != "explicit":
            raise NotAllowed(
                f"models are not loaded on request here: FOVEA_MODEL_CONTROL is '{self._mode}', "
                "and not 'explicit'"
            )

    def _load_at_start(self, names: Sequence[str]) -> Entries:
        everything = self._mode != "explicit" or ALL_MODELS in names
        scan = self._last_scan
        loaded = {
            key: self._load(files)
            for key, files in scan.files.items()
            if everything or key[0] in names
        }
        entries = _without_unsettled(loaded)
        for name in names:
            if name != ALL_MODELS:
                _check_served(name, entries, scan)
        return entries

    def _scan(self) -> Scan:
        return self._scanner.scan() or _EMPTY

    def _on_disk(self, name: str) -> Mapping[ModelKey, ModelFiles]:
        """The versions of a model; what is no name of a folder in the models folder has none,
        whatever path it makes.
        """
        versions = self._scan().of_model(name)
        if not versions:
            raise UnknownModel(f"there is no model '{short(name)}' in the models folder")
        return versions

    def _load(self, files: ModelFiles) -> ModelEntry | None:
        """The entry of a version from now on; None if its files were written to meanwhile."""
        if self._mode == "none":
            return ModelEntry.first(files, self._loader.load(files))
        former = self._entries.get(files.key)
        sha256 = digest(files.path.parent)
        if former is not None and former.served and sha256 and sha256 == former.digest:
            return ModelEntry(files, former.model, digest=sha256)
        loaded = self._loader.load(files)
        if not unchanged(files):
            return None
        if isinstance(loaded, Refused) and former is not None:
            return ModelEntry(files, former.model, loaded.reason, former.digest)
        return ModelEntry.first(files, loaded, sha256)

    def _publish(self, changes: Changes) -> None:
        if not changes:
            return
        newest, before = self.catalogue.newest, self._entries
        self._entries = changes.apply(before)
        self.catalogue.replace(self._entries)
        for key, entry in changes.changed.items():
            log_change(key, entry, before.get(key))
        for key in sorted(changes.dropped):
            log_dropped(key, before[key])
        log_swaps(newest, self.catalogue.newest)


def _without_unsettled(loaded: Mapping[ModelKey, ModelEntry | None]) -> Entries:
    return {key: entry for key, entry in loaded.items() if entry is not None}


def _raise_refused(name: str, loaded: Mapping[ModelKey, ModelEntry | None]) -> None:
    """Raise ModelRefused if one of these versions could not be loaded."""
    reasons = {
        version: BEING_WRITTEN if entry is None else entry.reason
        for (_, version), entry in loaded.items()
    }
    failures = [f"version {version}: {reason}" for version, reason in reasons.items() if reason]
    if failures:
        raise ModelRefused(f"not all of model '{name}' could be loaded: {'; '.join(failures)}")


def _check_served(name: str, entries: Entries, scan: Scan) -> None:
    """Raise SettingsError unless a version of this model is served."""
    versions = {key: entry for key, entry in entries.items() if key[0] == name}
    if any(entry.served for entry in versions.values()):
        return
    reasons = [f"version {key[1]}: {entry.reason}" for key, entry in versions.items()]
    known = ", ".join(sorted({name for name, _ in scan.files})) or "none"
    reason = "; ".join(reasons) or f"the models folder has {known}"
    raise SettingsError(f"FOVEA_LOAD_MODELS names '{name}', which cannot be loaded ({reason})")
