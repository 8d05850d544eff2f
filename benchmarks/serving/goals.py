"""What the server is to reach, by the names of the figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.serving.figures import at


@dataclass(frozen=True)
class Goal:
    """A bound, `at most` or `at least`, of a figure's median.

    Where `always`, the bound is one of its worst round.
    """

    figure: str
    what: str
    kind: Literal["at most", "at least"]
    bound: float
    always: bool = False

    def held(self, scenarios: Mapping[str, Any]) -> dict[str, Any] | None:
        """The goal with what was measured; None where that was not."""
        figure = at(scenarios, self.figure)
        if figure is None:
            return None
        below = self.kind == "at most"
        worst = "most" if below else "least"
        value = figure[worst if self.always else "median"]
        met = value <= self.bound if below else value >= self.bound
        return {
            "what": self.what,
            "measured": value,
            "goal": f"{self.kind} {self.bound:g}",
            "met": met,
        }


GOALS = (
    *(
        goal
        for connections in (16, 64)
        for goal in (
            Goal(
                f"small/server/{connections}/added_us",
                f"small, {connections}: over bare, µs",
                "at most",
                100,
            ),
            Goal(
                f"small/server/{connections}/per_second",
                f"small, {connections}: requests/s",
                "at least",
                7000,
            ),
            Goal(
                f"small/server/{connections}/errors",
                f"small, {connections}: errors",
                "at most",
                0,
                always=True,
            ),
            Goal(
                f"imagenet/server/{connections}/added_us",
                f"photo, {connections}: over bare, µs",
                "at most",
                3400,
            ),
            Goal(
                f"imagenet/server/{connections}/errors",
                f"photo, {connections}: errors",
                "at most",
                0,
                always=True,
            ),
        )
    ),
    Goal("small/server/16/p99_by_p50", "small, 16: p99 / p50", "at most", 3),
    Goal("imagenet/server/16/p99_by_p50", "photo, 16: p99 / p50", "at most", 3),
    Goal("small/idle/added_ms", "small, idle: over bare, ms", "at most", 0.6),
    Goal("imagenet/idle/added_ms", "photo, idle: over bare, ms", "at most", 4.5),
    Goal("small/cold_start_s", "small: cold start, s", "at most", 1.0),
    Goal("imagenet/cold_start_s", "photo: cold start, s", "at most", 1.0),
    Goal("small/memory/loaded/largest_mb", "small: memory of a process, MB", "at most", 150),
    Goal("imagenet/memory/loaded/largest_mb", "photo: memory of a process, MB", "at most", 250),
)


def held(scenarios: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every goal whose figure was measured."""
    results = [goal.held(scenarios) for goal in GOALS]
    return [result for result in results if result is not None]
