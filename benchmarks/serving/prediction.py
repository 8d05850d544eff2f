"""The scenario of one model and its predictions: bare, naive loop and server in turn, round after
round.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.serving.bare import Bare, cost, naive, processors
from benchmarks.serving.figures import Figures, Rounds
from benchmarks.serving.load import Load, check, under_load
from benchmarks.serving.server import Server
from benchmarks.serving.subjects import Subject
from benchmarks.serving.wire import Call, Connection

CONNECTIONS = (1, 16, 64)
FRESH = 16
BATCHES = (1, 8)
STARTS = 3
PAUSE = 0.005
MICRO = 1e6
MILLI = 1e3


@dataclass(frozen=True)
class Options:
    """How long and how often to measure, where to write meanwhile, and the server's settings
    (`FOVEA_…`).
    """

    rounds: int
    seconds: float
    folder: Path
    settings: dict[str, str]

    def serve(self, subject: Subject) -> Server:
        """A server of this model, which writes into a folder of its own."""
        return Server(
            self.folder / f"serve-{subject.name}-{time.monotonic_ns()}",
            subject.models,
            self.settings,
        )


def measured(subject: Subject, options: Options) -> Figures:
    """All figures of this model: cold start, costs, latencies, memory."""
    calls = subject.predictions()
    rounds = Rounds()
    for _ in range(min(STARTS, options.rounds)):
        with options.serve(subject) as server:
            rounds.add("cold_start_s", server.first_right(calls[0]))
    with options.serve(subject) as server:
        server.first_right(calls[0])
        memory(rounds, server, "started")
        check(server, calls)
        under_load(server, calls, CONNECTIONS[-1], 1)
        complaints: list[str] = []
        for _ in range(options.rounds):
            alone(rounds, subject, options.seconds / 4)
            complaints += served(rounds, server, subject, calls, options.seconds)
            idle(rounds, server, subject, calls, options.seconds / 2)
        check(server, calls)
        memory(rounds, server, "loaded")
    return {**rounds.figures(), "reference_batch": subject.reference, "complaints": complaints}


def alone(rounds: Rounds, subject: Subject, seconds: float) -> None:
    """A round without the server: the bare model and the naive loop, each at all batches."""
    bare = Bare(subject.proto)
    for batch in BATCHES:
        tensors, _ = _some(subject, batch)
        run = cost(partial(bare, tensors), batch, seconds)
        rounds.add(f"bare/{batch}/cpu_us", run.cpu * MICRO)
        rounds.add(f"bare/{batch}/wall_us", run.wall * MICRO)
    for batch in BATCHES:
        _, bodies = _some(subject, batch)
        loop = cost(partial(naive, bare, bodies, subject.spec, subject.labels), batch, seconds)
        rounds.add(f"naive/{batch}/cpu_us", loop.cpu * MICRO)
        rounds.add(
            f"naive/{batch}/added_us",
            loop.cpu * MICRO - rounds.last(f"bare/{subject.reference}/cpu_us"),
        )


def served(
    rounds: Rounds, server: Server, subject: Subject, calls: Sequence[Call], seconds: float
) -> list[str]:
    """A round of loads, the last with pictures that are never the same; what the clients complained
    of.
    """
    complaints: list[str] = []
    loads = [(connections, False) for connections in CONNECTIONS]
    for connections, fresh in [*loads, (FRESH, True)]:
        length = seconds * subject.longer if connections > 1 else seconds
        load = under_load(server, calls, connections, length, fresh=fresh)
        name = f"{connections}-fresh" if fresh else str(connections)
        add(rounds, f"server/{name}", load, rounds.last(f"bare/{subject.reference}/cpu_us"))
        complaints += load.complaints
    return complaints


def add(rounds: Rounds, name: str, load: Load, bare_us: float) -> None:
    """A load's figures, with what the server adds to the bare model of the same round."""
    rounds.add(f"{name}/cpu_us", load.cpu * MICRO)
    rounds.add(f"{name}/added_us", load.cpu * MICRO - bare_us)
    rounds.add(f"{name}/ratio", load.cpu * MICRO / bare_us)
    rounds.add(f"{name}/per_second", load.per_second)
    for quantile in ("p50", "p90", "p99"):
        rounds.add(f"{name}/{quantile}_ms", getattr(load, quantile))
    rounds.add(f"{name}/p99_by_p50", load.p99 / load.p50)
    rounds.add(f"{name}/errors", load.errors)


def idle(
    rounds: Rounds, server: Server, subject: Subject, calls: Sequence[Call], seconds: float
) -> None:
    """Single requests with a pause before each, in turn with single runs of the bare model, by the
    clock.
    """
    one = subject.tensors[:1]
    bare, threaded = Bare(subject.proto), Bare(subject.proto, processors())
    requests = cycle([call.bytes() for call in calls])
    with Connection(server.address) as connection:
        kinds: dict[str, Callable[[], Any]] = {
            "bare": lambda: bare(one),
            "bare_threads": lambda: threaded(one),
            "server": lambda: connection.ask(next(requests)),
        }
        walls: dict[str, list[float]] = {kind: [] for kind in kinds}
        end = time.perf_counter() + seconds
        while len(walls["server"]) < 10 or time.perf_counter() < end:
            for kind, run in kinds.items():
                time.sleep(PAUSE)
                start = time.perf_counter()
                run()
                walls[kind].append(time.perf_counter() - start)
    typical = {kind: median(times) * MILLI for kind, times in walls.items()}
    for kind, value in typical.items():
        rounds.add(f"idle/{kind}_ms", value)
    rounds.add("idle/added_ms", typical["server"] - typical["bare"])


def memory(rounds: Rounds, server: Server, when: str) -> None:
    """The largest of the server's processes, and all of them, when it has `started` or when it was
    `loaded`.
    """
    sizes = server.pss_bytes()
    rounds.add(f"memory/{when}/largest_mb", max(sizes) / MICRO)
    rounds.add(f"memory/{when}/all_mb", sum(sizes) / MICRO)


def _some(subject: Subject, batch: int) -> tuple[Any, list[bytes]]:
    """So many pictures, again from the first where there are fewer."""
    indices = [index % len(subject.bodies) for index in range(batch)]
    return subject.tensors[indices], [subject.bodies[index] for index in indices]
