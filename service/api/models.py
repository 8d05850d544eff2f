"""`GET /models`: what is served, and what was refused."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from service import errors
from service.api import problems
from service.api.dependencies import ServicesDependency
from service.api.responses import as_json
from service.api.schemas import Models, ModelSummary
from service.repository.catalogue import Catalogue, newest
from service.repository.model import Model

router = APIRouter(tags=["models"])


@router.get(
    "/models", summary="What is served", response_model=Models, responses=problems.documented()
)
async def models(services: ServicesDependency) -> Response:
    """Each model by its newest version, with its card and the provider really in use; and the files
    refused.
    """
    repository = services.catalogue
    served = [_summary(repository, versions) for versions in repository.models.values()]
    refused = [
        {"name": refusal.name, "version": refusal.version, "reason": refusal.reason}
        for refusal in repository.refused
    ]
    return as_json({"models": served, "refused": refused})


@router.get(
    "/models/{name}",
    summary="One model",
    response_model=ModelSummary,
    responses=problems.documented(errors.UnknownModel, errors.NotReady),
)
async def model(services: ServicesDependency, name: str) -> Response:
    """The newest version of a model; `NAME:VERSION` asks for another."""
    model = services.catalogue.get(name)
    return as_json(
        _summary(services.catalogue, services.catalogue.models.get(model.name, {}), model)
    )


def _summary(
    repository: Catalogue, served: Mapping[str, Model], chosen: Model | None = None
) -> dict[str, Any]:
    """A model by one of the versions served, the newest unless chosen."""
    model = chosen or served[newest(served)]
    graph, name = model.file.graph, model.file.input
    dtype = graph.dtype(name)
    versions = sorted({*served, model.version}, key=int)
    return {
        "name": model.name,
        "versions": versions,
        "version": model.version,
        "default": _is_default(repository, model, versions[-1]),
        "provider": model.provider,
        "gpu": _gpu(model),
        "nodes": _nodes(model),
        "layers": len(model.layers),
        "parameters": model.parameters,
        "macs": model.macs,
        "input": {
            "name": name,
            "type": None if dtype is None else str(dtype),
            "shape": list(graph.shape(name) or ()),
            "kind": None if model.card.input is None else model.card.input.kind,
        },
        "card": None if model.file.card is None else model.file.card.to_dict(),
    }


def _gpu(model: Model) -> dict[str, Any] | None:
    cuda = model.main_session.cuda
    return (
        None
        if cuda is None
        else {
            "device": cuda.device,
            "tf32": cuda.tf32,
            "memory_limit_bytes": cuda.memory_bytes,
            "cudnn_search": cuda.search,
            "batch_sizes": list(model.batch_sizes),
        }
    )


def _nodes(model: Model) -> dict[str, Any] | None:
    placement = model.main_session.placement
    return (
        None
        if placement is None
        else {"by_provider": placement.nodes, "fallen_back": placement.fallback_operators}
    )


def _is_default(repository: Catalogue, model: Model, newest_version: str) -> bool:
    name, _, version = (repository.default or "").partition(":")
    return model.name == name and model.version == (version or newest_version)
