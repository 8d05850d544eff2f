"""Which threads do which part of a request: a run slot is held by nothing but a run."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from service.errors import DeadlinePassed, QueueFull
from service.inference.pipeline import Pipeline
from service.inputs.store import InputStore
from service.runtime.session import Session
from service.scheduling.batcher import Batcher
from service.services import Services
from service.settings import Settings
from tests.service.batches import pending, submit
from tests.service.conftest import Start
from tests.service.networks import encoded

PIXELS = np.random.default_rng(5).integers(0, 256, (200, 200, 3), np.uint8)
HEAD = {"Inference-Header-Content-Length": "0"}
LARGE = 16_384

Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def large_picture() -> bytes:
    data = encoded(PIXELS, "JPEG")
    assert len(data) > LARGE
    return data


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    """One run slot, one thread to decode, and room for two requests in all."""
    pipeline = Pipeline(Batcher(workers=1, max_queue_size=1), queue_size=1, threads=1)
    yield pipeline
    pipeline.close()


def soon() -> float:
    return time.monotonic() + 20


def later(decide: Callable[[], bool]) -> None:
    end = soon()
    while not decide():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("module", "path", "headers"),
    [
        ("service.inference.predictor", "/predict", {}),
        ("service.api.activations", "/layers/0/activations", {}),
        ("service.oip.inference", "/v2/models/photos/infer", HEAD),
    ],
)
def test_a_picture_is_decoded_while_every_run_slot_is_busy(
    settings: Settings,
    started: Start,
    monkeypatch: pytest.MonkeyPatch,
    picture: bytes,
    module: str,
    path: str,
    headers: dict[str, str],
) -> None:
    services = Services.start(settings.model_copy(update={"instances": 1}))
    client = started(services.settings, services)
    preprocess = __import__(module, fromlist=["preprocess"]).preprocess
    decoded, release = threading.Event(), threading.Event()

    def seen(*arguments: Any) -> Any:
        result = preprocess(*arguments)
        decoded.set()
        return result

    monkeypatch.setattr(f"{module}.preprocess", seen)
    submit(services.batcher, lambda: release.wait(20))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, path, content=picture, headers=headers)
        try:
            assert decoded.wait(10)
            assert not answer.done()
        finally:
            release.set()
        assert answer.result().status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/layers/0/activations"])
def test_the_store_is_written_beside_the_run_and_before_the_answer(
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    large_picture: bytes,
    path: str,
) -> None:
    put, run = InputStore.put, Session.run
    running, written = threading.Event(), threading.Event()

    def late_put(store: InputStore, data: bytes) -> str:
        assert running.wait(10)
        input_id = put(store, data)
        written.set()
        return input_id

    def seen_run(*arguments: Any) -> Any:
        running.set()
        assert written.wait(10)
        return run(*arguments)

    monkeypatch.setattr(InputStore, "put", late_put)
    monkeypatch.setattr(Session, "run", seen_run)
    answer = client.post(path, content=large_picture)
    assert answer.status_code == 200
    input_id = answer.headers.get("x-input-id") or answer.json()["input_id"]
    assert client.get(f"/inputs/{input_id}").content == large_picture


def test_a_large_body_is_hashed_and_written_by_threads_of_their_own(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, large_picture: bytes
) -> None:
    put, threads = InputStore.put, list[str]()

    def seen(store: InputStore, data: bytes) -> str:
        threads.append(threading.current_thread().name)
        return put(store, data)

    monkeypatch.setattr(InputStore, "put", seen)
    png, numbers = encoded(PIXELS, "PNG"), json.dumps({"inputs": PIXELS[:32, :32].tolist()})
    document = {"content-type": "application/json"}
    bodies: list[dict[str, Any]] = [
        {"content": large_picture},
        {"content": png},
        {"content": numbers + " " * LARGE, "headers": document},
        {"json": {"image": base64.b64encode(png).decode()}},
        {"files": [("file", large_picture)]},
    ]
    several = {"files": [("file", large_picture), ("file", png)]}
    posts = [("/predict", body) for body in (*bodies, several)]
    posts += [("/layers/0/activations", body) for body in bodies]
    # The second time the network is known to be quick.
    for path, body in [*posts, *posts]:
        assert client.post(path, **body).status_code == 200
    assert len(threads) == 2 * (len(posts) + 1)
    assert all(name.startswith("fovea-write") for name in threads)


def test_who_waits_to_be_decoded_beyond_its_deadline_is_refused_and_never_decoded(
    pipeline: Pipeline,
) -> None:
    release, done = threading.Event(), list[str]()

    async def ask() -> None:
        first = asyncio.create_task(pipeline.on_cpu("model", soon(), lambda: release.wait(20)))
        await asyncio.sleep(0.01)
        with pytest.raises(DeadlinePassed):
            await pipeline.on_cpu("model", time.monotonic() + 0.05, lambda: done.append("late"))
        assert pending(pipeline.batcher) == 1
        release.set()
        assert (await first).result
        await pipeline.on_cpu("model", soon(), lambda: done.append("next"))

    asyncio.run(ask())
    assert done == ["next"]
    assert pending(pipeline.batcher) == 0


def test_what_waits_to_be_decoded_and_to_be_run_is_bounded_together(pipeline: Pipeline) -> None:
    release, run = threading.Event(), threading.Event()

    async def ask() -> None:
        decoding = asyncio.create_task(pipeline.on_cpu("model", soon(), lambda: release.wait(20)))
        running = asyncio.create_task(
            pipeline.batcher.run(lambda _: [run.wait(20)], None, soon(), None, owner="model")
        )
        await asyncio.sleep(0.01)
        with pytest.raises(QueueFull) as full:
            await pipeline.on_cpu("model", soon(), lambda: None)
        assert full.value.retry_after > 0
        with pytest.raises(QueueFull):
            await pipeline.batcher.run(lambda _: [None], None, soon(), None, owner="model")
        release.set()
        # The line of another model is its own, and what was admitted goes on.
        await pipeline.on_cpu("another", soon(), lambda: None)
        await pipeline.on_cpu("model", soon(), lambda: None, admitted=True)
        run.set()
        await asyncio.gather(decoding, running)

    asyncio.run(ask())
    assert pending(pipeline.batcher) == 0


def test_who_hangs_up_while_it_waits_to_be_decoded_frees_its_place(pipeline: Pipeline) -> None:
    release, done = threading.Event(), list[str]()

    async def ask() -> None:
        first = asyncio.create_task(pipeline.on_cpu("model", soon(), lambda: release.wait(20)))
        gone = asyncio.create_task(pipeline.on_cpu("model", soon(), lambda: done.append("gone")))
        await asyncio.sleep(0.01)
        assert pending(pipeline.batcher) == 2
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert pending(pipeline.batcher) == 1
        release.set()
        await first

    asyncio.run(ask())
    assert done == []


def test_an_answer_waits_for_the_store_no_longer_than_its_deadline(pipeline: Pipeline) -> None:
    release = threading.Event()

    async def ask() -> None:
        writing = pipeline.beside(lambda: release.wait(20))
        with pytest.raises(DeadlinePassed):
            await pipeline.finished("model", time.monotonic() + 0.05, writing)
        release.set()
        assert await pipeline.finished("model", soon(), pipeline.beside(lambda: "id")) == "id"

    asyncio.run(ask())
    assert pending(pipeline.batcher) == 0


def test_a_disk_that_hangs_fills_the_queue_and_nothing_else(
    settings: Settings,
    started: Start,
    monkeypatch: pytest.MonkeyPatch,
    large_picture: bytes,
    assert_problem: Check,
) -> None:
    services = Services.start(settings.model_copy(update={"instances": 1, "queue_size": 1}))
    client, release = started(services.settings, services), threading.Event()
    put = InputStore.put

    def hang(store: InputStore, data: bytes) -> str:
        release.wait(20)
        return put(store, data)

    monkeypatch.setattr(InputStore, "put", hang)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/predict", content=large_picture) for _ in range(2)]
        later(lambda: services.statistics.of("photos", "2").execution_count == 2)
        later(lambda: pending(services.batcher) == 2)
        assert_problem(client.post("/predict", content=large_picture), 429, "queue-full")
        release.set()
        assert [answer.result().status_code for answer in waiting] == [200, 200]
