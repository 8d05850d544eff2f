"""A loaded model: its file, its sessions, and what follows from its graph and its card."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeGuard

import numpy as np
import onnx

from anatomy.cards.card import Card
from anatomy.fields.receptive_field import ReceptiveFields
from anatomy.graphs.subgraph import extract
from anatomy.layers.layers import Layer, layers
from anatomy.model_file import ModelFile
from anatomy.report import LayerNameError, find_layer, layers_body
from service.errors import UnknownLayer
from service.repository.session_cache import LRUCache
from service.runtime.batch_sizes import bucket_of, stacked
from service.runtime.engine import Engine
from service.runtime.placement import CPU
from service.runtime.session import Session

FLOAT_BYTES = 4
ONE_RUN_BYTES = 32_000_000
"""Tensors of all layers are computed in one run if they take no more for one input."""
QUERIES_PER_SESSION = 16
"""So many queries for one layer pay for a session of its own."""
ALL_LAYERS = ""
"""The cache key of the session for all layers; those of single tensors are the tensors' names,
which are never empty.
"""


QUICK_SECONDS = 0.002
"""A run that takes longer by itself is worth a hand-over to a thread."""
LOOP_SECONDS = 0.02
"""Runs that took longer lately, of several inputs or on a busy machine, would keep the event loop
from its other requests.
"""
SHARED_SECONDS = 0.005


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model.

    `main_session` computes the real outputs only; sessions of single tensors are built on demand.
    """

    name: str
    version: str
    file: ModelFile
    main_session: Session
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
    def supports_batching(self) -> bool:
        """Whether several inputs fit into one run: whether the batch axis is open."""
        shape = self.file.graph.shape(self.file.input)
        return shape is not None and len(shape) > 0 and not isinstance(shape[0], int)

    @cached_property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes that batches are padded to, the largest last; none if they run as they are."""
        return self._engine.batch_sizes if self.supports_batching else ()

    @property
    def is_fast(self) -> bool:
        """Whether the event loop itself may run it: for less time than handing the request to a
        thread and back takes, whatever the input.
        """
        times = self.main_session.times
        return (
            times.shortest < QUICK_SECONDS
            and times.recent_maximum < LOOP_SECONDS
            and self._takes_fixed_time
        )

    @cached_property
    def _takes_fixed_time(self) -> bool:
        """Whether the number of inputs alone settles the work: every tensor has a known size beside
        the batch, and no operator decides what runs or how often.
        """
        if has_control_flow(self.file.proto):
            return False
        graph = self.file.graph
        names = itertools.chain.from_iterable(node.outputs for node in graph.nodes)
        shapes = [graph.shape(name) for name in names if name]
        return all(shape is not None and _is_known(shape[1:]) for shape in shapes)

    @property
    def shares(self) -> bool:
        """Whether requests gain by sharing a run.

        On a CPU a run that takes long keeps the processors busy by itself, and would take the
        memory of several.
        """
        return self.provider != CPU or self.main_session.times.shortest < SHARED_SECONDS

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
        total = 0
        for layer in self.layers:
            if layer.macs is None:
                return None
            total += layer.macs
        return total

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
                f"model '{self.name}' has no layer '{short(reference)}', only 0 to {last}, "
                "each with a name; GET /layers lists them"
            ) from None

    def run(self, inputs: Sequence[np.ndarray], deadline: float | None = None) -> list[np.ndarray]:
        """The real outputs for inputs [n, ...] of one shape and type, in one run, without those of
        its padding.

        Raises what `Session.run` raises.
        """
        count = sum(map(len, inputs))
        size = bucket_of(count, self.batch_sizes[-1]) if self.batch_sizes else count
        outputs = self.main_session.run({self.file.input: stacked(inputs, size)}, deadline)
        if size == count:
            return outputs
        return [_without_padding(output, size, count) for output in outputs]

    @cached_property
    def _one_run_tensors(self) -> frozenset[str]:
        """The tensors of all layers if they are small enough to be computed in one run."""
        shapes = [layer.output_shape for layer in self.layers]
        sizes = [prod(shape) for shape in shapes if _is_known(shape)]
        if len(sizes) < len(shapes) or sum(sizes) * FLOAT_BYTES > ONE_RUN_BYTES:
            return frozenset()
        return frozenset(layer.tensor for layer in self.layers)

    @cached_property
    def _query_counts(self) -> Counter[str]:
        """How often the session of all layers was used for each tensor."""
        return Counter()

    def session_of(self, tensor: str) -> Session:
        """The session that computes a tensor: its own, or that of all layers if more layers are
        queried than the cache holds.

        A tensor that is queried again and again gets its own in the end.
        """
        if self._has_own_session(tensor):
            return self.tap(tensor)
        self._query_counts[tensor] += 1
        if self._query_counts[tensor] % QUERIES_PER_SESSION == 0:
            return self.tap(tensor)
        tensors = list(dict.fromkeys(layer.tensor for layer in self.layers))
        return self._session_for(ALL_LAYERS, tensors)

    def _has_own_session(self, tensor: str) -> bool:
        """Whether a tensor has a session of its own, or is to get one."""
        sessions = self._sessions
        if tensor not in self._one_run_tensors or (tensor, self) in sessions:
            return True
        return (ALL_LAYERS, self) not in sessions and sessions.capacity_left(self) > 0

    def tap(self, tensor: str) -> Session:
        """A session that computes this one tensor, built when first asked for."""
        return self._session_for(tensor, [tensor])

    def _session_for(self, key: str, tensors: list[str]) -> Session:
        return self._sessions.get(
            key, lambda: self._engine.load(extract(self.file.proto, tensors)), self
        )


def has_control_flow(proto: onnx.ModelProto) -> bool:
    """Whether an operator decides what runs or how often: one with a sub-graph, such as Loop."""
    bodies = [proto.graph.node, *(function.node for function in proto.functions)]
    nodes = itertools.chain.from_iterable(bodies)
    return any(attribute.HasField("g") for node in nodes for attribute in node.attribute)


def _without_padding(output: np.ndarray, size: int, count: int) -> np.ndarray:
    return output[:count] if output.shape[:1] == (size,) else output


def _is_known(shape: Sequence[int | str | None] | None) -> TypeGuard[Sequence[int]]:
    return shape is not None and all(isinstance(size, int) for size in shape)


def short(text: str, longest: int = 200) -> str:
    """Text of a request, short enough for a message."""
    return text if len(text) <= longest else text[:longest] + "…"
