"""Figures of several rounds, by name, and what becomes of them: the median and the range."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]
"""Nested by the parts of a name; at its leaves `median`, `least`, `most` and `rounds`."""


class Rounds:
    """Collects a figure for each round under a name whose parts are set apart by slashes:
    `server/16/cpu_us`.
    """

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        """One more round's figure."""
        self._values[name].append(value)

    def last(self, name: str) -> float:
        """What the present round gave."""
        return self._values[name][-1]

    def figures(self) -> Figures:
        """Everything collected, nested by the names."""
        tree: dict[str, Any] = {}
        for name, values in self._values.items():
            *path, leaf = name.split("/")
            node = tree
            for part in path:
                node = node.setdefault(part, {})
            node[leaf] = spread(values)
        return tree


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, range and the single figures, to four significant digits."""
    rounded = [significant(value) for value in values]
    return {
        "median": significant(statistics.median(values)),
        "least": min(rounded),
        "most": max(rounded),
        "rounds": rounded,
    }


def significant(value: float) -> float:
    """To four significant digits: more of them are noise."""
    return float(f"{value:.4g}")


def at(figures: Figures, name: str) -> Any:
    """What is found under a name of slashes, None for nothing."""
    node: Any = figures
    for part in name.split("/"):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def median(figures: Figures, name: str) -> float | None:
    """The median found under a name, None for nothing."""
    figure = at(figures, name)
    return None if figure is None else float(figure["median"])
