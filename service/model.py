"""A loaded model: its file, the session that answers, and what the graph and the card tell of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from anatomy.card import Card
from anatomy.layers import Layer, layers
from anatomy.model_file import ModelFile
from anatomy.receptive_field import ReceptiveFields
from anatomy.report import LayerNameError, find_layer, layers_body
from anatomy.subgraph import extract
from service.buckets import bucket_of, stacked
from service.engine import Engine, Session
from service.errors import UnknownLayer
from service.sessions import Cache


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. `lean` computes the real outputs only; sessions of single tensors are built when asked for."""

    name: str
    version: str
    file: ModelFile
    lean: Session
    provider: str
    _engine: Engine
    _sessions: Cache[Session]

    @cached_property
    def card(self) -> Card:
        """Its card; an empty one where the file has none."""
        return self.file.card or Card()

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, as far as the card has them."""
        return tuple(self.card.labels)

    @cached_property
    def batches(self) -> bool:
        """Whether several inputs fit into one run: whether the batch axis is open."""
        shape = self.file.graph.shape(self.file.input)
        return shape is not None and len(shape) > 0 and not isinstance(shape[0], int)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that batches are padded to, the largest last; none where they run as they are."""
        return self._engine.batches if self.batches else ()

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of its input with the batch axis, as far as the card tells it; None without a card."""
        return None if self.card.input is None else (1, *self.card.input.shape)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Its layers, in topological order."""
        return layers(self.file.graph)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of one input; None if a layer's size is unknown."""
        each = [layer.macs for layer in self.layers]
        return None if None in each else sum(macs for macs in each if macs is not None)

    @cached_property
    def fields(self) -> ReceptiveFields:
        """Receptive fields as far as the file's own sizes tell them."""
        return ReceptiveFields(self.file.graph)

    @cached_property
    def listing(self) -> Mapping[str, Any]:
        """The body of `GET /layers`."""
        return layers_body(self.file.graph, self.layers, self.fields, self.name, self.version)

    def layer(self, reference: str) -> Layer:
        """The layer with this index or name; raises UnknownLayer."""
        try:
            return find_layer(self.layers, reference)
        except (LayerNameError, ValueError):
            last = len(self.layers) - 1
            raise UnknownLayer(
                f"model '{self.name}' has no layer '{short(reference)}', only 0 to {last}, each with a name; "
                "GET /layers lists them"
            ) from None

    def run(self, inputs: Sequence[np.ndarray], deadline: float | None = None) -> list[np.ndarray]:
        """The real outputs for inputs [n, ...] of one shape and type, in one run; those of its padding are cut off.

        Raises what `Session.run` raises.
        """
        count = sum(map(len, inputs))
        size = bucket_of(count, self.sizes[-1]) if self.sizes else count
        outputs = self.lean.run({self.file.input: stacked(inputs, size)}, deadline)
        return outputs if size == count else [each[:count] if each.shape[:1] == (size,) else each for each in outputs]

    def tap(self, tensor: str) -> Session:
        """A session that computes this one tensor, built when first asked for."""
        return self._sessions.get(tensor, lambda: self._engine.load(extract(self.file.proto, [tensor])), self)


def short(text: str, longest: int = 200) -> str:
    """Text of a request, short enough for a message."""
    return text if len(text) <= longest else text[:longest] + "…"
