"""A run alone has all threads, runs at the same time an equal part each, with the same answers."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anatomy.model_file import read
from service.repository.loader import Loader
from service.repository.model import Model
from service.repository.scan import ModelFiles
from service.runtime.contended_session import ContendedSession
from service.runtime.engine import Engine
from service.runtime.session import Session
from service.scheduling.batcher import Batcher
from service.telemetry.instruments import Gauge
from tests.service import networks
from tests.service.batches import submit


@pytest.fixture
def busy_workers() -> Gauge:
    return Gauge()


def two_busy_workers() -> Gauge:
    gauge = Gauge()
    gauge.set(2)
    return gauge


@pytest.fixture
def session(busy_workers: Gauge, repository_folder: Path) -> Session:
    engine = Engine("cpu", threads=3, contended_threads=1, busy_workers=busy_workers)
    return engine.load(read(repository_folder / "photos/1/model.onnx").proto, adapt_threads=True)


def threads_of(contended: ContendedSession | None) -> int | None:
    """Threads of the session for runs at the same time as others, once it is loaded."""
    assert contended is not None
    until = time.monotonic() + 20
    while contended.session is None and time.monotonic() < until:
        time.sleep(0.01)
    return (
        None
        if contended.session is None
        else int(contended.session.get_session_options().intra_op_num_threads)
    )


def test_only_runs_under_load_take_the_session_with_fewer_threads(
    session: Session, busy_workers: Gauge
) -> None:
    feeds = {session.inputs[0]: np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)}
    alone = session.run(feeds)
    assert session._contended is not None
    assert session._contended.session is None
    busy_workers.set(2)
    assert threads_of(session._contended) == 1
    under_load = session.run(feeds)
    busy_workers.set(1)
    assert session._contended.session is None
    for one, other in zip(alone, under_load, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_where_a_share_is_all_there_is_nothing_is_loaded_twice(repository_folder: Path) -> None:
    engine = Engine("cpu", threads=1, contended_threads=1, busy_workers=two_busy_workers())
    assert (
        engine.load(
            read(repository_folder / "photos/1/model.onnx").proto, adapt_threads=True
        )._contended
        is None
    )
    engine = Engine("cpu", threads=2, contended_threads=1, busy_workers=two_busy_workers())
    assert engine.load(networks.parsed(networks.SIGNALS))._contended is None


def test_threads_spin_for_heavy_networks_that_run_by_themselves_and_only_there(
    imagenet_model: Path,
) -> None:
    loader = Loader(Engine("cpu", threads=2, contended_threads=1, busy_workers=two_busy_workers()))
    heavy = loader.load(ModelFiles("heavy", "1", imagenet_model))
    assert isinstance(heavy, Model)
    assert spins(heavy.main_session._session)
    assert threads_of(heavy.main_session._contended) == 1
    assert heavy.main_session._contended is not None
    assert not spins(heavy.main_session._contended.session)
    assert not spins(heavy.tap(heavy.layers[0].tensor)._session)
    digits = loader.load(
        ModelFiles("digits", "1", Path(__file__).parents[3] / "models/digits/1/model.onnx")
    )
    assert isinstance(digits, Model)
    assert not spins(digits.main_session._session)


def spins(ort_session: Any) -> bool:
    """Whether the threads of an ONNX Runtime session wait awake; they never do once a run has
    ended.
    """
    options = ort_session.get_session_options()
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    return bool(options.get_session_config_entry("session.intra_op.allow_spinning") == "1")


def test_it_is_loaded_once_and_what_cannot_be_loaded_is_done_without() -> None:
    built: list[int] = []

    def failing() -> None:
        built.append(1)
        raise RuntimeError("no memory")

    contended = ContendedSession(failing, two_busy_workers())
    assert [contended.session for _ in range(50)] == [None] * 50
    assert threads_of_none(contended)
    assert built == [1]


def threads_of_none(contended: ContendedSession) -> bool:
    time.sleep(0.1)
    return contended.session is None


def test_the_busy_workers_are_those_that_have_something_to_do() -> None:
    busy_workers = Gauge()
    batcher = Batcher(2, 8, busy_workers=busy_workers)
    gates = [threading.Event() for _ in range(3)]
    futures = [submit(batcher, lambda gate=gate: gate.wait(20)) for gate in gates]  # type: ignore[misc]
    assert busy_workers.value == 2
    for gate, future in zip(gates, futures, strict=True):
        gate.set()
        future.result(20)
    until = time.monotonic() + 20
    while busy_workers.value and time.monotonic() < until:
        time.sleep(0.01)
    assert busy_workers.value == 0
    batcher.close()
