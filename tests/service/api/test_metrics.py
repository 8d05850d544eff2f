"""`/metrics` and the statistics of a model, against requests that fail, wait, and go through the
network together.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.api.predictions import predicted
from service.inputs.preprocess import Picture
from service.runtime.ort_errors import RunFailed
from service.services import Services
from service.settings import Settings
from service.telemetry.statistics import ModelStatistics
from tests.e2e.process import until
from tests.service.batches import submit
from tests.service.conftest import Start

Busy = Callable[..., tuple[httpx.Client, Services, threading.Event]]


@pytest.fixture
def busy(settings: Settings, started: Start) -> Iterator[Busy]:
    """A service whose one runner is busy until the event is set."""
    events: list[threading.Event] = []

    def make(**changes: Any) -> tuple[httpx.Client, Services, threading.Event]:
        services = Services.start(settings.model_copy(update={"instances": 1} | changes))
        events.append(threading.Event())
        submit(services.batcher, lambda: events[-1].wait(20))
        return started(services.settings, services), services, events[-1]

    yield make
    for event in events:
        event.set()


def value(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def photos(services: Services) -> ModelStatistics:
    return services.statistics.of("photos", "2")


def test_what_waited_together_is_one_run_of_several_requests(busy: Busy, picture: bytes) -> None:
    client, services, release = busy()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.post, "/predict", content=picture) for _ in range(3)]
        until(lambda: value(client, "fovea_queue_length") == 4, "all three wait")
        release.set()
        assert [response.result(20).status_code for response in waiting] == [200] * 3
    statistics = photos(services)
    assert (
        statistics.inference_count,
        statistics.execution_count,
        statistics.success.count,
        statistics.fail.count,
    ) == (3, 1, 3, 0)
    assert [(batch.batch_size, batch.compute_infer.count) for batch in statistics.batch_stats] == [
        (3, 1)
    ]
    [batch] = statistics.batch_stats
    assert statistics.compute_infer.ns == pytest.approx(3 * batch.compute_infer.ns, abs=2)
    assert statistics.success.ns == pytest.approx(
        sum(
            stage.ns
            for stage in (
                statistics.queue,
                statistics.compute_input,
                statistics.compute_infer,
                statistics.compute_output,
            )
        ),
        abs=5,
    )
    for bound, runs in (("1.0", 0), ("2.0", 0), ("4.0", 1), ("8.0", 1), ("+Inf", 1)):
        assert value(client, "fovea_batch_size_bucket", le=bound, model="photos") == runs, bound
    assert value(client, "fovea_batch_size_sum", model="photos") == 3
    assert value(client, "fovea_queue_length") == 0


def test_a_full_queue_is_a_refused_request_of_the_model(busy: Busy, picture: bytes) -> None:
    client, services, release = busy(queue_size=1)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(client.post, "/predict", content=picture) for _ in range(5)]
        until(lambda: value(client, "fovea_requests_total", status="429") >= 3, "most are refused")
        release.set()
        statuses = [response.result(20).status_code for response in asked]
    answered, refused = statuses.count(200), statuses.count(429)
    assert answered + refused == 5
    assert answered >= 1
    assert value(client, "fovea_requests_total", status="429") == refused
    assert dict(photos(services).failures) == {"REJECTED": refused}
    assert photos(services).success.count == answered
    assert (
        value(client, "fovea_inference_request_failure_total", reason="REJECTED", model="photos")
        == refused
    )


def test_a_deadline_that_passes_in_the_queue_is_a_refused_request_and_leaves_the_queue(
    busy: Busy, picture: bytes
) -> None:
    client, services, _ = busy(deadline_seconds=0.2)
    assert client.post("/predict", content=picture).status_code == 504
    statistics = photos(services)
    assert (dict(statistics.failures), statistics.execution_count) == ({"REJECTED": 1}, 0)
    assert statistics.fail.ns > 100_000_000
    assert value(client, "fovea_queue_length") == 1


def test_a_caller_who_hangs_up_in_the_queue_is_a_cancelled_request(
    settings: Settings, picture: bytes
) -> None:
    services, release = (
        Services.start(settings.model_copy(update={"instances": 1})),
        threading.Event(),
    )
    submit(services.batcher, lambda: release.wait(20))

    async def hang_up() -> None:
        task = asyncio.create_task(
            predicted(services, services.catalogue.get(), [Picture(picture)], None)
        )
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(hang_up())
    assert dict(photos(services).failures) == {"CANCELED": 1}
    release.set()
    services.close()


def test_a_run_that_fails_is_a_failure_of_the_backend_and_no_run(
    settings: Settings, started: Start, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services.start(settings)
    client = started(settings, services)

    def fail(*_: object) -> None:
        raise RunFailed("the machine is on fire")

    monkeypatch.setattr(type(services.catalogue.get().main_session), "run", fail)
    assert client.post("/predict", content=picture).status_code == 500
    statistics = photos(services)
    assert dict(statistics.failures) == {"BACKEND": 1}
    assert (statistics.execution_count, statistics.success.count) == (0, 0)
    assert (
        value(
            client,
            "fovea_inference_request_failure_total",
            reason="BACKEND",
            model="photos",
            version="2",
        )
        == 1
    )


def test_one_bad_file_fails_its_request_and_the_others_of_it_were_still_computed(
    settings: Settings, started: Start, picture: bytes
) -> None:
    services = Services.start(settings)
    files = [("file", picture), ("file", picture[:50]), ("file", picture)]
    assert started(settings, services).post("/predict", files=files).status_code == 400
    statistics = photos(services)
    assert (statistics.inference_count, statistics.execution_count, statistics.success.count) == (
        2,
        1,
        2,
    )
    assert dict(statistics.failures) == {"OTHER": 1}


def test_work_that_is_no_prediction_counts_its_wait_and_its_run_but_no_inference(
    settings: Settings, started: Start, picture: bytes
) -> None:
    services = Services.start(settings)
    client = started(settings, services)
    built = value(client, "fovea_sessions_built_total")
    for layer in (0, 1, 0):
        assert client.post(f"/layers/{layer}/activations", content=picture).status_code == 200
    statistics = photos(services)
    assert (statistics.layer_runs.count, statistics.inference_count, statistics.success.count) == (
        3,
        0,
        0,
    )
    assert statistics.layer_runs.ns > 0
    assert value(client, "fovea_other_queue_seconds_count") == 3
    assert value(client, "fovea_layer_session_misses_total") == 2
    assert value(client, "fovea_layer_session_hits_total") == 1
    assert value(client, "fovea_layer_sessions") == 2
    assert value(client, "fovea_sessions_built_total") == built + 2


def test_sessions_that_make_room_for_others_are_told(
    settings: Settings, started: Start, picture: bytes
) -> None:
    client = started(settings.model_copy(update={"layer_sessions": 1}))
    for version in (1, 2, 1):
        client.post(f"/layers/0/activations?model=photos:{version}", content=picture)
    assert value(client, "fovea_layer_session_evictions_total") == 2
    assert value(client, "fovea_layer_session_misses_total") == 3
    assert value(client, "fovea_layer_sessions") == 1


def test_the_store_tells_what_it_keeps_and_what_it_dropped(
    settings: Settings, started: Start, picture: bytes
) -> None:
    room = 20 * len(picture)
    client = started(settings.model_copy(update={"input_store_bytes": room}))
    pictures = [picture + bytes([number]) for number in range(30)]
    for content in pictures:
        assert client.post("/predict", content=content).status_code == 200
    written, dropped = (
        value(client, "fovea_input_store_writes_total"),
        value(client, "fovea_input_store_evictions_total"),
    )
    assert written == 30
    assert 0 < dropped < 30
    assert value(client, "fovea_input_store_limit_bytes") == room
    until(
        lambda: value(client, "fovea_input_store_files") == written - dropped,
        "the folder is looked through again",
    )
    assert value(client, "fovea_input_store_bytes") == (written - dropped) * (len(picture) + 1)


def test_the_text_is_what_prometheus_reads_and_names_no_family_twice(
    client: httpx.Client, picture: bytes
) -> None:
    client.post("/predict", content=picture)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names) > 30
    for family in families:
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        if family.type == "histogram":
            samples = [
                (sample.name, dict(sample.labels), sample.value) for sample in family.samples
            ]
            check_histogram(samples)


def check_histogram(samples: list[tuple[str, dict[str, str], float]]) -> None:
    """Buckets grow, and the last one is the count."""
    series: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    counts: dict[frozenset[tuple[str, str]], float] = {}
    for name, labels, number in samples:
        bound = labels.pop("le", None)
        if name.endswith("_bucket"):
            series.setdefault(frozenset(labels.items()), []).append((float(str(bound)), number))
        elif name.endswith("_count"):
            counts[frozenset(labels.items())] = number
    assert series.keys() == counts.keys()
    for labels_of, buckets in series.items():
        assert buckets == sorted(buckets)
        assert [number for _, number in buckets] == sorted(number for _, number in buckets)
        assert buckets[-1] == (float("inf"), counts[labels_of])
