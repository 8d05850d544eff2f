"""Inputs that were posted before, as a model is given them: decoded once, not for each layer that
is asked for.

What is kept is the network's small array and the way back to the picture's pixels, never the
picture. It stands for nothing by itself: an input that the store has no more is no more, whatever
is kept of it here, and each look-up counts there as a use.
"""

import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from service.errors import UnknownInput
from service.inputs.preprocess import ModelInput, parse_stored, preprocess
from service.inputs.store import InputStore
from service.repository.model import Model

KEPT_BYTES = 32_000_000
"""Of arrays kept in a process: two hundred photographs as an ImageNet model takes them."""


@dataclass(frozen=True, eq=False, slots=True)
class _Entry:
    model: weakref.ref[Model]
    feed: ModelInput


class DecodedInputCache:
    """What `store` keeps, ready for a model; at most `kept_bytes` of it stay here, the least
    recently used go first.
    """

    def __init__(self, store: InputStore, max_pixels: int, kept_bytes: int = KEPT_BYTES) -> None:
        self._store = store
        self._max_pixels = max_pixels
        self._kept_bytes = kept_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[int, str], _Entry] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes of the arrays kept now."""
        return self._bytes

    def has(self, model: Model, input_id: str) -> bool:
        """Whether the input is ready here; whether the store still has it is not looked at."""
        with self._lock:
            entry = self._entries.get((id(model), input_id))
        return entry is not None and entry.model() is model

    def get(self, model: Model, input_id: str) -> ModelInput:
        """The input as this model takes it; raises UnknownInput and what making it ready raises."""
        feed = self.kept(model, input_id)
        if feed is None:
            feed = preprocess(model, parse_stored(self._store.get(input_id)), self._max_pixels)
            self.keep(model, input_id, feed)
        return feed

    def kept(self, model: Model, input_id: str) -> ModelInput | None:
        """The input if it is ready here, without any decoding; raises UnknownInput if the store has
        it no more.
        """
        key = id(model), input_id
        with self._lock:
            entry = self._entries.get(key)
            # Another model may have come to where one was that is no more.
            if entry is None or entry.model() is not model:
                return None
            self._entries.move_to_end(key)
        try:
            self._store.use(input_id)
        except UnknownInput:
            with self._lock:
                self._drop(key)
            raise
        return entry.feed

    def keep(self, model: Model, input_id: str, feed: ModelInput) -> None:
        """Keep what was made ready of an input, without the bytes that were posted."""
        if feed.array.nbytes > self._kept_bytes:
            return
        key, entry = (id(model), input_id), _Entry(weakref.ref(model), _alone(feed))
        with self._lock:
            self._drop(key)
            self._entries[key] = entry
            self._bytes += entry.feed.array.nbytes
            while self._bytes > self._kept_bytes:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[int, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.feed.array.nbytes


def _alone(feed: ModelInput) -> ModelInput:
    """The same with an array of its own: it may be a view of a whole picture, or of the bytes
    posted.
    """
    array = np.array(feed.array, order="C")
    array.flags.writeable = False
    prepared = None if feed.prepared is None else replace(feed.prepared, array=array[0])
    return replace(feed, array=array, prepared=prepared, posted=None)
