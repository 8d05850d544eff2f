"""The OpenAPI document, finished: schemas that routes refer to by name, and only the problems they
really answer.
"""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.api import schemas
from service.api.oip import schemas as v2_schemas
from service.api.oip.failures import V2Error
from service.api.problems import Problem

REFERRED = (Problem, V2Error, schemas.Activations, schemas.Kernels)
_TEMPLATE = "#/components/schemas/{model}"


def describe(app: FastAPI) -> None:
    """Replace the app's OpenAPI document by a finished one, made once."""
    plain = app.openapi

    def finished() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _finish(plain())
        return app.openapi_schema

    app.openapi = finished  # type: ignore[method-assign]


def _finish(document: dict[str, Any]) -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(model, "serialization") for model in REFERRED], ref_template=_TEMPLATE
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in (definitions["$defs"] | v2_schemas.components()).items():
        components.setdefault(name, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            _drop_default_validation(operation["responses"])
    return document


def _drop_default_validation(responses: dict[str, Any]) -> None:
    """FastAPI documents its own body of 422, which this service never answers with."""
    content = responses.get("422", {}).get("content", {})
    if "HTTPValidationError" in str(content.get("application/json", "")):
        del responses["422"]
