"""What an explorer draws without asking again: `…/receptive-fields` of all units, `…/pyramid` of
one unit.
"""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from anatomy.report import pyramid_body, table_body
from service import errors
from service.api import field_schemas, problems
from service.api.dependencies import ModelDependency, ServicesDependency, deadline_of, run_queued
from service.api.layers import LayerPath
from service.api.receptive_fields import Of, Shape, explained, looked_up, numbers, shape_of
from service.api.responses import as_json

router = APIRouter(tags=["layers"])

InputId = Annotated[
    str | None,
    Query(description="an input posted before: of a picture, the fields in its pixels as well"),
]
Unit = Annotated[
    str | None,
    Query(
        description=(
            "position on the map: one index per spatial axis; left out where the layer has none"
        ),
        examples=["3,5"],
    ),
]
FAILURES = (
    errors.InvalidRequest,
    errors.UnknownModel,
    errors.UnknownLayer,
    errors.UnknownInput,
    errors.TooManyPixels,
    errors.Impossible,
    errors.NoImageInput,
    errors.QueueFull,
    errors.NotReady,
    errors.DeadlinePassed,
)


@router.get(
    "/layers/{n:path}/receptive-fields",
    summary="What every unit of a layer sees",
    response_model=field_schemas.FieldTable,
    responses=problems.documented(*FAILURES),
)
async def receptive_fields(
    services: ServicesDependency,
    model: ModelDependency,
    n: LayerPath,
    of: Of = None,
    input_id: InputId = None,
    shape: Shape = None,
) -> Response:
    """The fields of all units, a table per spatial axis; 422 where they are no product of axes."""
    layer = model.layer(n)
    source = None if of is None else model.layer(of)
    sizes = shape_of(services, model, shape)

    def work() -> Response:
        model_input, fields = looked_up(services, model, input_id, sizes)
        with explained(errors.Impossible):
            body = table_body(layer, fields, source)
        if model_input is not None and source is None and len(body["axes"]) == 2:
            for number, axis in enumerate(body["axes"]):
                axis["picture"] = model_input.along(number, axis["clipped"])
                axis["frame"] = model_input.frame(number)
        return as_json({"model": model.name, "version": model.version} | body)

    return (await run_queued(services, deadline_of(services), work, model)).result


@router.get(
    "/layers/{n:path}/pyramid",
    summary="What a unit sees of every layer before it",
    response_model=field_schemas.Pyramid,
    responses=problems.documented(*FAILURES, errors.UnknownUnit, errors.NoSpatialAxes),
)
async def pyramid(
    services: ServicesDependency,
    model: ModelDependency,
    n: LayerPath,
    unit: Unit = None,
    input_id: InputId = None,
    shape: Shape = None,
) -> Response:
    """The unit's field on every layer that it depends on, nearest first, and on the input last."""
    layer = model.layer(n)
    position = (numbers("unit", unit) if unit else None) or []
    if layer.spatial_axes and not position:
        raise errors.InvalidRequest(
            f"layer '{layer.name}' has a map: say which unit of it, as in unit=3,5"
        )
    sizes = shape_of(services, model, shape)

    def work() -> Response:
        model_input, fields = looked_up(services, model, input_id, sizes)
        missing = (
            errors.UnknownUnit
            if layer.spatial_axes
            else errors.NoSpatialAxes
            if position
            else errors.Impossible
        )
        with explained(missing):
            body = pyramid_body(layer, position, model.layers, fields)
        if model_input is not None:
            last = body["levels"][-1]
            last["picture"] = model_input.rectangle(last["clipped"])
        return as_json({"model": model.name, "version": model.version} | body)

    return (await run_queued(services, deadline_of(services), work, model)).result
