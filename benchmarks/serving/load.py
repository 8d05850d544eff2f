"""One load on a running server: what wrk counts, what the server's processes cost, and whether
answers stay right.
"""

import itertools
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.serving import wrk
from benchmarks.serving.server import Server, ServerError
from benchmarks.serving.wire import Address, Call, Connection, WireError

PAUSE = 0.05
_runs = itertools.count(int(time.time()) % 1_000_000)


@dataclass(frozen=True)
class Load:
    """Of one load: requests a second, milliseconds of latency, processor seconds of a request, and
    what went wrong.
    """

    per_second: float
    p50: float
    p90: float
    p99: float
    cpu: float
    errors: int
    complaints: tuple[str, ...]


def under_load(
    server: Server, calls: Sequence[Call], connections: int, seconds: float, *, fresh: bool = False
) -> Load:
    """Load an idle server on so many connections, and leave it idle again.

    Beside several connections one more asks now and then and reads the answers: whoever works on
    many requests at once may mix them up. What it is told counts too. With `fresh` no body is sent
    twice.
    """
    mark = f"{next(_runs):010d}" if fresh else ""
    before = server.cpu_seconds()
    with Watcher(server.address, calls if connections > 1 else ()) as watcher:
        counted = wrk.load(server.address, calls, connections, seconds, mark)
        # At once: what is still in flight is not counted as answered, and the server goes on with
        # it.
        cpu, answers = server.cpu_seconds() - before, counted.answers + watcher.answers
    server.settle()
    errors = {kind: number for kind, number in counted.errors.items() if number}
    if not answers:
        raise ServerError(f"on {connections} connections nothing was answered: {errors}")
    return Load(
        per_second=counted.answers / counted.seconds,
        p50=counted.p50,
        p90=counted.p90,
        p99=counted.p99,
        cpu=cpu / answers,
        errors=sum(errors.values()) + len(watcher.complaints),
        complaints=(*_told(server, errors), *watcher.complaints),
    )


def check(server: Server, calls: Sequence[Call]) -> None:
    """Each call once; raises ServerError for a wrong answer: the figures of a wrong server mean
    nothing.
    """
    with Connection(server.address) as connection:
        for call in calls:
            if wrong := call.wrong(connection.ask(call.bytes())):
                raise ServerError(f"{call.method} {call.target}: {wrong}")


def refusals(metrics: str) -> dict[str, int]:
    """How many requests the server says to have answered since its start with each status of 400
    and above.
    """
    counts = re.findall(
        r'^fovea_requests_total\{.*status="([45]\d\d)".*\} (\d+)', metrics, re.MULTILINE
    )
    return {
        status: sum(int(count) for other, count in counts if other == status)
        for status, _ in counts
    }


def _told(server: Server, errors: Mapping[str, int]) -> Iterator[str]:
    """The errors that wrk counted; it does not say which status, but the server does."""
    yield from (f"{kind}: {number}" for kind, number in errors.items())
    if "status" in errors:
        with Connection(server.address) as connection:
            metrics = connection.ask(
                Call("/metrics", lambda _: "", accept="*/*").bytes()
            ).body.decode()
        yield f"statuses so far: {refusals(metrics)}"


class Watcher:
    """While the `with` block runs, asks the calls in turn on a connection of its own and reads the
    answers.
    """

    def __init__(self, address: Address, calls: Sequence[Call]) -> None:
        self._address, self._calls = address, calls
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher")
        self.answers = 0
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        if self._calls:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._calls:
            self._thread.join()

    def _watch(self) -> None:
        try:
            with Connection(self._address) as connection:
                for call in itertools.cycle(self._calls):
                    if self._over.wait(PAUSE):
                        return
                    wrong = call.wrong(connection.ask(call.bytes()))
                    self.answers += 1
                    if wrong:
                        self.complaints.append(f"{call.target}: {wrong}")
        except (OSError, WireError) as error:
            self.complaints.append(f"the watching connection: {error}")
