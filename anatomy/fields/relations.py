"""The connections that one operator makes between tensors of known sizes, along one axis."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.axis_maps import AxisMap, Pairs


@dataclass(frozen=True)
class Relation:
    """The connections of one operator along one axis, split into passes in each of which no index
    occurs twice.
    """

    outputs: int
    inputs: int
    passes: tuple[Pairs, ...]

    def pull(self, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Inputs [U, inputs] that are read by any of the outputs marked in [U, outputs]."""
        read = np.zeros((len(seen), self.inputs), np.bool_)
        for units, indices in self.passes:
            read[:, indices] |= seen[:, units]
        return read

    def push(self, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Outputs [U, outputs] that read any of the inputs marked in [U, inputs]."""
        reached = np.zeros((len(seen), self.outputs), np.bool_)
        for units, indices in self.passes:
            reached[:, units] |= seen[:, indices]
        return reached


@lru_cache(maxsize=4096)
def relation(axis_map: AxisMap, outputs: int, inputs: int) -> Relation:
    """The map between tensors of these sizes."""
    units, indices = axis_map.pairs(outputs, inputs)
    passes = []
    while len(units):
        _, first_use = np.unique(indices, return_index=True)
        _, first_unit = np.unique(units[first_use], return_index=True)
        chosen = first_use[first_unit]
        passes.append((units[chosen], indices[chosen]))
        rest = np.ones(len(units), np.bool_)
        rest[chosen] = False
        units, indices = units[rest], indices[rest]
    return Relation(outputs, inputs, tuple(passes))
