"""The model card: what a model file says about itself that cannot be computed from its graph.

The card is one JSON document with a versioned schema, stored in the file's `metadata_props` under
`KEY`: title, labels, what the input is (`inputs.py`), where the weights come from, their
licence, scores and training history. Nothing here knows ONNX or numpy, so that reading a card costs
nothing.

Schema 2 added signals, volumes, the rule `digit` and `polarity`. Whatever schema 1 allows means the
same in it, so such a card is read as one of schema 2.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from anatomy.cards.inputs import (
    Colour,
    ImageInput,
    Input,
    Interpolation,
    Polarity,
    Resize,
    Rule,
    SignalInput,
    VolumeInput,
    input_from_dict,
)
from anatomy.cards.validation import CardError, fields_of, is_int, number, typed

__all__ = [
    "KEY",
    "SCHEMA",
    "Card",
    "CardError",
    "Colour",
    "ImageInput",
    "Input",
    "Interpolation",
    "Polarity",
    "Resize",
    "Rule",
    "SignalInput",
    "VolumeInput",
]

KEY = "fovea.card"
SCHEMA = 2
READABLE_SCHEMAS = (1, SCHEMA)


@dataclass(frozen=True)
class Card:
    """One model's card. Every field has a default: an empty card is valid, and says nothing."""

    schema: int = SCHEMA
    title: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    input: Input | None = None
    provenance: str = ""
    licence: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    history: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not is_int(self.schema) or self.schema != SCHEMA:
            raise CardError(f"schema: this version writes {SCHEMA}, got {self.schema!r}")
        for name in ("title", "description", "provenance", "licence"):
            typed(name, getattr(self, name), str)
        for index, label in enumerate(self.labels):
            typed(f"labels[{index}]", label, str)
        if self.input is not None and not isinstance(self.input, Input):
            raise CardError(
                "input: expected ImageInput, SignalInput or VolumeInput, got "
                f"{type(self.input).__name__}"
            )
        typed("scores", self.scores, Mapping)
        for name, score in self.scores.items():
            number(f"scores.{name}", score)
        typed("history", self.history, Mapping)
        object.__setattr__(self, "scores", MappingProxyType(dict(self.scores)))
        object.__setattr__(self, "history", MappingProxyType(dict(self.history)))

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read a card; raises CardError for text that is no JSON, an unknown schema or key, or a
        wrong type.
        """
        try:
            value = json.loads(text)
        except (RecursionError, ValueError) as error:
            raise CardError(f"the card is not JSON: {error}") from None
        # The schema comes first: a newer card has keys that this version cannot judge.
        if isinstance(value, dict):
            value = value | {"schema": _read_as(value.get("schema"))}
        fields = fields_of("card", value, set(cls.__dataclass_fields__), required={"schema"})
        if "labels" in fields:
            fields["labels"] = tuple(typed("labels", fields["labels"], list))
        if fields.get("input") is not None:
            fields["input"] = input_from_dict(fields["input"])
        return cls(**fields)

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
        """The card as JSON text, the same for equal cards; raises CardError if `history` holds no
        plain JSON.
        """
        try:
            return json.dumps(
                self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
        except (TypeError, ValueError) as error:
            raise CardError(f"history: expected plain JSON values, got {error}") from None


def _read_as(schema: Any) -> int:
    """The schema as which a card is read; raises CardError for one that is not known."""
    if not is_int(schema) or schema not in READABLE_SCHEMAS:
        readable = " and ".join(map(str, READABLE_SCHEMAS))
        raise CardError(f"schema: this version reads {readable}, got {schema!r}")
    return SCHEMA
