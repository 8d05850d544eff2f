"""The other end: calls of the service become requests, and its answers become Python values."""

from service.client.models import (
    Layer,
    LayerField,
    Model,
    Prediction,
    ProblemError,
    Sample,
    ScoredClass,
    UnitField,
)
from service.client.requests import Input
from service.client.sync_async import AsyncClient, Client

__all__ = [
    "AsyncClient",
    "Client",
    "Input",
    "Layer",
    "LayerField",
    "Model",
    "Prediction",
    "ProblemError",
    "Sample",
    "ScoredClass",
    "UnitField",
]
