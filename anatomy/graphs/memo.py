"""What was worked out of a graph, kept for as long as the graph lives."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

from anatomy.graphs.graph import Graph

Result = TypeVar("Result")


def per_graph(function: Callable[[Graph], Result]) -> Callable[[Graph], Result]:
    """The function, computed once for each graph."""
    results: WeakKeyDictionary[Graph, Result] = WeakKeyDictionary()

    @wraps(function)
    def remembered(graph: Graph) -> Result:
        if graph not in results:
            results[graph] = function(graph)
        return results[graph]

    return remembered
