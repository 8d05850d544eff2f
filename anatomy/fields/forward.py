"""The walk forward: how far each tensor follows the axes of a source, and with which windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from anatomy.fields.rule_table import dependencies
from anatomy.fields.rules.base import WIDENED, AxisDependency
from anatomy.fields.windows import IDENTITY, Window, hull
from anatomy.graphs.graph import Graph, Node
from anatomy.graphs.memo import per_graph

SLIDING_WINDOWS = frozenset(
    "Conv ConvInteger QLinearConv ConvTranspose MaxPool AveragePool LpPool "
    "GlobalAveragePool GlobalMaxPool GlobalLpPool".split()
)
"""Operators with the layout [N, C, spatial axes …]."""


@dataclass(frozen=True)
class AxisWindows:
    """What a tensor knows of one source axis: its own axis that follows it, and the windows.

    There is one window for each distinct stride. `reason` says why there is no closed form.
    """

    axis: int
    windows: tuple[Window, ...]
    reason: str | None = None


@dataclass(frozen=True)
class TensorWindows:
    """The source axes that a tensor still follows, and the operator that widened the others."""

    axes: Mapping[int, AxisWindows]
    widened_by: str | None = None


@per_graph
def spatial_axes(graph: Graph) -> tuple[int, ...]:
    """The axes of the graph's first input that its first convolution or pool slides along.

    For an input [N, H, W, C] these are 1 and 2.
    """
    tensor = graph.inputs[0]
    rank = len(graph.shape(tensor) or ())
    reached = propagate_windows(graph, tensor, range(rank))
    for node in graph.nodes:
        if node.operator in SLIDING_WINDOWS and node.inputs[0] in reached:
            axes = _axes_slid_along(graph, node.inputs[0], reached[node.inputs[0]])
            if axes:
                return axes
    return tuple(range(1, rank - 1)) if _channels_last(graph, tensor) else tuple(range(2, rank))


def _axes_slid_along(graph: Graph, tensor: str, windows: TensorWindows) -> tuple[int, ...]:
    """The source axes that all spatial axes of [N, C, …] follow; none if one follows none."""
    axes = sorted(source for source, followed in windows.axes.items() if followed.axis >= 2)
    spatial_rank = len(graph.shape(tensor) or ()) - 2
    return tuple(axes) if len(axes) == spatial_rank else ()


def _channels_last(graph: Graph, tensor: str) -> bool:
    shape = graph.shape(tensor)
    return graph.dtype(tensor) == np.uint8 and shape is not None and shape[-1] in (1, 3, 4)


def propagate_windows(graph: Graph, source: str, axes: Sequence[int]) -> dict[str, TensorWindows]:
    """The windows of every tensor that depends on the source."""
    start = TensorWindows({axis: AxisWindows(axis, (IDENTITY,)) for axis in axes})
    reached = {source: start}
    for node in graph.nodes:
        if reached.keys().isdisjoint(node.inputs):
            continue
        for output in filter(None, node.outputs):
            branches = list(_branches(node, graph, output, reached))
            if branches and output != source:
                reached[output] = _merge(node, branches, axes)
    return reached


def _branches(
    node: Node, graph: Graph, output: str, reached: Mapping[str, TensorWindows]
) -> Iterator[TensorWindows]:
    """What an output knows of the source by each input that it depends on."""
    for position, rule in dependencies(node, graph, output).items():
        name = node.inputs[position]
        if name in reached:
            yield _through(node, rule, reached[name])


def _through(node: Node, rule: Sequence[AxisDependency], windows: TensorWindows) -> TensorWindows:
    axes: dict[int, AxisWindows] = {}
    widened_by = windows.widened_by
    for source, followed in windows.axes.items():
        dependency = rule[followed.axis] if rule else WIDENED
        if dependency.axis is not None:
            axes[source] = _compose(node, dependency.axis, dependency, followed)
        elif dependency.widened:
            widened_by = widened_by or node.operator
    return TensorWindows(axes, widened_by)


def _compose(
    node: Node, axis: int, dependency: AxisDependency, followed: AxisWindows
) -> AxisWindows:
    composed = [dependency.map.through(window) for window in followed.windows]
    windows = tuple(window for window in composed if window is not None)
    reason = followed.reason
    if len(windows) < len(composed):
        reason = f"{node.operator} '{node.name}' has no single stride"
    return AxisWindows(axis, windows, reason)


def _merge(node: Node, branches: Sequence[TensorWindows], axes: Sequence[int]) -> TensorWindows:
    if len(branches) == 1:
        return branches[0]
    widened_by = next((branch.widened_by for branch in branches if branch.widened_by), None)
    merged: dict[int, AxisWindows] = {}
    for axis in axes:
        followed = [branch.axes[axis] for branch in branches if axis in branch.axes]
        targets = {windows.axis for windows in followed}
        if len(followed) == len(branches) and len(targets) == 1:
            merged[axis] = _join(node, followed)
    return TensorWindows(merged, widened_by)


def _join(node: Node, followed: Sequence[AxisWindows]) -> AxisWindows:
    """The hull of the branches' windows with equal strides; all strides are kept."""
    reason = next((windows.reason for windows in followed if windows.reason), None)
    meeting = f"paths meet in {node.operator} '{node.name}' with different"
    hulls: dict[Fraction, Window] = {}
    for window in dict.fromkeys(window for windows in followed for window in windows.windows):
        other = hulls.get(window.stride, window)
        hulls[window.stride] = hull(other, window)
        if _centres_differ(other, window):
            reason = reason or f"{meeting} centres"
    if len(hulls) > 1:
        reason = reason or f"{meeting} strides"
    return AxisWindows(followed[0].axis, tuple(hulls.values()), reason)


def _centres_differ(first: Window, second: Window) -> bool:
    if first.centre is None or second.centre is None:
        return False
    return first.centre != second.centre
