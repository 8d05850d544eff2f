"""The model card: what a model file says about itself that cannot be computed from its graph.

The card is one JSON document with a versioned schema, stored in the file's `metadata_props` under `KEY`: title,
labels, how a picture becomes the input, where the weights come from, their licence, scores and training history.
Nothing here knows ONNX or numpy, so that reading a card costs nothing.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

KEY = "fovea.card"
SCHEMA = 1

Rule = Literal["centre_crop", "stretch", "pad"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Colour = Literal["RGB", "L"]


class CardError(ValueError):
    """The card is not what the schema allows; the message names the field, what was expected and what was found."""


@dataclass(frozen=True)
class Resize:
    """How a picture is brought to the input's size.

    `centre_crop`: the central box, of the target's aspect, whose side is `min(h, w) * fraction`, resized;
    `stretch`: the whole picture, resized; `pad`: the whole picture with its aspect kept, letterboxed with black.
    """

    rule: Rule = "centre_crop"
    fraction: float = 1.0
    interpolation: Interpolation = "bicubic"

    def __post_init__(self) -> None:
        _choice("input.resize.rule", self.rule, get_args(Rule))
        _choice("input.resize.interpolation", self.interpolation, get_args(Interpolation))
        _number("input.resize.fraction", self.fraction)
        if not 0 < self.fraction <= 1:
            raise CardError(f"input.resize.fraction: expected more than 0 and at most 1, got {self.fraction}")
        if self.rule != "centre_crop" and self.fraction != 1:
            raise CardError(f"input.resize.fraction: only centre_crop has one, got {self.fraction} with {self.rule}")

    @classmethod
    def from_dict(cls, value: Any) -> "Resize":
        """Read the `input.resize` object of a card; raises CardError."""
        given = _object("input.resize", value, {"rule", "fraction", "interpolation"})
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this rule."""
        return {"rule": self.rule, "fraction": self.fraction, "interpolation": self.interpolation}


@dataclass(frozen=True)
class ImageInput:
    """The input is a picture: its size (height, width) in pixels, its colour mode and the rule that makes it so."""

    size: tuple[int, int]
    colour: Colour = "RGB"
    resize: Resize = field(default_factory=Resize)
    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        if [_is_int(side) and side > 0 for side in self.size] != [True, True]:
            raise CardError(f"input.size: expected [height, width], both at least 1, got {list(self.size)}")
        _choice("input.colour", self.colour, get_args(Colour))
        _typed("input.resize", self.resize, Resize)

    @property
    def channels(self) -> int:
        """How many channels the colour mode has."""
        return len(self.colour)

    @classmethod
    def from_dict(cls, value: Any) -> "ImageInput":
        """Read the `input` object of a card; raises CardError."""
        given = _object("input", value, {"kind", "size", "colour", "resize"}, required={"kind", "size"})
        _choice("input.kind", given.pop("kind"), (cls.kind,))
        given["size"] = tuple(_typed("input.size", given["size"], list))
        if "resize" in given:
            given["resize"] = Resize.from_dict(given["resize"])
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of this input."""
        return {
            "kind": self.kind,
            "size": list(self.size),
            "colour": self.colour,
            "resize": self.resize.to_dict(),
        }


@dataclass(frozen=True)
class Card:
    """One model's card. Every field has a default: an empty card is valid, and says nothing."""

    schema: int = SCHEMA
    title: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    input: ImageInput | None = None
    provenance: str = ""
    licence: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _is_int(self.schema) or self.schema != SCHEMA:
            raise CardError(f"schema: this version reads {SCHEMA}, got {self.schema!r}")
        for name in ("title", "description", "provenance", "licence"):
            _typed(name, getattr(self, name), str)
        for index, label in enumerate(self.labels):
            _typed(f"labels[{index}]", label, str)
        if self.input is not None:
            _typed("input", self.input, ImageInput)
        _typed("scores", self.scores, Mapping)
        for name, score in self.scores.items():
            _number(f"scores.{name}", score)
        _typed("history", self.history, Mapping)
        object.__setattr__(self, "scores", MappingProxyType(dict(self.scores)))
        object.__setattr__(self, "history", MappingProxyType(dict(self.history)))

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card; raises CardError for text that is no JSON, an unknown schema or key, or a wrong type."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise CardError(f"the card is not JSON: {error}") from None
        # The schema comes first: a newer card has keys that this version cannot judge.
        if isinstance(value, dict) and value.get("schema") != SCHEMA:
            raise CardError(f"schema: this version reads {SCHEMA}, got {value.get('schema')!r}")
        given = _object("card", value, set(cls.__dataclass_fields__), required={"schema"})
        if "labels" in given:
            given["labels"] = tuple(_typed("labels", given["labels"], list))
        if given.get("input") is not None:
            given["input"] = ImageInput.from_dict(given["input"])
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """The card as plain JSON values, every field present."""
        return {
            "schema": self.schema,
            "title": self.title,
            "description": self.description,
            "labels": list(self.labels),
            "input": self.input.to_dict() if self.input else None,
            "provenance": self.provenance,
            "licence": self.licence,
            "scores": dict(self.scores),
            "history": dict(self.history),
        }

    def to_json(self) -> str:
        """The card as JSON text, the same for equal cards; raises CardError if `history` holds no plain JSON."""
        try:
            return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise CardError(f"history: expected plain JSON values, got {error}") from None


def _object(name: str, value: Any, keys: Collection[str], required: Collection[str] = ()) -> dict[str, Any]:
    given = dict(_typed(name, value, dict))
    if unknown := sorted(given.keys() - set(keys)):
        raise CardError(f"{name}: unknown keys {', '.join(unknown)}; known are {', '.join(sorted(keys))}")
    if missing := sorted(set(required) - given.keys()):
        raise CardError(f"{name}: missing {', '.join(missing)}")
    return given


def _typed(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise CardError(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CardError(f"{name}: expected a finite number, got {value!r}")


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise CardError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
