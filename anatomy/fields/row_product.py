"""Products of rows: what all units of a layer see of a tensor, one set of rows for each axis.

`anatomy/fields/tables.py` says what a row is and walks over the graph with them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anatomy.fields.backward import Mask

Rows = NDArray[Any]

NO_PRODUCT = (
    "what a unit sees along one axis depends on its place along another, so that no table per axis "
    "holds it"
)


class NoTableError(ValueError):
    """The fields of a layer are no product of axes, or too many; the message says which."""


@dataclass(frozen=True)
class AxisRows:
    """Rows [n, width] along one axis of a tensor, one for each index of the map's axis `follows`.

    There is one row for all units where it follows none.
    """

    follows: int | None
    rows: Rows


@dataclass(frozen=True)
class RowProduct:
    """What all units see of a tensor, as the product of the rows of its axes.

    `alive` [n] marks, for each axis k of the map, the indices whose units see anything; its entry
    for None has one element. Rows are combined by `union`: masks of indices by `or`, bounds
    (lo, -hi) by `minimum`.
    """

    union: np.ufunc
    axes: Mapping[int, AxisRows]
    alive: Mapping[int | None, Mask]

    @property
    def is_empty(self) -> bool:
        return not all(mask.any() for mask in self.alive.values())

    def join(self, other: "RowProduct") -> "RowProduct":
        """The union of both. Raises NoTableError if that is no product."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        differing = [k for k, mask in self.alive.items() if (mask != other.alive[k]).any()]
        if len(differing) > 1 and self.exceeds(other) and other.exceeds(self):
            raise NoTableError(NO_PRODUCT)
        axes = {axis: self._join_axis(other, axis) for axis in self.axes}
        alive = {k: mask | other.alive[k] for k, mask in self.alive.items()}
        return RowProduct(self.union, axes, alive)

    def _join_axis(self, other: "RowProduct", axis: int) -> AxisRows:
        k = common_axis(self.axes[axis].follows, other.axes[axis].follows)
        count = len(self.alive[k])
        first = repeat_rows(self.axes[axis].rows, count)
        second = repeat_rows(other.axes[axis].rows, count)
        rows_of_one = np.where(self.alive[k][:, None], first, second)
        in_both = (self.alive[k] & other.alive[k])[:, None]
        joined = np.where(in_both, self.union(first, second), rows_of_one)
        self.check_product(other, k, first, joined)
        other.check_product(self, k, second, joined)
        return AxisRows(k, joined)

    def check_product(self, other: "RowProduct", k: int | None, before: Rows, after: Rows) -> None:
        """Units that are alive here alone, by another axis than k, must keep their rows."""
        if self.exceeds(other, but=k) and (after != before)[self.alive[k]].any():
            raise NoTableError(NO_PRODUCT)

    def exceeds(self, other: "RowProduct", but: int | None = -1) -> bool:
        """Whether units are alive here and not there, along another map axis than `but`."""
        return any((mask & ~other.alive[k]).any() for k, mask in self.alive.items() if k != but)

    def entries(self, axes: Sequence[int]) -> dict[int, AxisRows]:
        """The rows at the source, zero for units that see nothing.

        Raises NoTableError if no axis is left to say that a unit sees nothing.
        """
        entries = {axis: self.axes[axis] for axis in axes}
        if self.is_empty:
            return {axis: AxisRows(e.follows, np.zeros_like(e.rows)) for axis, e in entries.items()}
        for k, mask in self.alive.items():
            if axes and not mask.all():
                _make_followed(entries, k, len(mask))
        for axis, entry in entries.items():
            alive = self.alive[entry.follows][:, None]
            entries[axis] = AxisRows(entry.follows, np.where(alive, entry.rows, 0))
        return entries

    def with_bounds(self, bounds_of: Callable[[Rows], Rows]) -> "RowProduct":
        """The same units with rows that are bounds [n, 2]."""
        axes = {
            axis: AxisRows(rows.follows, bounds_of(rows.rows)) for axis, rows in self.axes.items()
        }
        return RowProduct(np.minimum, axes, self.alive)


def _make_followed(entries: dict[int, AxisRows], k: int | None, count: int) -> None:
    """Let one of the entries follow map axis k, if none does yet."""
    if any(entry.follows == k for entry in entries.values()):
        return
    axis = next((axis for axis, entry in entries.items() if entry.follows is None), None)
    if axis is None:
        raise NoTableError(NO_PRODUCT)
    entries[axis] = AxisRows(k, repeat_rows(entries[axis].rows, count))


def repeat_rows(rows: Rows, count: int) -> Rows:
    """The rows, of which there is one or `count`, as `count` rows."""
    return np.broadcast_to(rows, (count, rows.shape[1]))


def common_axis(first: int | None, second: int | None) -> int | None:
    """The map axis that both follow; raises NoTableError where they follow different ones."""
    if first is None or second is None:
        return second if first is None else first
    if first != second:
        raise NoTableError(NO_PRODUCT)
    return first
