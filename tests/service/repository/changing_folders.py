"""Folders of small models that change, and what a manager makes of them."""

from pathlib import Path

from anatomy import model_file
from service.repository.loader import Loader
from service.repository.manager import ModelManager
from tests.service.networks import SIGNALS, parsed

Events = list[dict[str, object]]


def put(
    folder: Path, version: str = "1", name: str = "signals", seed: int = 0, text: str = SIGNALS
) -> Path:
    """The path of a model written there; another seed makes other weights."""
    path = folder / name / version / "model.onnx"
    model_file.write(parsed(text, seed), path, None)
    return path


def states(manager: ModelManager) -> dict[str, tuple[str, str]]:
    """State and reason of each version in the index."""
    return {
        f"{entry.name}:{entry.version}": (entry.state, entry.reason) for entry in manager.index()
    }


def served(manager: ModelManager) -> list[str]:
    """The versions that answer."""
    return [f"{model.name}:{model.version}" for model in manager.catalogue]


def polled(folder: Path, loader: Loader, default: str | None = None) -> ModelManager:
    return ModelManager(folder, loader, "poll", default)


def poll_twice(manager: ModelManager) -> None:
    """A change is taken at the second poll that finds it."""
    manager.poll()
    manager.poll()
