"""A loaded model: its file, the session that answers, and what the graph and the card tell of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeGuard

import numpy as np

from anatomy.cards.card import Card
from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.graphs.subgraph import extract
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import ModelFile
from anatomy.report import LayerNameError, find_layer, layers_body
from service.errors import UnknownLayer
from service.repository.session_cache import LRUCache
from service.runtime.batch_sizes import bucket_of, stacked
from service.runtime.engine import CPU, Engine, Session

FLOAT_BYTES = 4
AT_ONCE_BYTES = 32_000_000
"""Of the tensors of all layers for one input, where they are computed in one run."""
OFTEN = 16
"""Questions for one layer after which a session of its own is worth building."""
ALL = ""
"""Stands for the session of all layers, beside those of single tensors: no tensor has an empty
name.
"""


# Longer runs would keep the event loop from its other requests.
QUICK_SECONDS = 0.002
SHARED_SECONDS = 0.005


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. `lean` computes the real outputs only; sessions of single tensors are built
    when asked for.
    """

    name: str
    version: str
    file: ModelFile
    lean: Session
    provider: str
    _engine: Engine
    _sessions: LRUCache[Session]

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
    def quick(self) -> bool:
        """Whether a run takes less time than handing the request to a thread and back."""
        return self.lean.shortest < QUICK_SECONDS

    @property
    def shares(self) -> bool:
        """Whether requests gain by sharing a run.

        On a CPU a run that takes long keeps the processors busy by itself, and would take the
        memory of several.
        """
        return self.provider != CPU or self.lean.shortest < SHARED_SECONDS

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of its input with the batch axis, as far as the card tells it; None without a
        card.
        """
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
                f"model '{self.name}' has no layer '{short(reference)}', only 0 to {last}, each "
                "with a name; "
                "GET /layers lists them"
            ) from None

    def run(self, inputs: Sequence[np.ndarray], deadline: float | None = None) -> list[np.ndarray]:
        """The real outputs for inputs [n, ...] of one shape and type, in one run; those of its
        padding are cut off.

        Raises what `Session.run` raises.
        """
        count = sum(map(len, inputs))
        size = bucket_of(count, self.sizes[-1]) if self.sizes else count
        outputs = self.lean.run({self.file.input: stacked(inputs, size)}, deadline)
        return (
            outputs
            if size == count
            else [each[:count] if each.shape[:1] == (size,) else each for each in outputs]
        )

    @cached_property
    def _at_once(self) -> frozenset[str]:
        """The tensors of all layers, if they are few enough bytes to be computed in one run; else
        none.
        """
        numbers = [
            prod(layer.output_shape) for layer in self.layers if _is_known(layer.output_shape)
        ]
        fits = len(numbers) == len(self.layers) and sum(numbers) * FLOAT_BYTES <= AT_ONCE_BYTES
        return frozenset(layer.tensor for layer in self.layers) if fits else frozenset()

    @cached_property
    def _asked(self) -> Counter[str]:
        """How often each tensor was asked of the session of all layers."""
        return Counter()

    def session_of(self, tensor: str) -> Session:
        """The session to ask for a tensor: its own, or that of all layers if more of them are asked
        for than are kept.

        One that is asked for again and again gets its own in the end.
        """
        kept = self._sessions
        if (
            tensor not in self._at_once
            or (tensor, self) in kept
            or ((ALL, self) not in kept and kept.capacity_left(self) > 0)
        ):
            return self.tap(tensor)
        self._asked[tensor] += 1
        if self._asked[tensor] % OFTEN == 0:
            return self.tap(tensor)
        names = [layer.tensor for layer in self.layers]
        return kept.get(
            ALL,
            lambda: self._engine.load(extract(self.file.proto, list(dict.fromkeys(names)))),
            self,
        )

    def tap(self, tensor: str) -> Session:
        """A session that computes this one tensor, built when first asked for."""
        return self._sessions.get(
            tensor, lambda: self._engine.load(extract(self.file.proto, [tensor])), self
        )


def _is_known(shape: Sequence[int | None] | None) -> TypeGuard[Sequence[int]]:
    return shape is not None and all(isinstance(size, int) for size in shape)


def short(text: str, longest: int = 200) -> str:
    """Text of a request, short enough for a message."""
    return text if len(text) <= longest else text[:longest] + "…"
