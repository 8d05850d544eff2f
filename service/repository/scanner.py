"""Scans the models folder and logs what could not be read, once until it changes."""

from pathlib import Path

import structlog

from service.repository.scan import Scan, scan

log = structlog.get_logger(__name__)


class FolderScanner:
    """Scans one folder; with `warns` a folder that cannot be listed is worth a warning."""

    def __init__(self, folder: Path, *, warns: bool) -> None:
        self._folder = folder
        self._warns = warns
        self._failure = ""
        self._unreadable = frozenset[str]()

    def scan(self) -> Scan | None:
        """What the folder holds now; None if it cannot be listed, which says nothing about the
        models.
        """
        try:
            result = scan(self._folder)
        except OSError as error:
            self._log_failure(error.strerror or type(error).__name__)
            return None
        self._failure = ""
        for name in result.unreadable - self._unreadable:
            log.warning("model folder unreadable", model=name)
        self._unreadable = result.unreadable
        return result

    def _log_failure(self, reason: str) -> None:
        if self._warns and reason != self._failure:
            folder = str(self._folder.absolute())
            log.warning("models folder unreadable", models=folder, reason=reason)
        self._failure = reason
