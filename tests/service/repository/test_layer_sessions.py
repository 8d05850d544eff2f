"""Few layers have sessions of their own; who asks for more gets all from one run. Every value is
the network's.
"""

import time
import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest

from anatomy import model_file
from service.inference.inspector import Inspector
from service.inputs.preprocess import ModelInput, Tensor, preprocess
from service.repository import model as model_module
from service.repository.model import QUERIES_PER_SESSION, Model
from service.runtime.engine import Engine
from service.telemetry.statistics import Statistics
from tests.service.networks import Array, parsed, tensors
from tests.service.repository.loading import catalogue_of

DEPTH = 10
CHAIN = """<ir_version: 8, opset_import: ["" : 18]>
chain (float[1,2,{size}] t0) => (float[1,2,{size}] t{last}) <{weights}> {{
{nodes}
}}"""
INPUT = np.random.default_rng(5).normal(size=(1, 2, 9)).astype(np.float32)


def chain(size: str = "9") -> onnx.ModelProto:
    weights = ", ".join(f"float[2,2,3] w{n}" for n in range(DEPTH))
    nodes = "\n".join(
        f"c{n} = Conv<pads=[1,1]>(t{n}, w{n})\nt{n + 1} = Relu(c{n})" for n in range(DEPTH)
    )
    return parsed(CHAIN.format(size=size, last=DEPTH, weights=weights, nodes=nodes))


@pytest.fixture
def engine() -> Engine:
    return Engine("cpu", 1)


def model_of(folder: Path, engine: Engine, proto: onnx.ModelProto, kept: int = 8) -> Model:
    model_file.write(proto, folder / "chain/1/model.onnx", None)
    return catalogue_of(folder, engine, sessions=kept).get()


def feed_of(model: Model, array: Array = INPUT) -> ModelInput:
    return preprocess(model, Tensor(array), 1000)


def values(inspector: Inspector, model: Model, layer: int, feed: ModelInput) -> Array:
    return inspector.run(model, model.layers[layer], feed, time.monotonic() + 20)


def test_all_layers_are_those_of_the_network_whatever_session_gives_them(
    tmp_path: Path, engine: Engine
) -> None:
    proto = chain()
    model, inspector = model_of(tmp_path, engine, proto), Inspector()
    for array in (INPUT, -INPUT):
        expected = tensors(proto, [f"t{n + 1}" for n in range(DEPTH)], array)
        feed = feed_of(model, array)
        for _ in range(2):
            for layer in (*range(DEPTH), *reversed(range(DEPTH))):
                activations = values(inspector, model, layer, feed)
                np.testing.assert_allclose(activations, expected[layer][0], rtol=1e-4, atol=1e-5)


def test_asking_for_all_again_and_again_builds_no_session_more(
    tmp_path: Path, engine: Engine
) -> None:
    model, inspector = model_of(tmp_path, engine, chain()), Inspector()
    feeds = [feed_of(model, INPUT + n) for n in range(3)]

    def all_of(feed: ModelInput) -> None:
        for layer in range(DEPTH):
            values(inspector, model, layer, feed)

    before = engine.sessions_built
    all_of(feeds[0])
    # Half of the room for single layers, and one for all.
    assert engine.sessions_built - before == 4 + 1
    for feed in feeds[1:]:
        all_of(feed)
    assert engine.sessions_built - before == 4 + 1


def test_layers_after_another_of_one_input_come_from_one_run(
    tmp_path: Path, engine: Engine
) -> None:
    statistics = Statistics()
    model, inspector = model_of(tmp_path, engine, chain()), Inspector(statistics)
    for array in (INPUT, -INPUT):
        feed = feed_of(model, array)
        for layer in range(DEPTH):
            values(inspector, model, layer, feed)
    # Of each input four of their own, and one for the rest.
    assert statistics.of(model.name, model.version).layer_runs.count == 2 * (4 + 1)


def test_a_layer_that_is_asked_for_often_gets_a_session_of_its_own(
    tmp_path: Path, engine: Engine
) -> None:
    model = model_of(tmp_path, engine, chain())
    for layer in model.layers:
        model.session_of(layer.tensor)
    asked = [model.session_of("t9") for _ in range(QUERIES_PER_SESSION)]
    assert len(asked[0].outputs) == DEPTH
    assert asked[-1].outputs == ("t9",)
    assert model.session_of("t9") is asked[-1]


def test_inner_tensors_of_a_layer_have_their_own_always(tmp_path: Path, engine: Engine) -> None:
    model = model_of(tmp_path, engine, chain())
    for layer in model.layers:
        model.session_of(layer.tensor)
    assert model.session_of("c9").outputs == ("c9",)


def test_layers_of_unknown_size_are_not_computed_together(tmp_path: Path, engine: Engine) -> None:
    model = model_of(tmp_path, engine, chain("L"))
    assert all(model.session_of(layer.tensor).outputs == (layer.tensor,) for layer in model.layers)


def test_layers_of_too_many_bytes_are_not_computed_together(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "ONE_RUN_BYTES", DEPTH * 2 * 9 * 4 - 1)
    model = model_of(tmp_path, engine, chain())
    assert all(model.session_of(layer.tensor).outputs == (layer.tensor,) for layer in model.layers)


def test_room_for_one_session_is_enough(tmp_path: Path, engine: Engine) -> None:
    proto = chain()
    model, inspector = model_of(tmp_path, engine, proto, kept=1), Inspector()
    expected = tensors(proto, [f"t{n + 1}" for n in range(DEPTH)], INPUT)
    for layer in range(DEPTH):
        np.testing.assert_allclose(
            values(inspector, model, layer, feed_of(model)),
            expected[layer][0],
            rtol=1e-4,
            atol=1e-5,
        )


def test_what_a_run_for_all_gave_keeps_no_model(tmp_path: Path, engine: Engine) -> None:
    model, inspector = model_of(tmp_path, engine, chain()), Inspector()
    feed = feed_of(model)
    for layer in range(DEPTH):
        values(inspector, model, layer, feed)
    gone = weakref.ref(model.session_of("t10"))
    del model
    assert gone() is None
