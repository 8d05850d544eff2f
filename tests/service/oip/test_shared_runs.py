"""Which requests of the Open Inference Protocol share a run of the network, and which never do."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from anatomy import model_file
from service.services import Services
from service.settings import Settings
from tests.service import networks
from tests.service.batches import pending, submit
from tests.service.conftest import Start
from tests.service.oip.requests import HEAD, outputs, tensor

URL = "/v2/models/photos/infer"
PIXELS = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), np.uint8)


def hold(services: Services) -> threading.Event:
    """Keeps all runners busy until the event is set."""
    release, held = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        held.release()
        release.wait(30)

    for _ in range(services.batcher.workers):
        submit(services.batcher, work)
    for _ in range(services.batcher.workers):
        assert held.acquire(timeout=30)
    return release


def until_waiting(services: Services, count: int) -> None:
    """Waits until so many pieces wait besides those that hold the runners."""
    end, expected = time.monotonic() + 30, services.batcher.workers + count
    while pending(services.batcher) < expected:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_single_items_share_runs_and_a_batch_is_one_run(settings: Settings, started: Start) -> None:
    services = Services.start(settings)
    client = started(settings, services)
    release = hold(services)
    asked = {"outputs": [{"name": "layer:0"}, {"name": "scores"}]}
    bodies = [{**asked, "inputs": [tensor("image", "UINT8", PIXELS[i : i + 1])]} for i in range(3)]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(client.post, URL, json=body) for body in bodies]
        complete = pool.submit(
            client.post, URL, json={**asked, "inputs": [tensor("image", "UINT8", PIXELS)]}
        )
        until_waiting(services, 4)
        release.set()
        singles = [outputs(answer.result()) for answer in answers]
        together = outputs(complete.result())
    for name in ("layer:0", "scores"):
        np.testing.assert_allclose(
            np.concatenate([item[name] for item in singles]), together[name], rtol=1e-5, atol=1e-6
        )
    counted = services.statistics.of("photos", "2")
    assert (counted.inference_count, counted.execution_count, counted.success.count) == (6, 2, 4)
    assert [(batch.batch_size, batch.compute_infer.count) for batch in counted.batch_stats] == [
        (3, 2)
    ]


def test_one_bad_picture_among_requests_that_share_a_run_fails_alone(
    settings: Settings, started: Start, picture: bytes
) -> None:
    services = Services.start(settings)
    client = started(settings, services)
    release = hold(services)
    with ThreadPoolExecutor(3) as pool:
        answers = [
            pool.submit(client.post, URL, content=content, headers={HEAD: "0"})
            for content in (picture, picture[:200], picture)
        ]
        # It is found before a run slot is free.
        assert answers[1].result().status_code == 400
        until_waiting(services, 2)
        release.set()
        assert [answer.result().status_code for answer in answers] == [200, 400, 200]


def test_a_model_of_a_fixed_batch_and_an_output_across_the_batch_are_not_mixed(
    tmp_path: Path, started: Start
) -> None:
    across = """<ir_version: 8, opset_import: ["" : 18]>
    across (float[N,1,4] x) => (float[1,1,M] y) <int64[3] flat = {1, 1, -1}> {
      p = MaxPool<kernel_shape=[2], strides=[2]>(x)
      y = Reshape(p, flat)
    }"""
    fixed = across.replace("N,1,4", "2,1,4").replace("across", "fixed")
    model_file.write(networks.parsed(across), tmp_path / "models/across/1/model.onnx", None)
    model_file.write(networks.parsed(fixed), tmp_path / "models/fixed/1/model.onnx", None)
    client = started(
        Settings(
            models=tmp_path / "models", device="cpu", threads=1, input_store=tmp_path / "inputs"
        )
    )
    array = np.arange(8, dtype=np.float32).reshape(2, 1, 4)
    for name in ("across", "fixed"):
        singles = outputs(
            client.post(f"/v2/models/{name}/infer", json={"inputs": [tensor("x", "FP32", array)]})
        )["y"]
        assert singles.tolist() == [[[1, 3, 5, 7]]]
    config = client.get("/v2/models/fixed/config").json()
    assert (config["max_batch_size"], config["input"][0]["dims"], "dynamic_batching" in config) == (
        0,
        [2, 1, 4],
        False,
    )
    one = {"inputs": [tensor("x", "FP32", array[:1])]}
    assert client.post("/v2/models/fixed/infer", json=one).status_code == 400
