"""The inputs that a card can describe: a picture, a signal or a volume, each by the shape of the
array it becomes.

Arithmetic stays in the graph. What a card asks of whoever serves the file is to bring the input to
its shape, and for drawn or photographed ink to tell it from the paper.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from anatomy.cards.validation import CardError, choice, count, fields_of, number, sides, typed

Rule = Literal["centre_crop", "stretch", "pad", "digit"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Colour = Literal["RGB", "L"]
Polarity = Literal["as_is", "light_on_dark", "dark_on_light", "auto"]


@dataclass(frozen=True)
class Resize:
    """How a picture is brought to the input's size.

    `centre_crop`: the central box, of the target's aspect, whose side is `min(h, w) * fraction`,
    resized; `stretch`: the whole picture, resized; `pad`: the whole picture with its aspect kept,
    letterboxed with black; `digit`: the ink alone, its bounding box resized into `box` x `box` with
    its aspect kept, on black, so that its centre of mass lies in the middle of the input as near as
    whole pixels allow.
    """

    rule: Rule = "centre_crop"
    fraction: float = 1.0
    interpolation: Interpolation = "bicubic"
    box: int | None = None

    def __post_init__(self) -> None:
        choice("input.resize.rule", self.rule, get_args(Rule))
        choice("input.resize.interpolation", self.interpolation, get_args(Interpolation))
        number("input.resize.fraction", self.fraction)
        if not 0 < self.fraction <= 1:
            raise CardError(
                f"input.resize.fraction: expected more than 0 and at most 1, got {self.fraction}"
            )
        if self.rule != "centre_crop" and self.fraction != 1:
            raise CardError(
                f"input.resize.fraction: only centre_crop has one, got {self.fraction} with "
                f"{self.rule}"
            )
        if self.rule == "digit":
            count("input.resize.box", self.box)
        elif self.box is not None:
            raise CardError(
                f"input.resize.box: only digit has one, got {self.box!r} with {self.rule}"
            )

    @classmethod
    def from_dict(cls, value: Any) -> "Resize":
        """Read the `input.resize` object of a card; raises CardError."""
        fields = fields_of("input.resize", value, {"rule", "fraction", "interpolation", "box"})
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this rule."""
        return {
            "rule": self.rule,
            "fraction": self.fraction,
            "interpolation": self.interpolation,
            "box": self.box,
        }


@dataclass(frozen=True)
class ImageInput:
    """The input is a picture, uint8 [N, H, W, C]: its size (height, width), its colour mode, and
    how it becomes so.

    `polarity` says how ink lies on paper in the pictures that are posted; unless it is `as_is`, the
    network is given light ink on black: paper is 0, the strongest ink 255. `auto` tells light from
    dark paper by the picture itself.
    """

    size: tuple[int, int]
    colour: Colour = "RGB"
    resize: Resize = field(default_factory=Resize)
    polarity: Polarity = "as_is"
    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        sides("input.size", self.size, ("height", "width"))
        choice("input.colour", self.colour, get_args(Colour))
        choice("input.polarity", self.polarity, get_args(Polarity))
        typed("input.resize", self.resize, Resize)
        if self.colour != "L" and (self.polarity != "as_is" or self.resize.rule == "digit"):
            raise CardError(
                f"input.colour: ink is looked for in grey pictures, expected L, got {self.colour}"
            )
        if (self.resize.box or 1) > min(self.size):
            raise CardError(
                f"input.resize.box: expected at most {min(self.size)}, got {self.resize.box}"
            )

    @property
    def channels(self) -> int:
        """How many channels the colour mode has."""
        return len(self.colour)

    @property
    def shape(self) -> tuple[int, ...]:
        """[H, W, C]: the array without the batch axis."""
        return (*self.size, self.channels)

    @classmethod
    def from_dict(cls, value: Any) -> "ImageInput":
        """Read the `input` object of a card; raises CardError."""
        fields = _read(cls.kind, value, {"size"}, {"colour", "resize", "polarity"})
        fields["size"] = tuple(typed("input.size", fields["size"], list))
        if "resize" in fields:
            fields["resize"] = Resize.from_dict(fields["resize"])
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this input."""
        return {
            "kind": self.kind,
            "size": list(self.size),
            "colour": self.colour,
            "resize": self.resize.to_dict(),
            "polarity": self.polarity,
        }


@dataclass(frozen=True)
class SignalInput:
    """The input is a signal, float32 [N, C, L]: `channels` rows of `length` samples each."""

    channels: int
    length: int
    kind: ClassVar[str] = "signal"

    def __post_init__(self) -> None:
        count("input.channels", self.channels)
        count("input.length", self.length)

    @property
    def shape(self) -> tuple[int, ...]:
        """[C, L]: the array without the batch axis."""
        return self.channels, self.length

    @classmethod
    def from_dict(cls, value: Any) -> "SignalInput":
        """Read the `input` object of a card; raises CardError."""
        return cls(**_read(cls.kind, value, {"channels", "length"}))

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this input."""
        return {"kind": self.kind, "channels": self.channels, "length": self.length}


@dataclass(frozen=True)
class VolumeInput:
    """The input is a volume, float32 [N, C, D, H, W]: `size` in voxels, (depth, height, width)."""

    channels: int
    size: tuple[int, int, int]
    kind: ClassVar[str] = "volume"

    def __post_init__(self) -> None:
        count("input.channels", self.channels)
        sides("input.size", self.size, ("depth", "height", "width"))

    @property
    def shape(self) -> tuple[int, ...]:
        """[C, D, H, W]: the array without the batch axis."""
        return (self.channels, *self.size)

    @classmethod
    def from_dict(cls, value: Any) -> "VolumeInput":
        """Read the `input` object of a card; raises CardError."""
        fields = _read(cls.kind, value, {"channels", "size"})
        fields["size"] = tuple(typed("input.size", fields["size"], list))
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this input."""
        return {"kind": self.kind, "channels": self.channels, "size": list(self.size)}


Input = ImageInput | SignalInput | VolumeInput
KINDS: Mapping[str, type[Input]] = {
    input_type.kind: input_type for input_type in (ImageInput, SignalInput, VolumeInput)
}


def input_from_dict(value: Any) -> Input:
    """Read the `input` object of a card, of whichever kind it is; raises CardError."""
    fields = typed("input", value, dict)
    if "kind" not in fields:
        raise CardError("input: missing kind")
    choice("input.kind", fields["kind"], tuple(KINDS))
    return KINDS[fields["kind"]].from_dict(fields)


def _read(
    kind: str, value: Any, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """The fields of an input of this kind, without the kind itself."""
    fields = fields_of("input", value, {"kind", *required, *optional}, required={"kind", *required})
    choice("input.kind", fields.pop("kind"), (kind,))
    return fields
