"""The models that are served, and the files that were refused. What is on disk is the scan's
matter, when it is loaded that of the manager.

A file that cannot be served is refused with its name and the reason, and the others are served. The
highest version answers where a request names none. What is served at one moment is one value that
is replaced as a whole: a request sees all of a change or nothing of it, and keeps the model that it
got.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from service.errors import NotReady, SettingsError, UnknownModel
from service.repository.entry import Entries
from service.repository.loader import Refused
from service.repository.model import Model, short
from service.repository.scan import ModelKey

PREFERRED = "imagenet"
ModelControl = Literal["none", "poll", "explicit"]


@dataclass(frozen=True)
class _Served:
    """What is served at one moment."""

    entries: Entries
    models: Mapping[str, Mapping[str, Model]]
    newest: Mapping[str, Model]
    refused: tuple[Refused, ...]
    preferred: str | None

    @classmethod
    def of(cls, entries: Entries) -> "_Served":
        """What follows from these entries."""
        entries = {key: entries[key] for key in sorted(entries, key=_by_number)}
        models: dict[str, dict[str, Model]] = {}
        for (name, version), entry in entries.items():
            if entry.model is not None:
                models.setdefault(name, {})[version] = entry.model
        return cls(
            entries,
            models,
            {name: versions[newest(versions)] for name, versions in models.items()},
            tuple(Refused(*key, entry.reason) for key, entry in entries.items() if entry.reason),
            PREFERRED if PREFERRED in models else min(models, default=None),
        )

    def find(self, spec: str) -> Model | None:
        """The model `NAME` or `NAME:VERSION`."""
        name, _, version = spec.partition(":")
        if version:
            return self.models.get(name, {}).get(version)
        return self.newest.get(name)


class Catalogue:
    """The models that are served, and the files that were refused; reading it needs no lock.

    Raises SettingsError for a default model that is not served and, since `control` is none, never
    will be.
    """

    def __init__(
        self,
        entries: Entries,
        default: str | None = None,
        control: ModelControl = "none",
    ) -> None:
        self._default = default or None
        self._control = control
        self._served = _Served.of(entries)
        if control == "none" and self.without_default:
            reason, known = self._reason_of(str(default)), _names(self.models)
            raise SettingsError(
                f"FOVEA_DEFAULT_MODEL is '{default}', which is not served{reason}; "
                f"known models: {known}"
            )

    def replace(self, entries: Entries) -> None:
        """Serve this from now on; requests that have begun end with the models that they got."""
        self._served = _Served.of(entries)

    @property
    def entries(self) -> Entries:
        """Every version that was loaded or refused."""
        return self._served.entries

    @property
    def models(self) -> Mapping[str, Mapping[str, Model]]:
        """What is served: by name, then by version."""
        return self._served.models

    @property
    def newest(self) -> Mapping[str, Model]:
        """The highest version of each name, which answers for it."""
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
        return self._default or self._served.preferred

    def get(self, spec: str | None = None) -> Model:
        """The model `NAME` or `NAME:VERSION`, or the default one.

        Raises UnknownModel, and NotReady if none is served or the default one is not.
        """
        served = self._served
        reference = spec or self._default or served.preferred
        model = None if reference is None else served.find(reference)
        if model is not None:
            return model
        loads_on_request = self._control == "explicit"
        if spec and (served.models or loads_on_request):
            raise UnknownModel(_unknown(spec, served.models))
        raise NotReady(self.without_default if served.models else self._empty)

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
        if self._default is None or self._served.find(self._default) is not None:
            return ""
        reason, known = self._reason_of(self._default), _names(self.models)
        return f"the default model '{self._default}' is not served{reason}; served are {known}"

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
        reasons = [
            f"{refused.name}:{refused.version} was refused: {refused.reason}"
            for refused in self.refused
        ]
        hint = "the models folder holds none; build one with python -m model_build imagenet"
        return f"no model is served: {'; '.join(reasons) or hint}"

    def _reason_of(self, spec: str) -> str:
        """Why the model `NAME` or `NAME:VERSION` was refused, in brackets; empty if it was not."""
        name = spec.partition(":")[0]
        reasons = [refused.reason for refused in self.refused if refused.name == name]
        return f" ({reasons[0]})" if reasons else ""


def newest(versions: Iterable[str]) -> str:
    """The highest of these version numbers."""
    return max(versions, key=int)


def _unknown(spec: str, models: Mapping[str, Mapping[str, Model]]) -> str:
    name, _, version = spec.partition(":")
    if name not in models:
        return f"there is no model '{short(name)}'; served are {_names(models)}"
    served = _names(models[name])
    return f"model '{name}' has no version '{short(version)}'; served are {served}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _by_number(key: ModelKey) -> tuple[str, int]:
    name, version = key
    return name, int(version)
