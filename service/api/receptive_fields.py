"""`GET /layers/{n}/receptive-field`: of a layer, of one unit, and backwards from a pixel."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from anatomy.layers import Layer
from anatomy.receptive_field import ReceptiveFields, UnitError
from anatomy.report import layer_reference, receptive_field_body, unit_body
from service import errors
from service.api import problems, schemas
from service.api.layers import LayerPath
from service.api.rendering import as_json
from service.api.work import ChosenModel, Serving, deadline_of, queued
from service.feed import Picture, make_ready
from service.repository import Model
from service.services import Services

router = APIRouter(tags=["layers"])

Unit = Annotated[str | None, Query(description="position on the map: one index per spatial axis", examples=["3,5"])]
Of = Annotated[str | None, Query(description="index or name of an earlier layer: the field on it, not on the input")]
Pixel = Annotated[
    str | None,
    Query(description="position on the input (or `of`): which units of the layer see it", examples=["100,80"]),
]
InputId = Annotated[str | None, Query(description="a picture posted before: the unit's field in its pixels as well")]


@router.get(
    "/layers/{n:path}/receptive-field",
    summary="What a layer or a unit sees",
    response_model=schemas.UnitField | schemas.ProjectiveField | schemas.WholeField,
    responses=problems.documented(
        errors.InvalidRequest,
        errors.UnknownModel,
        errors.UnknownLayer,
        errors.UnknownInput,
        errors.Impossible,
        errors.UnknownUnit,
        errors.NoSpatialAxes,
        errors.QueueFull,
        errors.NotReady,
        errors.DeadlinePassed,
    ),
)
async def receptive_field(
    services: Serving,
    model: ChosenModel,
    n: LayerPath,
    unit: Unit = None,
    of: Of = None,
    pixel: Pixel = None,
    input_id: InputId = None,
) -> Response:
    """The field of every unit of the layer; with `unit`, of that one; with `pixel`, the units that see that pixel."""
    layer = model.layer(n)
    source = None if of is None else model.layer(of)
    if unit is not None and pixel is not None:
        raise errors.InvalidRequest("ask for a unit or for a pixel, not for both in one request")

    def work() -> Response:
        return as_json({"model": model.name, "version": model.version} | answer())

    def answer() -> dict[str, Any]:
        fields = services.inspector.fields(model, model.input_shape)
        if unit is not None:
            return _of_unit(services, model, fields, layer, source, unit, input_id)
        try:
            if pixel is not None:
                return _of_pixel(fields, layer, source, pixel)
            return receptive_field_body(layer, fields, source)
        except UnitError as error:
            raise _explained(layer, error, pixel is not None) from None

    return (await queued(services, deadline_of(services), work)).result


def _of_unit(
    services: Services,
    model: Model,
    fields: ReceptiveFields,
    layer: Layer,
    source: Layer | None,
    unit: str,
    input_id: str | None,
) -> dict[str, Any]:
    try:
        body = unit_body(layer, _position("unit", unit), fields, source)
    except UnitError as error:
        raise _explained(layer, error, True) from None
    if input_id is not None and source is None:
        feed = make_ready(model, Picture(services.store.get(input_id)), services.settings.max_pixels)
        body["picture"] = feed.rectangle(body["clipped"])
    return body


def _of_pixel(fields: ReceptiveFields, layer: Layer, source: Layer | None, pixel: str) -> dict[str, Any]:
    position = _position("pixel", pixel)
    units = fields.projective(layer, position, source)
    body = {"layer": layer_reference(layer), "pixel": list(position), "units": [list(each) for each in units]}
    return body if source is None else {**body, "of": layer_reference(source)}


def _position(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise errors.InvalidRequest(
            f"{name} is '{text[:80]}'; write a whole number per axis, as in {name}=3,5"
        ) from None


def _explained(layer: Layer, error: UnitError, positioned: bool) -> errors.FoveaError:
    if positioned and not layer.spatial_axes:
        return errors.NoSpatialAxes(str(error))
    return errors.UnknownUnit(str(error)) if positioned else errors.Impossible(str(error))
