"""The walk forward: how far each tensor still follows the axes of a source, and with which windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from anatomy.fields.rule_table import dependencies
from anatomy.fields.rules.base import AxisDependency
from anatomy.fields.windows import IDENTITY, Window, hull
from anatomy.graphs.graph import Graph, Node
from anatomy.graphs.memo import per_graph

SLIDING = frozenset(
    "Conv ConvInteger QLinearConv ConvTranspose MaxPool AveragePool LpPool "
    "GlobalAveragePool GlobalMaxPool GlobalLpPool".split()
)
"""Operators with the layout [N, C, spatial axes …]."""


@dataclass(frozen=True)
class Track:
    """A source axis on its way: the axis of the tensor that follows it and its windows, one for
    each distinct stride.
    """

    axis: int
    windows: tuple[Window, ...]
    broken: str | None = None


@dataclass(frozen=True)
class Reach:
    """What a tensor carries of the source: a track for each axis it still follows, and what widened
    the rest.
    """

    tracks: Mapping[int, Track]
    widened_by: str | None = None


@per_graph
def spatial_axes(graph: Graph) -> tuple[int, ...]:
    """The axes of the graph's first input that its first convolution or pool slides along (NHWC: 1,
    2).
    """
    tensor = graph.inputs[0]
    rank = len(graph.shape(tensor) or ())
    reach = forward(graph, tensor, range(rank))
    for node in graph.nodes:
        if node.operator in SLIDING and node.inputs[0] in reach:
            tracks = reach[node.inputs[0]].tracks
            axes = sorted(source for source, track in tracks.items() if track.axis >= 2)
            if axes and len(axes) == len(graph.shape(node.inputs[0]) or ()) - 2:
                return tuple(axes)
    return tuple(range(1, rank - 1)) if _channels_last(graph, tensor) else tuple(range(2, rank))


def _channels_last(graph: Graph, tensor: str) -> bool:
    shape = graph.shape(tensor)
    return graph.dtype(tensor) == np.uint8 and shape is not None and shape[-1] in (1, 3, 4)


def forward(graph: Graph, source: str, axes: Sequence[int]) -> dict[str, Reach]:
    """Windows of every tensor that depends on the source."""
    reached = {source: Reach({axis: Track(axis, (IDENTITY,)) for axis in axes})}
    for node in graph.nodes:
        if any(name in reached for name in node.inputs):
            for output in filter(None, node.outputs):
                parts = [
                    _through(node, rule, reached[node.inputs[position]])
                    for position, rule in dependencies(node, graph, output).items()
                    if node.inputs[position] in reached
                ]
                if parts and output != source:
                    reached[output] = _merged(node, parts, axes)
    return reached


def _through(node: Node, rule: Sequence[AxisDependency], reach: Reach) -> Reach:
    tracks: dict[int, Track] = {}
    widened = reach.widened_by
    for source, track in reach.tracks.items():
        read = rule[track.axis] if rule else AxisDependency(None, widened=True)
        if read.axis is None:
            widened = widened or (node.operator if read.widened else None)
            continue
        windows = [read.map.through(window) for window in track.windows]
        known = tuple(window for window in windows if window is not None)
        broken = (
            track.broken
            if len(known) == len(windows)
            else f"{node.operator} '{node.name}' has no single stride"
        )
        tracks[source] = Track(read.axis, known, broken)
    return Reach(tracks, widened)


def _merged(node: Node, parts: Sequence[Reach], axes: Sequence[int]) -> Reach:
    if len(parts) == 1:
        return parts[0]
    widened = next((part.widened_by for part in parts if part.widened_by), None)
    tracks = {}
    for axis in axes:
        found = [part.tracks[axis] for part in parts if axis in part.tracks]
        if len(found) == len(parts) and len({track.axis for track in found}) == 1:
            tracks[axis] = _joined(node, found)
    return Reach(tracks, widened)


def _joined(node: Node, tracks: Sequence[Track]) -> Track:
    by_stride: dict[Fraction, Window] = {}
    broken = next((track.broken for track in tracks if track.broken), None)
    for window in dict.fromkeys(window for track in tracks for window in track.windows):
        other = by_stride.get(window.stride)
        by_stride[window.stride] = window if other is None else hull(other, window)
        if (
            other is not None
            and None not in (other.centre, window.centre)
            and other.centre != window.centre
        ):
            broken = broken or f"paths meet in {node.operator} '{node.name}' with different centres"
    if len(by_stride) > 1:
        broken = broken or f"paths meet in {node.operator} '{node.name}' with different strides"
    return Track(tracks[0].axis, tuple(by_stride.values()), broken)
