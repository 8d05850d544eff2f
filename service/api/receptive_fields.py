"""`GET /layers/{n}/receptive-field`: of a layer, of one unit, and backwards from a pixel.

The routes of `service/api/field_tables.py` read their parameters by the functions here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.results import UnitError
from anatomy.layers.layers import Layer
from anatomy.report import projective_body, receptive_field_body, unit_body
from service import errors
from service.api import field_schemas, problems
from service.api.dependencies import ModelDependency, ServicesDependency, deadline_of, run_queued
from service.api.layers import LayerPath
from service.api.responses import as_json
from service.inference.inspector import LONGEST_AXIS
from service.inputs.preprocess import ModelInput
from service.inputs.tensor_check import fits, shown
from service.repository.model import Model, short
from service.services import Services

router = APIRouter(tags=["layers"])

Unit = Annotated[
    str | None,
    Query(description="position on the map: one index per spatial axis", examples=["3,5"]),
]
Of = Annotated[
    str | None,
    Query(description="index or name of an earlier layer: the field on it, not on the input"),
]
Pixel = Annotated[
    str | None,
    Query(
        description="position on the input (or `of`): which units of the layer see it",
        examples=["100,80"],
    ),
]
InputId = Annotated[
    str | None,
    Query(
        description=(
            "an input posted before: with `unit`, of a picture the rectangle in its pixels as well"
        )
    ),
]
Shape = Annotated[
    str | None,
    Query(
        description="shape of the input, batch first, where the model leaves sizes open",
        examples=["1,2,400"],
    ),
]


@router.get(
    "/layers/{n:path}/receptive-field",
    summary="What a layer or a unit sees",
    response_model=field_schemas.UnitField
    | field_schemas.ProjectiveField
    | field_schemas.WholeField,
    responses=problems.documented(
        errors.InvalidRequest,
        errors.UnknownModel,
        errors.UnknownLayer,
        errors.UnknownInput,
        errors.TooManyPixels,
        errors.Impossible,
        errors.NoImageInput,
        errors.UnknownUnit,
        errors.NoSpatialAxes,
        errors.QueueFull,
        errors.NotReady,
        errors.DeadlinePassed,
    ),
)
async def receptive_field(
    services: ServicesDependency,
    model: ModelDependency,
    n: LayerPath,
    unit: Unit = None,
    of: Of = None,
    pixel: Pixel = None,
    input_id: InputId = None,
    shape: Shape = None,
) -> Response:
    """The field of every unit of the layer; with `unit`, of that one; with `pixel`, the units that
    see that pixel.
    """
    layer = model.layer(n)
    source = None if of is None else model.layer(of)
    _check_parameters(unit, of, pixel, input_id)
    position = numbers("unit", unit) or numbers("pixel", pixel)
    sizes = shape_of(services, model, shape)

    def work() -> Response:
        model_input, fields = looked_up(services, model, input_id, sizes)
        with explained(errors.Impossible):
            body = receptive_field_body(layer, fields, source)
        if position is not None:
            body = _position_body(layer, position, fields, source, is_unit=unit is not None)
        if model_input is not None:
            body["picture"] = model_input.rectangle(body["clipped"])
        return as_json({"model": model.name, "version": model.version} | body)

    return (await run_queued(services, deadline_of(services), work, model)).result


def _check_parameters(
    unit: str | None, of: str | None, pixel: str | None, input_id: str | None
) -> None:
    if unit is not None and pixel is not None:
        raise errors.InvalidRequest("ask for a unit or for a pixel, not for both in one request")
    if input_id is not None and (unit is None or of is not None):
        raise errors.InvalidRequest(
            "input_id shows a unit's field in a picture: it needs unit, and cannot go with of"
        )


def _position_body(
    layer: Layer,
    position: Sequence[int],
    fields: ReceptiveFields,
    source: Layer | None,
    *,
    is_unit: bool,
) -> dict[str, Any]:
    """What one unit sees, or which units see one pixel."""
    missing = errors.UnknownUnit if is_unit else errors.Impossible
    write_body = unit_body if is_unit else projective_body
    with explained(missing if layer.spatial_axes else errors.NoSpatialAxes):
        return write_body(layer, position, fields, source)


def looked_up(
    services: Services, model: Model, input_id: str | None, sizes: Sequence[int] | None
) -> tuple[ModelInput | None, ReceptiveFields]:
    """The input posted before, if one is named, and the fields for these sizes or else for those of
    that input.
    """
    if input_id is None:
        return None, services.inspector.fields(model, sizes or model.input_shape)
    model_input = services.decoded_inputs.get(model, input_id)
    shape = model_input.array.shape
    _check_axes(shape)
    return model_input, services.inspector.fields(model, sizes or shape)


def shape_of(services: Services, model: Model, text: str | None) -> Sequence[int] | None:
    """The input's shape that the request gives, if it does; what it makes of the graph is bounded
    by its size.
    """
    shape = numbers("shape", text)
    if shape is None:
        return None
    declared = model.file.graph.shape(model.file.input)
    if declared is not None and not fits(shape, declared):
        raise errors.Impossible(f"shape {text} does not fit the network's input {shown(declared)}")
    if min(shape, default=1) < 1 or prod(shape) > services.settings.max_pixels:
        raise errors.Impossible(
            f"shape {text} is empty or beyond the {services.settings.max_pixels} numbers allowed"
        )
    _check_axes(shape)
    return shape


def _check_axes(shape: Sequence[int]) -> None:
    if max(shape) > LONGEST_AXIS:
        raise errors.Impossible(
            f"shape {shown(shape)} has an axis beyond the {LONGEST_AXIS} for which fields are "
            "worked out"
        )


def numbers(name: str, text: str | None) -> list[int] | None:
    """Whole numbers with commas between them; raises InvalidRequest."""
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise errors.InvalidRequest(
            f"{name} is '{short(text or '', 80)}'; write a whole number per axis, as in {name}=3,5"
        ) from None


@contextmanager
def explained(kind: type[errors.FoveaError]) -> Iterator[None]:
    """What anatomy says of a unit that it cannot answer for, as an error of the service."""
    try:
        yield
    except UnitError as error:
        raise kind(
            str(error).replace(
                "give the input's shape", "give the input's shape, as in shape=1,3,64"
            )
        ) from None
