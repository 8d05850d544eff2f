"""What a caller meets when there is more work than can be done, or work that takes too long."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from service.services import Services
from service.settings import Settings
from tests.service.batches import submit
from tests.service.conftest import Start

Check = Callable[..., dict[str, Any]]


@pytest.fixture
def busy(
    settings: Settings, started: Start
) -> Iterator[Callable[..., tuple[httpx.Client, threading.Event]]]:
    """A service whose one runner is busy until the event is set."""
    events: list[threading.Event] = []

    def make(**changes: Any) -> tuple[httpx.Client, threading.Event]:
        services = Services.start(settings.model_copy(update={"instances": 1} | changes))
        events.append(threading.Event())
        submit(services.batcher, lambda: events[-1].wait(20), services.catalogue.get())
        return started(services.settings, services), events[-1]

    yield make
    for event in events:
        event.set()


def test_a_full_queue_is_answered_429_with_the_time_to_come_back(
    busy: Callable[..., Any], picture: bytes, assert_problem: Check
) -> None:
    client, release = busy(queue_size=1)
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as another:
        waiting = pool.submit(client.post, "/predict", content=picture)
        for _ in range(200):
            if "fovea_queue_length 2.0" in client.get("/metrics").text:
                break
            time.sleep(0.01)
        for refused in (client.post("/predict", content=picture), client.get("/layers/0/kernels")):
            assert_problem(refused, 429, "queue-full", "try again later")
            assert int(refused.headers["retry-after"]) >= 1
        # The line of another model is its own.
        other = another.submit(client.get, "/layers/0/kernels?model=decoder")
        release.set()
        assert waiting.result(10).status_code == 200
        assert other.result(10).status_code == 200
    assert client.post("/predict", content=picture).status_code == 200


def test_work_whose_turn_does_not_come_is_answered_504_in_time_and_never_done(
    busy: Callable[..., Any], picture: bytes, assert_problem: Check
) -> None:
    client, release = busy(deadline_seconds=0.2)
    started = time.monotonic()
    assert_problem(
        client.post("/predict", content=picture), 504, "deadline-passed", "try again later"
    )
    assert time.monotonic() - started < 5
    assert "fovea_queue_length 1.0" in client.get("/metrics").text
    release.set()


def test_what_needs_no_run_is_answered_while_all_runners_are_busy(busy: Callable[..., Any]) -> None:
    client, _ = busy(deadline_seconds=0.2)
    for path in ("/layers", "/models", "/readyz", "/livez", "/metrics", "/", "/openapi.json"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(("seconds", "sizes"), [(0.001, {1, 5}), (1.0, {1})])
def test_only_requests_of_a_quick_model_share_a_run(
    settings: Settings, started: Start, picture: bytes, seconds: float, sizes: set[int]
) -> None:
    """What takes long on a CPU keeps it busy by itself, and several at once would take the memory
    of several.
    """
    services = Services.start(settings.model_copy(update={"instances": 1}))
    client, model, release = (
        started(services.settings, services),
        services.catalogue.get(),
        threading.Event(),
    )
    model.main_session.times.shortest = seconds
    submit(services.batcher, lambda: release.wait(20))
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(client.post, "/predict", content=picture) for _ in range(5)]
        for _ in range(1000):
            if len(services.batcher._queue) == 5:
                break
            time.sleep(0.01)
        model.main_session.times.shortest = seconds
        release.set()
        assert [future.result(20).status_code for future in waiting] == [200] * 5
    client.post("/predict", content=picture)
    counted = services.statistics.of(model.name, model.version)
    assert {batch.batch_size for batch in counted.batch_stats} == sizes
