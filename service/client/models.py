"""What the clients give back: the service's answers as frozen dataclasses, and its refusals as an
exception.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Interval = tuple[int, int]


class ProblemError(Exception):
    """The service refused (RFC 9457): `type`, `title`, `status`, `detail`.

    `retry_after` in seconds if it said when to come back; `request_id` is what its logs know the
    request by.
    """

    def __init__(
        self,
        type: str,  # noqa: A002 - the name that RFC 9457 gives it
        title: str,
        status: int,
        detail: str,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
        self.request_id = request_id


@dataclass(frozen=True)
class ScoredClass:
    """A class with its probability; no label where the model has none."""

    index: int
    label: str | None
    probability: float | None


@dataclass(frozen=True)
class Prediction:
    """The strongest classes first. `input_id` stands for the input in later calls."""

    model: str
    version: str
    provider: str
    input_id: str
    predictions: tuple[ScoredClass, ...]
    timings_ms: Mapping[str, float]


@dataclass(frozen=True)
class LayerField:
    """The receptive field of a layer, per spatial axis; None with a `reason` where there is no
    single number.
    """

    status: str
    size: tuple[float, ...] | None
    stride: tuple[float, ...] | None
    padding: tuple[float, ...] | None
    reason: str | None = None
    operator: str | None = None


@dataclass(frozen=True)
class UnitField:
    """What one unit sees: half-open per axis, also clipped to the input, and in pixels of the
    picture named, if any.
    """

    status: str
    unit: tuple[int, ...]
    interval: tuple[Interval, ...]
    clipped: tuple[Interval, ...]
    picture: tuple[Interval, ...] | None = None


@dataclass(frozen=True)
class Layer:
    """One layer, as `GET /layers` lists it; shapes are without the batch."""

    index: int
    name: str
    kind: str
    operator: str
    tensor: str
    inputs: tuple[str, ...]
    output_shape: tuple[int | None, ...]
    parameters: int
    macs: int | None
    receptive_field: LayerField
    kernel_shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    pads: tuple[int, ...] | None = None
    dilations: tuple[int, ...] | None = None
    groups: int | None = None
    channel_axis: int | None = None
    attributes: Mapping[str, Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Model:
    """A model that is served."""

    name: str
    versions: tuple[str, ...]
    default: bool
    provider: str
    layers: int
    parameters: int
    macs: int | None
    card: Mapping[str, Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Sample:
    """An input to try a model with: its name for people, its file, what it is and how many bytes it
    has.
    """

    name: str
    file: str
    media_type: str
    bytes: int
