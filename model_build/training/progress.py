"""The progress of a training: a bar on a terminal, elsewhere a line for each epoch."""

import sys
import time
from collections.abc import Mapping
from typing import Protocol, Self, TextIO

from tqdm import tqdm

_EVERY = 0.2


class Report(Protocol):
    """What the training loop reports."""

    def begin(self, steps: int, done: int, batch_size: int) -> None:
        """The training has `steps` steps of `batch_size` examples, of which `done` are taken."""

    def step(self, loss: float, accuracy: float) -> None:
        """A step is done; the numbers are means over the epoch so far."""

    def epoch(self, record: Mapping[str, float]) -> None:
        """An epoch is done; its record in the history."""


class Silence:
    """Shows nothing."""

    def begin(self, steps: int, done: int, batch_size: int) -> None:
        """Nothing."""

    def step(self, loss: float, accuracy: float) -> None:
        """Nothing."""

    def epoch(self, record: Mapping[str, float]) -> None:
        """Nothing."""


class Progress:
    """A bar with loss, accuracy, images a second and the time left.

    Where `stream` is no terminal, a line for each epoch.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._bar: tqdm | None = None
        self._batch_size, self._waiting = 1, 0
        self._images, self._since, self._shown = 0, time.monotonic(), 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._advance()
            self._bar.close()

    def begin(self, steps: int, done: int, batch_size: int) -> None:
        """Start the bar where the training stands."""
        self._batch_size, self._since = batch_size, time.monotonic()
        if self._stream.isatty():
            self._bar = tqdm(
                total=steps * batch_size,
                initial=done * batch_size,
                unit=" images",
                unit_scale=True,
                dynamic_ncols=True,
                file=self._stream,
            )

    def step(self, loss: float, accuracy: float) -> None:
        """Move on; the terminal is written to a few times a second only."""
        self._images += self._batch_size
        self._waiting += self._batch_size
        now = time.monotonic()
        if self._bar is not None and now - self._shown > _EVERY:
            self._shown = now
            self._bar.set_postfix_str(f"loss {loss:.4f}, accuracy {accuracy:.2%}", refresh=False)
            self._advance()

    def epoch(self, record: Mapping[str, float]) -> None:
        """A line with the epoch's record: above the bar, if there is one."""
        speed = self._images / max(time.monotonic() - self._since, 1e-9)
        score = f", score {record['score']:.2%}" if "score" in record else ""
        line = (
            f"epoch {record['epoch']:.0f}: loss {record['loss']:.4f}, accuracy "
            f"{record['accuracy']:.2%}{score}, "
            f"{speed:.0f} images/s"
        )
        if self._bar is not None:
            self._advance()
            self._bar.write(line, file=self._stream)
        else:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _advance(self) -> None:
        if self._bar is not None:
            self._bar.update(self._waiting)
            self._waiting = 0
