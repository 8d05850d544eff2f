"""Fovea serves convolutional networks and shows what every unit sees.

    from fovea import Client

    with Client("http://127.0.0.1:8000") as fovea:
        prediction = fovea.predict(Path("cat.jpg"))

`AsyncClient` has the same methods to await. A refused request raises ProblemError; a service that
cannot be reached raises httpx.TransportError.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.client import (
        AsyncClient,
        Client,
        Layer,
        LayerField,
        Model,
        Prediction,
        ProblemError,
        Sample,
        ScoredClass,
        UnitField,
    )

__all__ = [
    "AsyncClient",
    "Client",
    "Layer",
    "LayerField",
    "Model",
    "Prediction",
    "ProblemError",
    "Sample",
    "ScoredClass",
    "UnitField",
    "__version__",
]

try:
    __version__ = version("fovea")
except PackageNotFoundError:
    __version__ = "0"


def __getattr__(name: str) -> Any:
    """Import the client when it is first asked for: `fovea probe` runs every few seconds
    without.
    """
    if name not in __all__:
        raise AttributeError(f"module 'fovea' has no attribute {name!r}")
    return getattr(import_module("service.client"), name)
