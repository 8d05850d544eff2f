"""`/metrics` of a service with two workers, against what the test itself asked for; the dashboard
and the alerts.
"""

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from anatomy import model_file
from tests.e2e.expressions import asked, kept
from tests.e2e.process import ROOT, Service, until
from tests.service.networks import encoded, photo_model

DASHBOARD = ROOT / "deploy/grafana/dashboards/fovea.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def png(*shape: int) -> bytes:
    """Noise that is never the same: what is kept already is not written again."""
    return encoded(np.random.default_rng().integers(0, 256, shape, np.uint8))


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[Service]:
    """`photos` and `others`, the same network, in two processes."""
    model, card = photo_model()
    for name in ("photos", "others"):
        model_file.write(model, tmp_path / "models" / name / "1/model.onnx", card)
    with Service(
        tmp_path,
        tmp_path / "models",
        FOVEA_WORKERS="2",
        FOVEA_THREADS="1",
        FOVEA_DEFAULT_MODEL="photos",
    ) as service:
        service.ready()
        until(lambda: len(service.started) == 2, "both workers serve")
        yield service


def scrape(address: str) -> Samples:
    """All samples, by a connection of its own: any worker may answer."""
    families = text_string_to_metric_families(httpx.get(f"{address}/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def without_scrapes(samples: Samples) -> Samples:
    """What scraping does not change by itself."""
    return {
        key: value
        for key, value in samples.items()
        if not key[0].startswith("process_") and ("route", "/metrics") not in key[1]
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over what these labels do not tell apart."""
    return sum(
        value
        for (sample, have), value in samples.items()
        if sample == name and labels.items() <= dict(have).items()
    )


def ask(address: str, count: int) -> None:
    """`count` times: predictions of `photos`, one of them wrong, two tensors for it, `others`,
    layers of an input.
    """
    tensors = {
        "name": "image",
        "shape": [2, 32, 32, 3],
        "datatype": "UINT8",
        "data": [7] * (2 * 32 * 32 * 3),
    }

    def once(_: int) -> list[int]:
        small, large = png(20, 20, 3), png(90, 120, 3)
        with httpx.Client(base_url=address, timeout=60) as client:
            # The same head again, so that the short way is taken too.
            answers = [
                client.post("/predict", content=small, headers={"Content-Type": "image/png"})
                for _ in range(3)
            ]
            answers.append(client.post("/predict", content=large))
            answers.append(client.post("/predict", files=[("file", small), ("file", large)]))
            answers.append(client.post("/predict", content=large[:60]))
            answers.append(client.post("/predict?model=others", content=large))
            answers.append(client.post("/predict?model=nobody", content=large))
            answers.append(client.post("/layers/1/activations", content=large))
            answers.append(
                client.get(f"/layers/1/activations?input_id={answers[3].json()['input_id']}")
            )
            answers.append(client.get(f"/layers/1/activations?input_id={'0' * 64}"))
            answers.append(client.post("/v2/models/photos/infer", json={"inputs": [tensors]}))
        return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(4) as pool:
        for statuses in pool.map(once, range(count)):
            assert statuses == [200, 200, 200, 200, 200, 400, 200, 404, 200, 200, 404, 200]


def check(samples: Samples, count: int) -> None:
    """Whether it is what `count` rounds of `ask` did."""
    assert total(samples, "fovea_requests_total", route="/predict", status="200") == 6 * count
    assert total(samples, "fovea_requests_total", route="/predict", status="400") == count
    assert total(samples, "fovea_requests_total", route="/predict", status="404") == count
    assert total(samples, "fovea_request_seconds_count", route="/predict") == 8 * count
    photos = {"model": "photos", "version": "1"}
    assert total(samples, "fovea_inference_request_success_total", **photos) == 7 * count
    assert total(samples, "fovea_inference_count_total", **photos) == 8 * count
    assert total(samples, "fovea_inference_request_failure_total", **photos) == count
    assert total(samples, "fovea_inference_request_failure_total", reason="OTHER") == count
    assert total(samples, "fovea_inference_request_success_total", model="others") == count
    runs = total(samples, "fovea_inference_exec_count_total", **photos)
    assert 0 < runs <= 7 * count
    assert total(samples, "fovea_batch_size_count", **photos) == runs
    assert total(samples, "fovea_batch_size_sum", **photos) == 8 * count
    for stage in ("queue", "decode", "run", "encode"):
        assert total(samples, "fovea_stage_seconds_count", stage=stage, **photos) == 7 * count
    assert total(samples, "fovea_layer_runs_total", **photos) == 2 * count
    looked_up = "fovea_layer_session_hits_total", "fovea_layer_session_misses_total"
    assert sum(total(samples, name) for name in looked_up) == 2 * count
    assert total(samples, "fovea_input_store_hits_total") == count
    assert total(samples, "fovea_input_store_misses_total") == count
    assert (
        total(samples, "fovea_input_store_writes_total")
        == total(samples, "fovea_input_store_files")
        == 2 * count
    )
    assert total(samples, "fovea_requests_in_flight") == total(samples, "fovea_queue_length") == 0


def test_any_worker_tells_what_all_did_and_a_killed_one_loses_no_count(
    two_workers: Service,
) -> None:
    address = two_workers.ready()
    ask(address, 20)
    first = without_scrapes(scrape(address))
    check(first, 20)
    assert total(first, "fovea_workers") == total(first, "fovea_worker_starts_total") == 2
    # Connections are shared out by chance: that all of these reach one worker is less likely than a
    # broken machine.
    assert all(without_scrapes(scrape(address)) == first for _ in range(40))
    stats = [
        httpx.get(f"{address}/v2/models/photos/stats").json()["model_stats"] for _ in range(10)
    ]
    assert all(answer == stats[0] for answer in stats)
    [[photos], *_] = stats
    assert (photos["inference_count"], photos["inference_stats"]["success"]["count"]) == (
        8 * 20,
        7 * 20,
    )
    first = without_scrapes(scrape(address))

    os.kill(two_workers.started[0], signal.SIGKILL)
    until(
        lambda: total(scrape(address), "fovea_workers") == 1, "it is known that one worker is gone"
    )
    gone = {
        key: value
        for key, value in without_scrapes(scrape(address)).items()
        if key[0].endswith(("_total", "_count", "_sum"))
    }
    assert gone == {key: first[key] for key in gone}

    until(lambda: len(two_workers.started) == 3, "the worker is replaced")
    ask(address, 20)
    last = without_scrapes(scrape(address))
    check(last, 40)
    assert (total(last, "fovea_workers"), total(last, "fovea_worker_starts_total")) == (2, 3)
    assert all(without_scrapes(scrape(address)) == last for _ in range(40))


def test_processes_are_told_together_and_their_processor_time_never_goes_back(
    two_workers: Service,
) -> None:
    address = two_workers.ready()
    ask(address, 5)
    before = scrape(address)
    pids = two_workers.started
    ticks = [
        sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        for pid in pids
    ]
    assert total(before, "process_cpu_seconds_total") <= sum(ticks) / os.sysconf("SC_CLK_TCK") + 60
    assert total(before, "process_cpu_seconds_total") > max(ticks) / os.sysconf("SC_CLK_TCK")
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    assert total(before, "process_resident_memory_bytes") > max(pages) * os.sysconf("SC_PAGE_SIZE")
    os.kill(pids[0], signal.SIGKILL)
    until(
        lambda: total(scrape(address), "fovea_workers") == 1, "it is known that one worker is gone"
    )
    assert total(scrape(address), "process_cpu_seconds_total") >= total(
        before, "process_cpu_seconds_total"
    )


def test_what_is_counted_goes_away_with_the_service(tmp_path: Path, two_workers: Service) -> None:
    folders = {Path(path).parent for pid in two_workers.started for path in mapped(pid)}
    assert len(folders) == 1
    [folder] = folders
    assert folder.stat().st_mode & 0o777 == 0o700
    two_workers.signal(signal.SIGTERM)
    assert two_workers.wait() == 0
    assert not folder.exists()


def mapped(pid: int) -> list[str]:
    """The files of counts that a process has mapped into its memory."""
    return re.findall(r"\S+\.values$", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)


def expressions() -> list[str]:
    """All of the dashboard and of the alerts."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules = [
        rule["expr"]
        for group in yaml.safe_load(ALERTS.read_text())["groups"]
        for rule in group["rules"]
    ]
    assert len(shown) > 30
    assert len(rules) > 5
    return shown + rules


def test_the_dashboard_and_the_alerts_name_all_metrics_and_labels_of_a_service_and_no_others(
    two_workers: Service,
) -> None:
    address = two_workers.ready()
    ask(address, 1)
    exposed: dict[str, set[str]] = {"up": {"job", "instance"}}
    for name, labels in scrape(address):
        exposed.setdefault(name, set()).update(dict(labels))
    named: set[str] = set()
    for expression in expressions():
        for query in asked(expression):
            assert query.metric in exposed, expression
            assert query.labels | kept(expression) <= exposed[query.metric] | SCRAPED, expression
            assert not query.ranged or query.metric.endswith(
                ("_total", "_bucket", "_sum", "_count")
            ), expression
            named.add(query.metric)
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in exposed} - families == {
        "process_virtual_memory_bytes"
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "rate(fovea_requests_total)",
        "fovea_requests_total[5m]",
        "rate(fovea_requests_total[5 minutes])",
        "sum(rate(fovea_requests_total[5m])",
        "sum by (route(fovea_requests_total)",
        "summe(fovea_workers)",
        "fovea_requests_total{status=5}",
        'fovea_requests_total{status="5"',
        "fovea_workers ? 2",
    ],
)
def test_what_is_no_expression_is_found(wrong: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        asked(wrong)


def test_the_page_of_operations_says_what_to_do_at_each_alert() -> None:
    rules: list[dict[str, Any]] = [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]
    names = {rule["alert"] for rule in rules}
    page = (ROOT / "docs/operations.md").read_text()
    assert names == set(re.findall(r"^\| `(Fovea\w+)` \|", page, re.MULTILINE))
    assert all(rule["labels"]["severity"] in ("critical", "warning") for rule in rules)
    assert all({"summary", "description"} == rule["annotations"].keys() for rule in rules)
