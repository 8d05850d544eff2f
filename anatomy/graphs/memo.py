"""What was worked out of a graph, kept for as long as the graph lives."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from anatomy.graphs.graph import Graph

Result = TypeVar("Result")


def per_graph(function: Callable[[Graph], Result]) -> Callable[[Graph], Result]:
    """The function, computed once for each graph."""
    known: WeakKeyDictionary[Graph, Result] = WeakKeyDictionary()

    @wraps(function)
    def remembered(graph: Graph) -> Result:
        if graph not in known:
            known[graph] = function(graph)
        return known[graph]

    return remembered
