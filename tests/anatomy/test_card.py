"""The card's schema: what is read back is what was written, and nothing else is accepted."""

import json
from typing import Any

import pytest

from anatomy.card import Card, CardError, ImageInput, Resize

FULL = Card(
    title="Tiny",
    description="Two classes.",
    labels=("chat", "chien à l'eau"),
    input=ImageInput((32, 48), "L", Resize("centre_crop", 0.875, "bilinear")),
    provenance="trained here",
    licence="MIT",
    scores={"accuracy": 0.5},
    history={"epochs": [1, 2]},
)


@pytest.mark.parametrize("card", [Card(), FULL])
def test_a_card_is_read_back_as_it_was_written(card: Card) -> None:
    assert Card.from_json(card.to_json()) == card


def test_the_document_of_a_card() -> None:
    assert json.loads(FULL.to_json())["input"] == {
        "kind": "image",
        "size": [32, 48],
        "colour": "L",
        "resize": {"rule": "centre_crop", "fraction": 0.875, "interpolation": "bilinear"},
    }


def test_the_colour_mode_gives_the_number_of_channels() -> None:
    assert [ImageInput((1, 1), colour).channels for colour in ("RGB", "L")] == [3, 1]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "schema: this version reads 1, got None"),
        ({"schema": 2, "new": 1}, "schema: this version reads 1, got 2"),
        ({"schema": True}, "schema: .* got True"),
        ({"schema": 1, "lables": []}, "unknown keys lables"),
        ({"schema": 1, "title": 3}, "title: expected str, got int"),
        ({"schema": 1, "labels": "ab"}, "labels: expected list, got str"),
        ({"schema": 1, "labels": ["a", 1]}, r"labels\[1\]: expected str, got int"),
        ({"schema": 1, "input": {"size": [1, 1]}}, "input: missing kind"),
        ({"schema": 1, "input": {"kind": "sound", "size": [1]}}, "input.kind: expected one of image, got 'sound'"),
        ({"schema": 1, "input": {"kind": "image", "size": [0, 4]}}, "input.size: .* got \\[0, 4\\]"),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4.5]}}, "input.size"),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4], "colour": "BGR"}}, "input.colour: .*'BGR'"),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4], "colour": []}}, "input.colour"),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4], "resize": {"rule": "x"}}}, "input.resize.rule"),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4], "resize": {"fraction": 2}}}, "input.resize.fraction"),
        ({"schema": 1, "scores": {"top1": "good"}}, "scores.top1: expected a finite number, got 'good'"),
        ({"schema": 1, "scores": [1]}, "scores: expected Mapping, got list"),
        ([1], "card: expected dict, got list"),
    ],
)
def test_a_wrong_document_is_refused_by_field(document: Any, message: str) -> None:
    with pytest.raises(CardError, match=message):
        Card.from_json(json.dumps(document))


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(CardError, match="not JSON"):
        Card.from_json("{")


def test_only_a_centre_crop_has_a_fraction() -> None:
    with pytest.raises(CardError, match="only centre_crop"):
        Resize("pad", 0.5)


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_history_that_is_not_json_is_not_written(value: object) -> None:
    with pytest.raises(CardError, match="history"):
        Card(history={"x": value}).to_json()


def test_a_card_does_not_change_with_the_dictionary_it_was_made_from() -> None:
    scores = {"accuracy": 0.5}
    card = Card(scores=scores)
    scores["accuracy"] = 1.0
    assert card.scores["accuracy"] == 0.5
