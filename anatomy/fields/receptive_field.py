"""What a unit sees: receptive fields of layers in closed form and of units exactly, and the
projective field back.

Two walks over one table (`dependencies`). Forward from the source, each axis carries windows
(stride, lo, extent) and the answer for a layer falls out: size, stride and padding after Araujo,
Norris, Sim (Distill 2019). Backward from given units, each axis carries the set of indices that can
reach them, so that holes of dilation, rows cut off by a stride and padding are all respected.
"""

from collections.abc import Iterator, Sequence

from anatomy.fields.forward import spatial_axes
from anatomy.fields.results import (
    FieldTable,
    Interval,
    LayerField,
    LayerLike,
    PyramidLevel,
    UnitField,
)
from anatomy.fields.source import SourceFields
from anatomy.graphs.graph import Graph


class ReceptiveFields:
    """Receptive fields of all layers of a graph, with respect to its input or to another layer.

    Sizes that the graph leaves open make units raise UnitError; infer the graph with a concrete
    input shape first.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sources: dict[str, SourceFields] = {}

    def layer(self, layer: LayerLike, of: LayerLike | None = None) -> LayerField:
        """The field of every unit of a layer. Raises UnitError if `of` does not lie before it."""
        return self._source(of).layer(layer)

    def units(
        self, layer: LayerLike, positions: Sequence[Sequence[int]], of: LayerLike | None = None
    ) -> list[UnitField]:
        """The fields of units at these positions.

        Raises UnitError for a position outside the map, or a layer without spatial axes.
        """
        return self._source(of).units(layer, positions)

    def table(self, layer: LayerLike, of: LayerLike | None = None) -> FieldTable:
        """The fields of all units of a layer.

        Raises UnitError if they are no product of axes, or too many.
        """
        return self._source(of).table(layer)

    def pyramid(
        self, layer: LayerLike, position: Sequence[int], layers: Sequence[LayerLike]
    ) -> list[PyramidLevel]:
        """What a unit sees of each of these layers that lies before its own, the nearest first, and
        of the input last.

        The position of a unit of a layer without spatial axes is empty. Raises UnitError as `units`
        does.
        """
        base = self._source(None)
        frontiers = base.frontiers(layer, position) if layer.spatial_axes else {}
        levels: list[PyramidLevel] = []
        for of in (*self._earlier(layer, layers), None):
            source = self._source(of)
            shared = frontiers if source.shares_walk(base.tracked, frontiers, layer) else {}
            status, field = source.pyramid_level(layer, position, shared)
            levels.append(PyramidLevel(of, status, field))
        return levels

    def projective(
        self, layer: LayerLike, pixel: Sequence[int], of: LayerLike | None = None
    ) -> tuple[Interval, ...]:
        """The units of a layer that see a pixel of the input.

        Raises UnitError for a pixel outside the input.
        """
        return self._source(of).projective(layer, pixel)

    def _earlier(self, layer: LayerLike, layers: Sequence[LayerLike]) -> Iterator[LayerLike]:
        """The layers that this one depends on, the nearest first."""
        for earlier in reversed(layers):
            if earlier.index < layer.index and self._source(earlier).leads_to(layer):
                yield earlier

    def _source(self, of: LayerLike | None) -> SourceFields:
        tensor = self._graph.inputs[0] if of is None else of.tensor
        if tensor not in self._sources:
            axes = spatial_axes(self._graph) if of is None else of.spatial_axes
            self._sources[tensor] = SourceFields(self._graph, tensor, axes)
        return self._sources[tensor]
