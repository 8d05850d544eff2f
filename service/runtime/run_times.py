"""How long the runs of a session take: what decides where the next ones are done."""

import math

DECAY = 0.8
"""What is left of the longest run after each later one: a tenth after ten."""


class RunTimes:
    """The shortest run so far, and a decaying maximum; both in seconds, infinite before the first.

    The shortest tells what the network needs when nothing else is in its way. The maximum tells
    how long the thread that ran it was busy lately: what it waited for a processor, or for Python's
    interpreter lock, says nothing of the network.
    """

    __slots__ = ("recent_maximum", "shortest")

    def __init__(self) -> None:
        self.shortest = math.inf
        self.recent_maximum = math.inf

    def record(self, seconds: float, busy: float) -> None:
        """Count one run: what passed, and how much of it the thread was busy."""
        remembered = 0.0 if self.shortest == math.inf else DECAY * self.recent_maximum
        self.shortest = min(self.shortest, seconds)
        self.recent_maximum = max(busy, remembered)
