"""What is known of a model, as the JSON bodies that the command line and the REST API share."""

from collections.abc import Mapping, Sequence
from typing import Any

from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.fields.results import Interval, LayerField, UnitField
from anatomy.graphs.graph import Graph
from anatomy.layers.layers import Layer, LayerTensor

Json = dict[str, Any]


class LayerNameError(LookupError):
    """No layer has this index or name; the message says what there is."""


def find_layer(layers: Sequence[Layer], reference: str) -> Layer:
    """A layer by index or by name; a name that looks like a number is found only by its index.
    Raises LayerNameError.
    """
    if reference.isdecimal():
        if int(reference) < len(layers):
            return layers[int(reference)]
    else:
        layer = next((layer for layer in layers if layer.name == reference), None)
        if layer is not None:
            return layer
    raise LayerNameError(
        f"no layer '{reference}': this model has layers 0 to {len(layers) - 1}, each with a name"
    )


def layers_body(
    graph: Graph, layers: Sequence[Layer], fields: ReceptiveFields, model: str, version: str
) -> Json:
    """The body of `GET /layers`."""
    name = graph.inputs[0]
    return {
        "model": model,
        "version": version,
        "input": {"name": name, "shape": list(graph.shape(name) or ())},
        "layers": [layer_body(layer, fields.layer(layer)) for layer in layers],
    }


def layer_body(layer: Layer, field: LayerField) -> Json:
    """One layer as `GET /layers` lists it; sizes that the model leaves open are null."""
    return {
        "index": layer.index,
        "name": layer.name,
        "kind": layer.kind,
        "operator": layer.operator,
        "tensor": layer.tensor,
        "inputs": list(layer.inputs),
        "operands": [tensor_body(tensor, tensor.shape) for tensor in layer.operands],
        "kernel_shape": _listed(layer.kernel_shape),
        "strides": _listed(layer.strides),
        "pads": _listed(layer.pads),
        "dilations": _listed(layer.dilations),
        "groups": layer.groups,
        "output_shape": list(layer.output_shape),
        "channel_axis": _without_batch(layer.channel_axis),
        "attributes": attributes_body(layer.attributes),
        "parameters": layer.parameters,
        "macs": layer.macs,
        "receptive_field": field_body(field),
    }


def tensor_body(tensor: LayerTensor, shape: Sequence[int | None]) -> Json:
    """A tensor of a layer, with this shape; neither it nor the axis of the channels counts the
    batch.
    """
    return {
        "name": tensor.name,
        "shape": list(shape),
        "channel_axis": _without_batch(tensor.channel_axis),
    }


def attributes_body(attributes: Mapping[str, Any]) -> Json:
    """An operator's attributes that are numbers, texts or lists of these; tensors and graphs are
    left out.
    """
    listed = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(attributes.items())
    }
    return {name: value for name, value in listed.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(item, int | float | str) for item in values)


def field_body(field: LayerField) -> Json:
    """Size, stride and padding of a layer's field; where one is null a reason is given."""
    body: Json = {
        "status": field.status,
        "size": _listed(field.size),
        "stride": _listed(field.stride),
        "padding": _listed(field.padding),
    }
    if field.reason is not None:
        body["reason"] = field.reason
    if field.operator is not None:
        body["operator"] = field.operator
    return body


def receptive_field_body(layer: Layer, fields: ReceptiveFields, of: Layer | None = None) -> Json:
    """The body of `…/receptive-field` without a unit."""
    body = {"layer": layer_reference(layer), **field_body(fields.layer(layer, of))}
    return body if of is None else {**body, "of": layer_reference(of)}


def unit_body(
    layer: Layer, unit: Sequence[int], fields: ReceptiveFields, of: Layer | None = None
) -> Json:
    """The body of `…/receptive-field?unit=`; `picture` is null, for only the service knows the
    picture.
    """
    (field,) = fields.units(layer, [unit], of)
    body = {
        "layer": layer_reference(layer),
        "unit": list(unit),
        "status": fields.layer(layer, of).status,
        **intervals_body(field),
        "picture": None,
    }
    return body if of is None else {**body, "of": layer_reference(of)}


def projective_body(
    layer: Layer, pixel: Sequence[int], fields: ReceptiveFields, of: Layer | None = None
) -> Json:
    """The body of `…/receptive-field?pixel=`: the units of the layer that see one pixel, half-open
    per axis.
    """
    units = _pairs(fields.projective(layer, pixel, of))
    body = {"layer": layer_reference(layer), "pixel": list(pixel), "units": units}
    return body if of is None else {**body, "of": layer_reference(of)}


def table_body(layer: Layer, fields: ReceptiveFields, of: Layer | None = None) -> Json:
    """The body of `…/receptive-fields`; `picture` and `frame` are null, for only the service knows
    the picture.
    """
    table = fields.table(layer, of)
    axes = [
        {
            "follows": axis.follows,
            "size": axis.size,
            "interval": _pairs(axis.interval),
            "clipped": _pairs(axis.clipped),
            "picture": None,
            "frame": None,
        }
        for axis in table.axes
    ]
    body: Json = {"layer": layer_reference(layer), "status": table.status, "axes": axes}
    return body if of is None else {**body, "of": layer_reference(of)}


def pyramid_body(
    layer: Layer, unit: Sequence[int], layers: Sequence[Layer], fields: ReceptiveFields
) -> Json:
    """The body of `…/pyramid`; `picture` is null, for only the service knows the picture."""
    by_index = {earlier.index: earlier for earlier in layers}
    levels = [
        {
            "layer": None if level.of is None else layer_reference(by_index[level.of.index]),
            "status": level.status,
            **intervals_body(level.field),
            "picture": None,
        }
        for level in fields.pyramid(layer, unit, layers)
    ]
    return {"layer": layer_reference(layer), "unit": list(unit), "levels": levels}


def intervals_body(field: UnitField) -> Json:
    """Half-open intervals per spatial axis, with padding and without."""
    return {"interval": _pairs(field.interval), "clipped": _pairs(field.clipped)}


def layer_reference(layer: Layer) -> Json:
    """How a body names a layer."""
    return {"index": layer.index, "name": layer.name, "output_shape": list(layer.output_shape)}


def _pairs(intervals: Sequence[Interval]) -> list[list[int]]:
    return [list(interval) for interval in intervals]


def _without_batch(axis: int | None) -> int | None:
    return None if axis is None else axis - 1


def _listed(values: Sequence[int | float] | None) -> list[int | float] | None:
    return None if values is None else list(values)
