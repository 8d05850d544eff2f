"""The models that are served. What is on disk is the folder's matter, when it is loaded that of the
control.

A file that cannot be served is refused with its name and the reason, and the others are served. The
highest version answers where a request names none. What is served at one moment is one value that
is replaced whole: a request sees all of a change or nothing of it, and keeps the model that it got.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.errors import NotReady, SettingsError, UnknownModel
from service.repository.loader import Loader, Refused
from service.repository.model import Model, short
from service.repository.scan import Entry, ModelKey, scan
from service.repository.session_cache import LRUCache
from service.runtime.engine import Engine

PREFERRED = "imagenet"
ModelControl = Literal["none", "poll", "explicit"]


@dataclass(frozen=True)
class ModelEntry:
    """A version that was loaded or refused: the model that answers, if any, and why its file was
    refused, if so.

    Both are there where a file was replaced by a bad one: the former model goes on. `digest` is of
    the files of the model; `gone` says that the file is no more.
    """

    entry: Entry
    model: Model | None
    reason: str = ""
    digest: str = ""
    gone: bool = False

    @classmethod
    def of(cls, entry: Entry, found: Model | Refused, digest: str = "") -> "ModelEntry":
        """What came of loading it for the first time."""
        return (
            cls(entry, None, found.reason)
            if isinstance(found, Refused)
            else cls(entry, found, digest=digest)
        )


@dataclass(frozen=True)
class _Served:
    """What is served at one moment."""

    held: Mapping[ModelKey, ModelEntry]
    models: Mapping[str, Mapping[str, Model]]
    newest: Mapping[str, Model]
    refused: tuple[Refused, ...]
    preferred: str | None

    @classmethod
    def of(cls, held: Mapping[ModelKey, ModelEntry]) -> "_Served":
        """What follows from what is held."""
        ordered = {key: held[key] for key in sorted(held, key=lambda key: (key[0], int(key[1])))}
        models: dict[str, dict[str, Model]] = {}
        for (name, version), each in ordered.items():
            if each.model is not None:
                models.setdefault(name, {})[version] = each.model
        refused = tuple(Refused(*key, each.reason) for key, each in ordered.items() if each.reason)
        preferred = PREFERRED if PREFERRED in models else min(models, default=None)
        return cls(
            ordered,
            models,
            {name: each[newest(each)] for name, each in models.items()},
            refused,
            preferred,
        )

    def find(self, spec: str) -> Model | None:
        """The model `NAME` or `NAME:VERSION`."""
        name, _, version = spec.partition(":")
        return self.models.get(name, {}).get(version) if version else self.newest.get(name)


class Catalogue:
    """The models that are served, and the files that were refused; reading it needs no lock.

    Raises SettingsError for a default model that is not served and, since `control` is none, never
    will be.
    """

    def __init__(
        self,
        held: Mapping[ModelKey, ModelEntry],
        default: str | None = None,
        control: ModelControl = "none",
    ) -> None:
        self._wanted = default or None
        self._control = control
        self._served = _Served.of(held)
        if control == "none" and self.without_default:
            why, known = self._why(str(default).partition(":")[0]), _names(self.models)
            raise SettingsError(
                f"FOVEA_DEFAULT_MODEL is '{default}', which is not served{why}; known models: "
                f"{known}"
            )

    @classmethod
    def load(
        cls,
        folder: Path,
        engine: Engine | Loader,
        default: str | None = None,
        kept_sessions: int = 8,
    ) -> "Catalogue":
        """Read and load every version of every model under `folder` once; nothing there is no
        error.
        """
        loader = engine if isinstance(engine, Loader) else Loader(engine, LRUCache(kept_sessions))
        try:
            entries = scan(folder).entries
        except OSError:
            entries = {}
        return cls(
            {key: ModelEntry.of(entry, loader.load(entry)) for key, entry in entries.items()},
            default,
        )

    def replace(self, held: Mapping[ModelKey, ModelEntry]) -> None:
        """Serve this from now on; requests that have begun end with the models that they got."""
        self._served = _Served.of(held)

    @property
    def held(self) -> Mapping[ModelKey, ModelEntry]:
        """Every version that was loaded or refused."""
        return self._served.held

    @property
    def models(self) -> Mapping[str, Mapping[str, Model]]:
        """What is served: by name, then by version."""
        return self._served.models

    @property
    def answering(self) -> Mapping[str, Model]:
        """Of each name the version that answers for it, the highest."""
        return self._served.newest

    @property
    def refused(self) -> tuple[Refused, ...]:
        """The files that cannot be served."""
        return self._served.refused

    @property
    def default(self) -> str | None:
        """`NAME` or `NAME:VERSION` of what answers where no model is named; None where nothing is
        served.
        """
        return self._wanted or self._served.preferred

    def get(self, spec: str | None = None) -> Model:
        """The model `NAME` or `NAME:VERSION`, or the default one.

        Raises UnknownModel, and NotReady if none is served or the default one is not.
        """
        served = self._served
        wanted = spec or self._wanted or served.preferred
        model = None if wanted is None else served.find(wanted)
        if model is not None:
            return model
        if not spec or not (served.models or self._control == "explicit"):
            raise NotReady(self.without_default if served.models else self._empty)
        name, _, version = spec.partition(":")
        if name in served.models:
            versions = _names(served.models[name])
            raise UnknownModel(
                f"model '{name}' has no version '{short(version)}'; served are {versions}"
            )
        raise UnknownModel(f"there is no model '{short(name)}'; served are {_names(served.models)}")

    @property
    def trouble(self) -> str:
        """Why nothing can be answered; empty if a model is served, or if models are loaded on
        request only.
        """
        return "" if self.models or self._control == "explicit" else self._empty

    @property
    def without_default(self) -> str:
        """Why requests that name no model are refused while others are answered; empty if they are
        answered.
        """
        if self._wanted is None or self._served.find(self._wanted) is not None:
            return ""
        why = self._why(self._wanted.partition(":")[0])
        return f"the default model '{self._wanted}' is not served{why}; served are {_names(self.models)}"

    @property
    def counts(self) -> tuple[int, int]:
        """How many versions are served, and how many are refused."""
        served = self._served
        return sum(map(len, served.models.values())), len(served.refused)

    def __iter__(self) -> Iterator[Model]:
        return (model for versions in self.models.values() for model in versions.values())

    @property
    def _empty(self) -> str:
        if self._control == "explicit":
            return "no model is loaded; load one with POST /v2/repository/models/NAME/load"
        why = "; ".join(
            f"{each.name}:{each.version} was refused: {each.reason}" for each in self.refused
        )
        hint = "the models folder holds none; build one with python -m model_build imagenet"
        return f"no model is served: {why or hint}"

    def _why(self, name: str) -> str:
        return next((f" ({each.reason})" for each in self.refused if each.name == name), "")


def newest(versions: Mapping[str, object]) -> str:
    """The highest of these version numbers."""
    return max(versions, key=int)


def _names(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
