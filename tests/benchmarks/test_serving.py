"""The parts of the serving benchmark that its figures rest on: the small network, what is right,
and the report.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anatomy.layers.layers import layers
from benchmarks.serving import goals, growth, pictures, report, subjects
from benchmarks.serving.bare import Bare, cost, naive
from benchmarks.serving.figures import Rounds
from benchmarks.serving.subjects import Subject
from benchmarks.serving.wire import Answer

PAGE = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return subjects.small(tmp_path_factory.mktemp("small"))


def test_the_small_network_has_4_2_million_multiply_adds_and_takes_pixels(small: Subject) -> None:
    assert round(sum(layer.macs or 0 for layer in layers(small.file.graph)) / 1e6, 1) == 4.2
    assert small.spec.shape == (28, 28, 1)
    assert small.tensors.dtype == np.uint8


def test_the_small_network_is_the_same_in_every_run(small: Subject, tmp_path: Path) -> None:
    again = subjects.small(tmp_path)
    assert again.proto == small.proto
    assert again.bodies == small.bodies


def test_pictures_differ_so_that_answers_that_are_mixed_up_are_seen(small: Subject) -> None:
    calls = small.predictions()
    answers = [answered(row) for row in Bare(small.proto)(small.tensors)]
    right = [[not call.wrong(answer) for answer in answers] for call in calls]
    assert np.array_equal(right, np.eye(len(calls)))


def test_a_photograph_is_640_by_480_and_about_82_kilobytes() -> None:
    for body in pictures.photographs():
        assert abs(len(body) - 82_000) < 6_000
        assert pictures.media_type(body) == "image/jpeg"


def test_an_answer_is_right_to_a_ten_thousandth() -> None:
    wrong = subjects.predicts(np.array([0.2, 0.7, 0.1], np.float32))
    assert not wrong(answered([0.2, 0.70009, 0.1]))
    assert wrong(answered([0.2, 0.7002, 0.1]))
    assert wrong(answered([0.7, 0.2, 0.1]))
    assert wrong(Answer(429, {}, b"busy")).startswith("429 busy")


def test_a_form_is_right_only_if_every_picture_of_it_is(small: Subject) -> None:
    singles = small.predictions()[:3]
    rows = Bare(small.proto)(small.tensors[:3])
    results = [json.loads(answered(row).body) for row in rows]
    call = growth.form(singles)
    assert call.body.count(b'name="file"') == 3
    assert not call.wrong(Answer(200, {}, json.dumps({"results": results}).encode()))
    assert call.wrong(Answer(200, {}, json.dumps({"results": results[::-1]}).encode()))
    assert call.wrong(Answer(200, {}, json.dumps({"results": results[:2]}).encode()))


def test_the_naive_loop_answers_what_the_model_says(small: Subject) -> None:
    bare = Bare(small.proto)
    calls = small.predictions()
    answers = naive(bare, small.bodies[:3], small.spec, small.labels)
    assert [
        call.wrong(Answer(200, {}, text.encode()))
        for call, text in zip(calls, answers, strict=False)
    ] == [""] * 3


def test_cost_is_that_of_one_item() -> None:
    runs: list[float] = []
    spent = cost(lambda: runs.append(spun(0.01)), 4, 0.1)
    assert spent.cpu == pytest.approx(0.0025, rel=0.3)
    assert spent.wall >= 0.0025


def test_figures_are_nested_by_name_with_median_and_range() -> None:
    rounds = Rounds()
    for value in (3.0, 1.0, 2.00004):
        rounds.add("server/16/cpu_us", value)
    figure = rounds.figures()["server"]["16"]["cpu_us"]
    assert figure == {"median": 2.0, "least": 1.0, "most": 3.0, "rounds": [3.0, 1.0, 2.0]}


def test_a_goal_is_held_against_the_median() -> None:
    def scenarios(value: float) -> dict[str, Any]:
        return {"small": {"server": {"16": {"per_second": {"median": value}}}}}

    assert [goal["met"] for goal in goals.held(scenarios(7000))] == [True]
    assert [goal["met"] for goal in goals.held(scenarios(6999))] == [False]
    assert goals.held({}) == []


def test_errors_of_a_single_round_miss_the_goal() -> None:
    errors = {"median": 0.0, "least": 0.0, "most": 71.0}
    (goal,) = goals.held({"small": {"server": {"64": {"errors": errors}}}})
    assert (goal["measured"], goal["met"]) == (71, False)


def test_the_report_warns_of_a_busy_machine() -> None:
    machine = dict.fromkeys(
        ("processor", "processors", "system", "python", "onnxruntime", "commit", "load_before"), "x"
    )
    result = {
        "machine": {**machine, "others_share": 0.5, "busy": True},
        "rounds": 1,
        "seconds": 1,
        "settings": {},
    }
    assert "was busy" in report.written(result)
    assert "50%" in report.written(result)
    assert "was busy" not in report.written(
        result | {"machine": {**machine, "others_share": 0.0, "busy": False}}
    )


def test_the_documented_options_are_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from benchmarks import serve  # noqa: PLC0415 - a command, not a library

    with pytest.raises(SystemExit):
        serve.parser().parse_args(["--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out.partition("options:")[2])) - {
        "--help"
    }
    assert set(re.findall(r"^\| `(--[a-z]+)", PAGE, re.MULTILINE)) == options


def answered(scores: Any) -> Answer:
    """What the service would say of these scores."""
    best = int(np.argmax(scores))
    first = {"index": best, "label": None, "probability": float(scores[best])}
    return Answer(200, {}, json.dumps({"predictions": [first]}).encode())


def spun(seconds: float) -> float:
    """Use so much of the processor."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return seconds
