"""When models are loaded and dropped: at start-up only, as their files change, or when somebody
asks for it by name.

A new model is read, loaded and run once before it takes the place of the former one, in one step;
requests keep the model that they began with, and its memory is free when the last of them is done.
A file that cannot be served changes nothing but what is told about it. All of this waits for files
and for the runtime: it is no work for the event loop.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import structlog

from service.errors import ModelRefused, NotAllowed, SettingsError, UnknownModel
from service.repository import scan
from service.repository.catalogue import Catalogue, ModelControl, ModelEntry
from service.repository.loader import Loader, Refused
from service.repository.model import short
from service.repository.scan import Entry, ModelKey, Scan

EVERYTHING = "*"
CHANGING = "its files are still being written; try again later"
GONE = "its file is gone; it goes on until another version of the model can be loaded"
NOT_LOADED = "not loaded"
_NOTHING = Scan({})

State = Literal["READY", "UNAVAILABLE"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class IndexEntry:
    """A version of a model, whether it answers, and what else there is to say: why not, or what
    became of its file.
    """

    name: str
    version: str
    state: State
    reason: str


class ModelManager:
    """Keeps `repository` as the folder and the callers want it; every method may be called from any
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
        self._folder = models
        self._loader = loader
        self._mode = mode
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._unread, self._unreadable = "", frozenset[str]()
        self._held: Mapping[ModelKey, ModelEntry] = {}
        self._before = self._look()
        self._held = self._first(self._before or _NOTHING, at_start)
        self.repository = Catalogue(self._held, default, mode)

    def index(self) -> list[IndexEntry]:
        """Every version that is loaded, was refused, or could be loaded, by name and number."""
        found = {key: _listed(each) for key, each in self.repository.held.items()}
        if self._mode == "explicit":
            for key in (self._look() or _NOTHING).entries:
                found.setdefault(key, IndexEntry(*key, "UNAVAILABLE", NOT_LOADED))
        return sorted(found.values(), key=lambda each: (each.name, int(each.version)))

    def load(self, name: str) -> None:
        """Load the model of this name as it is on disk now, all its versions; what did not change
        is left alone.

        Raises NotAllowed unless models are loaded on request, UnknownModel, and ModelRefused if a
        version cannot be served: the others are then, and where its file was another before, that
        goes on.
        """
        self._check_allowed()
        with self._lock:
            entries = self._on_disk(name)
            found = {
                key: self._load(entry)
                for key, entry in entries.items()
                if self._is_new(entry, again=True)
            }
            held = {key: each for key, each in found.items() if each is not None}
            kept, dropped = self._missing(name, entries.keys(), held)
            self._publish({**held, **kept}, dropped)
        reasons = {
            version: CHANGING if each is None else each.reason
            for (_, version), each in found.items()
        }
        bad = [f"version {version}: {reason}" for version, reason in reasons.items() if reason]
        if bad:
            raise ModelRefused(f"not all of model '{name}' could be loaded: {'; '.join(bad)}")

    def unload(self, name: str) -> None:
        """Serve no version of this model any more; nothing happens if none is.

        Raises NotAllowed unless models are loaded on request, UnknownModel for what is neither
        loaded nor on disk.
        """
        self._check_allowed()
        with self._lock:
            mine = {key for key in self._held if key[0] == name}
            if not mine:
                self._on_disk(name)
            self._publish({}, mine)

    def look(self) -> None:
        """Load what is new and kept still since the last look, and drop what was missing in both."""
        with self._lock:
            now, before = self._look(), self._before or _NOTHING
            if now is None:
                return
            self._before = now
            for key, entry in now.entries.items():
                was = before.entries.get(key)
                if was is not None and was.signature == entry.signature and self._is_new(entry):
                    held = self._load(entry)
                    self._publish({} if held is None else {key: held})
            present = now.entries.keys() | before.entries.keys()
            for name in {name for name, _ in self._held} - now.unreadable:
                self._publish(*self._missing(name, present))

    def watch(self, seconds: float) -> None:
        """Look every so many seconds, in a thread of its own, until `close`."""
        self._thread = threading.Thread(
            target=self._watch, args=(seconds,), name="fovea-models", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Look no more; waits for a model that is being loaded."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, seconds: float) -> None:
        while not self._closing.wait(seconds):
            try:
                self.look()
            except Exception:
                # Whatever is wrong with one look: what is served goes on, and the next look may be
                # better.
                log.exception("models not looked at")

    def _check_allowed(self) -> None:
        if self._mode != "explicit":
            raise NotAllowed(
                f"models are not loaded on request here: FOVEA_MODEL_CONTROL is '{self._mode}', "
                "and not 'explicit'"
            )

    def _first(self, found: Scan, names: Sequence[str]) -> Mapping[ModelKey, ModelEntry]:
        """What is held at start-up."""
        wanted = self._mode != "explicit" or EVERYTHING in names
        loaded = {
            key: self._load(entry)
            for key, entry in found.entries.items()
            if wanted or key[0] in names
        }
        held = {key: each for key, each in loaded.items() if each is not None}
        served = {name for (name, _), each in held.items() if each.model is not None}
        for name in names:
            if name not in served and name != EVERYTHING:
                reasons = "; ".join(
                    f"version {key[1]}: {each.reason}"
                    for key, each in held.items()
                    if key[0] == name
                )
                known = ", ".join(sorted({name for name, _ in found.entries})) or "none"
                raise SettingsError(
                    f"FOVEA_LOAD_MODELS names '{name}', which cannot be loaded "
                    f"({reasons or f'the models folder has {known}'})"
                )
        return held

    def _look(self) -> Scan | None:
        """What the folder holds now; None if it cannot be listed, which says nothing about the
        models.
        """
        try:
            found = scan.scan(self._folder)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if reason != self._unread and self._mode != "none":
                log.warning(
                    "models folder not read", models=str(self._folder.absolute()), reason=reason
                )
            self._unread = reason
            return None
        self._unread = ""
        for name in found.unreadable - self._unreadable:
            log.warning("model folder not read", model=name)
        self._unreadable = found.unreadable
        return found

    def _on_disk(self, name: str) -> Mapping[ModelKey, Entry]:
        """The versions of a model; what is no name of a folder in the models folder is none,
        whatever path it makes.
        """
        entries = {
            key: entry
            for key, entry in (self._look() or _NOTHING).entries.items()
            if key[0] == name
        }
        if not entries:
            raise UnknownModel(f"there is no model '{short(name)}' in the models folder")
        return entries

    def _is_new(self, entry: Entry, *, again: bool = False) -> bool:
        """Whether the file is another than was loaded or refused last; with `again`, also one that
        was refused.
        """
        held = self._held.get(entry.key)
        if held is None or held.gone or held.entry.signature != entry.signature:
            return True
        return again and bool(held.reason)

    def _load(self, entry: Entry) -> ModelEntry | None:
        """What is held of a file from now on; None if it was written to meanwhile."""
        if self._mode == "none":
            return ModelEntry.of(entry, self._loader.load(entry))
        former = self._held.get(entry.key)
        digest = scan.digest(entry.path.parent)
        if former is not None and former.model is not None and digest and digest == former.digest:
            return ModelEntry(entry, former.model, digest=digest)
        found = self._loader.load(entry)
        if not scan.unchanged(entry):
            return None
        if isinstance(found, Refused) and former is not None:
            return ModelEntry(entry, former.model, found.reason, former.digest)
        return ModelEntry.of(entry, found, digest)

    def _missing(
        self,
        name: str,
        present: Collection[ModelKey],
        found: Mapping[ModelKey, ModelEntry] | None = None,
    ) -> tuple[Mapping[ModelKey, ModelEntry], AbstractSet[ModelKey]]:
        """Of this model's versions without a file: those that go on, since no other of it is
        served, and the others.
        """
        mine = {
            key: each for key, each in {**self._held, **(found or {})}.items() if key[0] == name
        }
        gone = mine.keys() - present
        others = any(key[0] == name for key in present)
        served = any(each.model is not None for key, each in mine.items() if key not in gone)
        kept = {key for key in gone if mine[key].model is not None and others and not served}
        return {
            key: replace(mine[key], gone=True) for key in kept if not mine[key].gone
        }, gone - kept

    def _publish(
        self, changed: Mapping[ModelKey, ModelEntry], dropped: AbstractSet[ModelKey] = frozenset()
    ) -> None:
        if not changed and not dropped:
            return
        answered, former = self.repository.answering, self._held
        self._held = {
            key: each for key, each in {**former, **changed}.items() if key not in dropped
        }
        self.repository.replace(self._held)
        for (name, version), each in changed.items():
            _tell(name, version, each, former.get((name, version)))
        for name, version in sorted(dropped):
            if former[name, version].model is not None:
                log.info("model unloaded", model=name, version=version)
        for name, model in self.repository.answering.items():
            if name in answered and answered[name] is not model:
                log.info(
                    "model swapped",
                    model=name,
                    version=model.version,
                    before=answered[name].version,
                )


def _tell(name: str, version: str, held: ModelEntry, former: ModelEntry | None) -> None:
    """One line about a version that changed; none if only the dates of its files did."""
    if held.gone:
        log.warning("model file gone", model=name, version=version, reason=GONE)
    elif held.reason:
        going_on = None if held.model is None else "the former one"
        log.error(
            "model refused", model=name, version=version, reason=held.reason, serving=going_on
        )
    elif former is None or held.model is not former.model:
        log.info("model loaded", model=name, version=version)


def _listed(held: ModelEntry) -> IndexEntry:
    reason = held.reason
    if reason and held.model is not None:
        reason = f"its new file was refused, the former one goes on: {reason}"
    reason = reason or (GONE if held.gone else "")
    return IndexEntry(
        held.entry.name,
        held.entry.version,
        "UNAVAILABLE" if held.model is None else "READY",
        reason,
    )
