"""How long the runs of a session take: what decides where the next ones are done."""

import math

DECAY = 0.8
"""What is left of the longest run after each later one: a tenth after ten."""


class RunTimes:
    """The shortest run so far, and a decaying maximum; both in seconds, infinite before the first.

    The shortest tells what the network needs when nothing else is in its way. The maximum tells
    what it took lately: on this machine, at these sizes, with these data.
    """

    __slots__ = ("recent_maximum", "shortest")

    def __init__(self) -> None:
        self.shortest = math.inf
        self.recent_maximum = math.inf

    def record(self, seconds: float) -> None:
        """Count one run."""
        if self.shortest == math.inf:
            self.shortest = self.recent_maximum = seconds
            return
        self.shortest = min(self.shortest, seconds)
        self.recent_maximum = max(seconds, DECAY * self.recent_maximum)
