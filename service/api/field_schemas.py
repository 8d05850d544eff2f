"""The bodies of answers about receptive fields, as pydantic models.

Intervals are half-open [start, stop), one for each spatial axis in the order of the axes.
"""

from typing import Literal

from pydantic import Field

from service.api.schemas import Body, Interval, LayerField, LayerReference


class UnitField(Body):
    """The receptive field of one unit."""

    model: str
    version: str
    layer: LayerReference
    of: LayerReference | None = Field(
        default=None, description="the layer on which the intervals lie; else the input"
    )
    unit: list[int]
    status: Literal["exact", "whole_input", "upper_bound"]
    interval: list[Interval]
    clipped: list[Interval]
    picture: list[Interval] | None = Field(
        description="with input_id: rows, then columns, in pixels of that picture"
    )


class WholeField(LayerField):
    """The receptive field of a layer."""

    model: str
    version: str
    layer: LayerReference
    of: LayerReference | None = None


class ProjectiveField(Body):
    """Which units of a layer see a pixel."""

    model: str
    version: str
    layer: LayerReference
    of: LayerReference | None = None
    pixel: list[int]
    units: list[Interval] = Field(
        description="half-open per spatial axis of the layer; [0, 0] where none sees it"
    )


class AxisTable(Body):
    """What all units of a layer see along one spatial axis of the source."""

    follows: int | None = Field(
        description=(
            "which spatial axis of the layer's map counts the entries; null: one entry "
            "for all units"
        )
    )
    size: int = Field(description="how many indices the source has along this axis")
    interval: list[Interval] = Field(description="with padding")
    clipped: list[Interval] = Field(
        description="within the source; a unit with [0, 0] along any axis sees nothing"
    )
    picture: list[Interval] | None = Field(description="with input_id: in pixels of that picture")
    frame: tuple[float, float] | None = Field(
        description=(
            "with input_id: where the network's whole input begins and ends in that "
            "picture; beyond the "
            "picture where it is filled up"
        )
    )


class FieldTable(Body):
    """The receptive fields of all units of a layer: that of a unit is the product of its entries
    along the axes.
    """

    model: str
    version: str
    layer: LayerReference
    of: LayerReference | None = Field(
        default=None, description="the layer on which the intervals lie; else the input"
    )
    status: Literal["exact", "whole_input", "upper_bound"]
    axes: list[AxisTable] = Field(description="one for each spatial axis of the source")


class Level(Body):
    """What a unit sees of one earlier layer, or of the input."""

    layer: LayerReference | None = Field(description="null for the network's input")
    status: Literal["exact", "whole_input", "upper_bound"]
    interval: list[Interval]
    clipped: list[Interval]
    picture: list[Interval] | None = Field(
        description="of the input, with input_id: rows, then columns, in pixels of that picture"
    )


class Pyramid(Body):
    """What one unit sees of every layer that it depends on."""

    model: str
    version: str
    layer: LayerReference
    unit: list[int]
    levels: list[Level] = Field(description="nearest layer first, the input last")
