"""The vocabulary of rules: what a node reads along each axis of an input, and how a rule looks at
its node.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anatomy.fields.axis_maps import AxisMap, Taps
from anatomy.graphs.graph import Graph, Node, Shape


@dataclass(frozen=True)
class AxisDependency:
    """An input axis is read along output axis `axis` by `map`; with axis None each unit reads all
    of it.
    """

    axis: int | None
    map: AxisMap = Taps()
    widened: bool = False


WHOLE_AXIS = AxisDependency(None)


WIDENED = AxisDependency(None, widened=True)


AxisDependencies = tuple[AxisDependency, ...]


Rule = Callable[[Node, Graph], Mapping[int, AxisDependencies]]


class RuleNotApplicable(ValueError):
    """The rule cannot say for this node, for want of a rank, a constant or a mode that it knows."""


def identity(rank: int) -> AxisDependencies:
    """Every axis follows its own."""
    return tuple(AxisDependency(axis) for axis in range(rank))


def shape_of(graph: Graph, name: str) -> Shape:
    """The shape of a tensor. Raises RuleNotApplicable if its rank is unknown."""
    shape = graph.shape(name)
    if shape is None:
        raise RuleNotApplicable(f"the rank of '{name}' is unknown")
    return shape


def size_at(shape: Shape, axis: int) -> int:
    """One size of a shape. Raises RuleNotApplicable if the model leaves it open."""
    size = shape[axis]
    if not isinstance(size, int):
        raise RuleNotApplicable(f"the size of axis {axis} is left open")
    return size


def attribute_or_input(
    node: Node, graph: Graph, position: int, attribute: str, default: Any = None
) -> Any:
    """A setting that older opsets keep in an attribute and newer ones in a constant input."""
    if attribute in node.attributes:
        return node.attributes[attribute]
    if position >= len(node.inputs) or not node.inputs[position]:
        return default
    if node.inputs[position] not in graph.constants:
        raise RuleNotApplicable(f"{attribute} of '{node.name}' is computed")
    return graph.constants[node.inputs[position]].tolist()
