"""What can be asked of receptive fields, and the answers."""

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["exact", "whole_input", "upper_bound"]
Interval = tuple[int, int]
"""Half-open [start, stop)."""


class UnitError(ValueError):
    """The unit asked for does not exist; the message says what would."""


class LayerLike(Protocol):
    """What of a layer a receptive field needs: where it stands, and the tensor that it computes."""

    @property
    def index(self) -> int:
        """Its place in topological order."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def tensor(self) -> str:
        """The tensor that it computes."""

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of the tensor along which its units lie."""


@dataclass(frozen=True)
class LayerField:
    """Size r, stride S and padding P of a layer's field, one entry a spatial axis of the source;
    None with a reason.

    An axis that every unit reads whole has the size of the input, stride 0 and padding 0.
    """

    status: Status
    size: tuple[int, ...] | None
    stride: tuple[int | float, ...] | None
    padding: tuple[int, ...] | None
    reason: str | None = None
    operator: str | None = None


@dataclass(frozen=True)
class UnitField:
    """What one unit sees, per spatial axis: `interval` counts padding, `clipped` only what is
    really read.
    """

    interval: tuple[Interval, ...]
    clipped: tuple[Interval, ...]


@dataclass(frozen=True)
class AxisTable:
    """What units see along one axis of the source: half-open, an entry for each index along the
    map's axis `follows`.

    With `follows` None there is one entry, for all units. An entry (0, 0) is empty: such units see
    nothing at all. The source has `size` indices along this axis.
    """

    follows: int | None
    size: int
    interval: tuple[Interval, ...]
    clipped: tuple[Interval, ...]


@dataclass(frozen=True)
class FieldTable:
    """What all units of a layer see: per spatial axis of the source, entries whose product is the
    field of a unit.

    A unit for which an entry of `clipped` is empty along any axis sees nothing; the same holds for
    `interval`.
    """

    status: Status
    axes: tuple[AxisTable, ...]


@dataclass(frozen=True)
class PyramidLevel:
    """What one unit sees of an earlier layer, or of the network's input where `of` is None."""

    of: LayerLike | None
    status: Status
    field: UnitField
