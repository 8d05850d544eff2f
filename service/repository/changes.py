"""What a change on disk means for the versions that are known: pure functions of entries and
scans.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from service.repository.entry import Entries, ModelEntry
from service.repository.scan import ModelFiles, ModelKey, Scan


@dataclass(frozen=True)
class Changes:
    """Entries that are new or replaced, and the versions that are dropped."""

    changed: Entries = field(default_factory=dict)
    dropped: frozenset[ModelKey] = frozenset()

    def apply(self, entries: Entries) -> Entries:
        """The entries after these changes."""
        merged = {**entries, **self.changed}
        return {key: entry for key, entry in merged.items() if key not in self.dropped}

    def __bool__(self) -> bool:
        return bool(self.changed or self.dropped)


def needs_loading(files: ModelFiles, entry: ModelEntry | None, *, retry: bool = False) -> bool:
    """Whether the files are others than were loaded or refused last; with `retry`, also those that
    were refused.
    """
    if entry is None or entry.file_missing or entry.files.signature != files.signature:
        return True
    return retry and bool(entry.reason)


def settled(now: Scan, before: Scan) -> list[ModelFiles]:
    """The versions whose files did not change between two scans: nobody is writing them."""
    return [
        files
        for key, files in now.files.items()
        if key in before.files and before.files[key].signature == files.signature
    ]


def changes_of_missing(name: str, present: Collection[ModelKey], entries: Entries) -> Changes:
    """What becomes of the versions of this model whose files are not present.

    They are dropped, but for those that answer while files of the model are there and none of them
    can be served: those go on.
    """
    missing = {key: entry for key, entry in _of_model(name, entries) if key not in present}
    if any(key[0] == name for key in present) and not _any_served(name, present, entries):
        go_on = {key: entry for key, entry in missing.items() if entry.served}
    else:
        go_on = {}
    changed = {
        key: replace(entry, file_missing=True)
        for key, entry in go_on.items()
        if not entry.file_missing
    }
    return Changes(changed, frozenset(missing.keys() - go_on.keys()))


def _any_served(name: str, present: Collection[ModelKey], entries: Entries) -> bool:
    return any(entry.served for key, entry in _of_model(name, entries) if key in present)


def _of_model(name: str, entries: Entries) -> Iterator[tuple[ModelKey, ModelEntry]]:
    return ((key, entry) for key, entry in entries.items() if key[0] == name)
