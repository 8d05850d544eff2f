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

MAX_BYTES = 32_000_000
"""Arrays cached in a process: two hundred photographs as an ImageNet model takes them."""


@dataclass(frozen=True, eq=False, slots=True)
class _Entry:
    model: weakref.ref[Model]
    model_input: ModelInput


class DecodedInputCache:
    """Inputs of `store` as models take them; at most `max_bytes` of it stay here, the least
    recently used go first.
    """

    def __init__(self, store: InputStore, max_pixels: int, max_bytes: int = MAX_BYTES) -> None:
        self._store = store
        self._max_pixels = max_pixels
        self._max_bytes = max_bytes
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
        model_input = self._look_up(model, input_id)
        if model_input is None:
            posted = parse_stored(self._store.get(input_id))
            model_input = preprocess(model, posted, self._max_pixels)
            self.put(model, input_id, model_input)
        return model_input

    def put(self, model: Model, input_id: str, model_input: ModelInput) -> None:
        """Keep what was made ready of an input, without the bytes that were posted."""
        if model_input.array.nbytes > self._max_bytes:
            return
        key = id(model), input_id
        entry = _Entry(weakref.ref(model), _detached(model_input))
        with self._lock:
            self._drop(key)
            self._entries[key] = entry
            self._bytes += entry.model_input.array.nbytes
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))

    def _look_up(self, model: Model, input_id: str) -> ModelInput | None:
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
        return entry.model_input

    def _drop(self, key: tuple[int, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.model_input.array.nbytes


def _detached(model_input: ModelInput) -> ModelInput:
    """The same with an array of its own: it may be a view of a whole picture, or of the bytes
    posted.
    """
    array = np.array(model_input.array, order="C")
    array.flags.writeable = False
    image = model_input.image
    if image is not None:
        image = replace(image, array=array[0])
    return replace(model_input, array=array, image=image, posted=None)
