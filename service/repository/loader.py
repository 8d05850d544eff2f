"""From a model file to a loaded model: read, checked, its layers listed, and run once before the
first request.
"""

from dataclasses import dataclass

import numpy as np
import structlog

from anatomy.cards.card import ImageInput
from anatomy.graphs.graph import GraphError
from anatomy.layers.layers import layers
from anatomy.model_file import ModelFile, ModelFileError, read
from service.errors import Impossible
from service.repository.model import LOOP_SECONDS, QUICK_SECONDS, Model
from service.repository.scan import ModelFiles
from service.repository.session_cache import LRUCache
from service.runtime.engine import Engine
from service.runtime.ort_errors import RunFailed, UnloadableModel
from service.runtime.process import trim_heap
from service.runtime.session import Session

HEAVY_MACS = 50_000_000
"""About a millisecond's work for a processor."""
OUTLASTING_RUNS = 32

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Refused:
    """A model file that is not served, and why."""

    name: str
    version: str
    reason: str


class Loader:
    """Loads files on one engine; all models share one cache of sessions for single layers, of eight
    unless given.
    """

    def __init__(self, engine: Engine, sessions: LRUCache[Session] | None = None) -> None:
        self._engine = engine
        self._sessions = LRUCache[Session](8) if sessions is None else sessions

    def load(self, files: ModelFiles) -> Model | Refused:
        """The model in these files, ready to answer, or why it cannot be served."""
        name, version = files.key
        try:
            model = self._model(files, read(files.path))
            _warm_up(model)
            trim_heap()
        except (ModelFileError, GraphError, UnloadableModel) as error:
            return Refused(name, version, str(error))
        except Exception as error:
            # A stranger's file must not keep the others from being served, whatever it makes a
            # reader of graphs raise.
            log.exception("model load failed", model=name, version=version)
            reason = f"its graph is not understood ({type(error).__name__})"
            return Refused(name, version, reason)
        return model

    def _model(self, files: ModelFiles, file: ModelFile) -> Model:
        engine = self._engine
        heavy = sum(layer.macs or 0 for layer in layers(file.graph)) >= HEAVY_MACS
        session = engine.load(file.proto, adapt_threads=True, allow_spinning=heavy)
        return Model(*files.key, file, session, engine.provider, engine, self._sessions)


def _warm_up(model: Model) -> None:
    """List the layers and run once now: the first request does not pay for it, and a graph that
    never runs is found.
    """
    if not model.listing["layers"]:
        raise ModelFileError("no layer was found in its graph")
    zeros = _zeros(model)
    if zeros is None:
        return
    # The largest first: the memory that it takes is enough for the others.
    for size in reversed(model.batch_sizes or (1,)):
        try:
            # The first run also lays out the memory of the others.
            model.run([zeros] * size)
            model.run([zeros] * size)
        except (Impossible, RunFailed) as error:
            inputs = f" of {size} inputs" if size > 1 else ""
            raise ModelFileError(f"a first run{inputs} failed: {error}") from error
    _outlast_first_runs(model, zeros)


def _outlast_first_runs(model: Model, zeros: np.ndarray) -> None:
    """Run a quick network until its recent maximum is that of runs that come later."""
    times = model.main_session.times
    for _ in range(OUTLASTING_RUNS):
        if times.shortest >= QUICK_SECONDS or times.recent_maximum < LOOP_SECONDS:
            return
        model.run([zeros])


def _zeros(model: Model) -> np.ndarray | None:
    """A black picture, or zeros of the input's shape; None where the file leaves a size open."""
    if model.input_shape is not None:
        is_image = isinstance(model.card.input, ImageInput)
        return np.zeros(model.input_shape, np.uint8 if is_image else np.float32)
    graph, name = model.file.graph, model.file.input
    shape, dtype = graph.shape(name), graph.dtype(name)
    if shape is None or dtype is None:
        return None
    batch, *others = shape or (None,)
    sizes = [size for size in others if isinstance(size, int)]
    if len(sizes) < len(others):
        return None
    return np.zeros((batch if isinstance(batch, int) else 1, *sizes), dtype)
