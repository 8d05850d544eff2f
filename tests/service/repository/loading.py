"""The catalogue of a folder, loaded as a service loads it at its start."""

from pathlib import Path

from service.repository.catalogue import Catalogue
from service.repository.loader import Loader
from service.repository.manager import ModelManager
from service.repository.session_cache import LRUCache
from service.runtime.engine import Engine


def catalogue_of(
    folder: Path, engine: Engine, default: str | None = None, sessions: int = 8
) -> Catalogue:
    """What is served of this folder, with a cache for so many sessions of layers."""
    return ModelManager(folder, Loader(engine, LRUCache(sessions)), default=default).catalogue
