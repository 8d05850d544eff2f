"""The models of a folder, `<name>/<version>/model.onnx`: what is on disk, and what of it is loaded.

A file that cannot be served is refused with its name and the reason, and the others are served. Version folders are
numbers; the highest answers where a request names none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from anatomy.card import Card, ImageInput
from anatomy.graph import GraphError
from anatomy.layers import Layer, layers
from anatomy.model_file import ModelFile, ModelFileError, read
from anatomy.receptive_field import ReceptiveFields
from anatomy.report import LayerNameError, find_layer, layers_body
from anatomy.subgraph import extract
from service.engine import Engine, RunFailed, Session, UnloadableModel
from service.errors import Impossible, NotReady, SettingsError, UnknownLayer, UnknownModel
from service.sessions import Cache

PREFERRED = "imagenet"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Entry:
    """A model file on disk."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True)
class Refused:
    """A model file that is not served, and why."""

    name: str
    version: str
    reason: str


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. `lean` computes the real outputs only; sessions of single tensors are built when asked for."""

    name: str
    version: str
    file: ModelFile
    lean: Session
    provider: str
    _engine: Engine
    _sessions: Cache[Session]

    @cached_property
    def card(self) -> Card:
        """Its card; an empty one where the file has none."""
        return self.file.card or Card()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, as far as the card has them."""
        return tuple(self.card.labels)

    @cached_property
    def batches(self) -> bool:
        """Whether several inputs fit into one run: whether the batch axis is open."""
        shape = self.file.graph.shape(self.file.input)
        return shape is not None and len(shape) > 0 and not isinstance(shape[0], int)

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of its input with the batch axis, as far as the card tells it; None without a card."""
        return None if self.card.input is None else (1, *self.card.input.shape)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Its layers, in topological order."""
        return layers(self.file.graph)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one input; None if a layer's size is unknown."""
        each = [layer.macs for layer in self.layers]
        return None if None in each else sum(macs for macs in each if macs is not None)

    @cached_property
    def fields(self) -> ReceptiveFields:
        """Receptive fields as far as the file's own sizes tell them."""
        return ReceptiveFields(self.file.graph)

    @cached_property
    def listing(self) -> Mapping[str, Any]:
        """The body of `GET /layers`."""
        return layers_body(self.file.graph, self.layers, self.fields, self.name, self.version)

    def layer(self, reference: str) -> Layer:
        """The layer with this index or name; raises UnknownLayer."""
        try:
            return find_layer(self.layers, reference)
        except (LayerNameError, ValueError):
            last = len(self.layers) - 1
            raise UnknownLayer(
                f"model '{self.name}' has no layer '{short(reference)}', only 0 to {last}, each with a name; "
                "GET /layers lists them"
            ) from None

    def tap(self, tensor: str) -> Session:
        """A session that computes this one tensor, built when first asked for."""
        key = (self.name, self.version, tensor)
        return self._sessions.get(key, lambda: self._engine.load(extract(self.file.proto, [tensor])))


class Repository:
    """The models that are served, and the files that were refused.

    Raises SettingsError for a default model that is not served.
    """

    def __init__(
        self,
        models: Mapping[str, Mapping[str, Model]],
        refused: tuple[Refused, ...] = (),
        default: str | None = None,
    ) -> None:
        self.models = models
        self.refused = refused
        self.default = self._default(default)

    @classmethod
    def load(cls, folder: Path, engine: Engine, default: str | None = None, kept_sessions: int = 8) -> "Repository":
        """Read and load every version of every model under `folder`; nothing there is no error."""
        sessions: Cache[Session] = Cache(kept_sessions)
        models: dict[str, dict[str, Model]] = {}
        refused: list[Refused] = []
        for entry in scan(folder):
            model = _load(entry, engine, sessions)
            if isinstance(model, Refused):
                refused.append(model)
            else:
                models.setdefault(entry.name, {})[entry.version] = model
        return cls(models, tuple(refused), default)

    def get(self, spec: str | None = None) -> Model:
        """The model `NAME` or `NAME:VERSION`, or the default one; raises UnknownModel, NotReady if none is served."""
        if not self.models:
            raise NotReady(self.trouble)
        name, _, version = (spec or self.default or "").partition(":")
        versions = self.models.get(name)
        if versions is None:
            raise UnknownModel(f"there is no model '{short(name)}'; served are {_names(self.models)}")
        if version and version not in versions:
            raise UnknownModel(f"model '{name}' has no version '{short(version)}'; served are {_names(versions)}")
        return versions[version or newest(versions)]

    @property
    def trouble(self) -> str:
        """Why nothing can be answered; empty if a model is served."""
        if self.models:
            return ""
        why = "; ".join(f"{each.name}:{each.version} was refused: {each.reason}" for each in self.refused)
        hint = "the models folder holds none; build one with python -m model_build imagenet"
        return f"no model is served: {why or hint}"

    def __iter__(self) -> Iterator[Model]:
        return (model for versions in self.models.values() for model in versions.values())

    def _default(self, name: str | None) -> str | None:
        if not name:
            return PREFERRED if PREFERRED in self.models else min(self.models, default=None)
        base, _, version = name.partition(":")
        if base not in self.models or (version and version not in self.models[base]):
            why = next((f" ({each.reason})" for each in self.refused if each.name == base), "")
            known = _names(self.models) or "none"
            raise SettingsError(f"FOVEA_DEFAULT_MODEL is '{name}', which is not served{why}; known models: {known}")
        return name


def scan(folder: Path) -> list[Entry]:
    """The model files of `folder`, by name and version; hidden folders and versions that are no numbers stay out."""
    found = [
        Entry(path.parent.parent.name, path.parent.name, path)
        for path in folder.glob("*/*/model.onnx")
        if path.parent.name.isascii() and path.parent.name.isdigit() and not path.parent.parent.name.startswith(".")
    ]
    return sorted(found, key=lambda entry: (entry.name, int(entry.version)))


def newest(versions: Mapping[str, object]) -> str:
    """The highest of these version numbers."""
    return max(versions, key=int)


def _load(entry: Entry, engine: Engine, sessions: Cache[Session]) -> Model | Refused:
    try:
        file = read(entry.path)
        model = Model(entry.name, entry.version, file, engine.load(file.proto), engine.provider, engine, sessions)
        _warm(model)
    except (ModelFileError, GraphError, UnloadableModel) as error:
        return Refused(entry.name, entry.version, str(error))
    except Exception as error:
        # A stranger's file must not keep the others from being served, whatever it makes a reader of graphs raise.
        log.exception("model not understood", model=entry.name, version=entry.version)
        return Refused(entry.name, entry.version, f"its graph is not understood ({type(error).__name__})")
    return model


def _warm(model: Model) -> None:
    """List the layers and run once now: the first request does not pay for it, and a graph that never runs is found."""
    if not model.listing["layers"]:
        raise ModelFileError("no layer was found in its graph")
    zeros = _zeros(model)
    try:
        if zeros is not None:
            # The first run also lays out the memory of the others.
            model.lean.run({model.file.input: zeros})
            model.lean.run({model.file.input: zeros})
    except (Impossible, RunFailed) as error:
        raise ModelFileError(f"a first run failed: {error}") from error


def _zeros(model: Model) -> np.ndarray | None:
    """A black picture, or zeros of the input's shape; None where the file leaves a size open."""
    if model.input_shape is not None:
        return np.zeros(model.input_shape, np.uint8 if isinstance(model.card.input, ImageInput) else np.float32)
    shape, dtype = model.file.graph.shape(model.file.input), model.file.graph.dtype(model.file.input)
    batch, *others = shape or (None,)
    sizes = [batch if isinstance(batch, int) else 1, *(size for size in others if isinstance(size, int))]
    return None if shape is None or dtype is None or len(sizes) < len(shape) else np.zeros(sizes, dtype)


def _names(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names))


def short(text: str, longest: int = 200) -> str:
    """Text of a request, short enough for a message."""
    return text if len(text) <= longest else text[:longest] + "…"
