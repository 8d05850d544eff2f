"""The card's schema: what is read back is what was written, and nothing else is accepted."""

import json
from typing import Any

import pytest

from anatomy.cards.card import Card, CardError, ImageInput, Resize, SignalInput, VolumeInput

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


DIGITS = ImageInput((28, 28), "L", Resize("digit", box=20), "auto")


@pytest.mark.parametrize(
    "card",
    [
        Card(),
        FULL,
        Card(input=DIGITS),
        Card(input=SignalInput(2, 40)),
        Card(input=VolumeInput(1, (16, 8, 4))),
    ],
    ids=["empty", "full", "digits", "signal", "volume"],
)
def test_a_card_is_read_back_as_it_was_written(card: Card) -> None:
    assert Card.from_json(card.to_json()) == card


def test_the_document_of_a_card() -> None:
    assert json.loads(FULL.to_json())["input"] == {
        "kind": "image",
        "size": [32, 48],
        "colour": "L",
        "resize": {
            "rule": "centre_crop",
            "fraction": 0.875,
            "interpolation": "bilinear",
            "box": None,
        },
        "polarity": "as_is",
    }


def test_the_documents_of_signals_and_volumes() -> None:
    assert SignalInput(2, 40).to_dict() == {"kind": "signal", "channels": 2, "length": 40}
    assert VolumeInput(1, (16, 8, 4)).to_dict() == {
        "kind": "volume",
        "channels": 1,
        "size": [16, 8, 4],
    }


def test_each_input_says_the_shape_of_its_array_without_the_batch() -> None:
    shapes = [spec.shape for spec in (DIGITS, SignalInput(2, 40), VolumeInput(3, (16, 8, 4)))]
    assert shapes == [(28, 28, 1), (2, 40), (3, 16, 8, 4)]


def test_a_card_of_the_first_schema_is_read_as_one_of_the_second() -> None:
    resize = {"rule": "centre_crop", "fraction": 0.875, "interpolation": "bilinear"}
    old = FULL.to_dict() | {
        "schema": 1,
        "input": {"kind": "image", "size": [32, 48], "colour": "L", "resize": resize},
    }
    assert Card.from_json(json.dumps(old)) == FULL


def test_the_colour_mode_gives_the_number_of_channels() -> None:
    assert [ImageInput((1, 1), colour).channels for colour in ("RGB", "L")] == [3, 1]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "schema: this version reads 1 and 2, got None"),
        ({"schema": 3, "new": 1}, "schema: this version reads 1 and 2, got 3"),
        ({"schema": True}, "schema: .* got True"),
        ({"schema": 1, "lables": []}, "unknown keys lables"),
        ({"schema": 1, "title": 3}, "title: expected str, got int"),
        ({"schema": 1, "labels": "ab"}, "labels: expected list, got str"),
        ({"schema": 1, "labels": ["a", 1]}, r"labels\[1\]: expected str, got int"),
        ({"schema": 1, "input": {"size": [1, 1]}}, "input: missing kind"),
        (
            {"schema": 1, "input": {"kind": "sound", "size": [1]}},
            "input.kind: .* image, signal, volume, got 'sound'",
        ),
        (
            {"schema": 1, "input": {"kind": "image", "size": [0, 4]}},
            "input.size: .* got \\[0, 4\\]",
        ),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4.5]}}, "input.size"),
        (
            {
                "schema": 1,
                "input": {"kind": "image", "size": [4, 4], "resize": {"fraction": 10**400}},
            },
            "input.resize.fraction: expected more than 0 and at most 1",
        ),
        (
            {"schema": 1, "input": {"kind": "image", "size": [4, 4], "colour": "BGR"}},
            "input.colour: .*'BGR'",
        ),
        ({"schema": 1, "input": {"kind": "image", "size": [4, 4], "colour": []}}, "input.colour"),
        (
            {"schema": 1, "input": {"kind": "image", "size": [4, 4], "resize": {"rule": "x"}}},
            "input.resize.rule",
        ),
        (
            {"schema": 1, "input": {"kind": "image", "size": [4, 4], "resize": {"fraction": 2}}},
            "input.resize.fraction",
        ),
        (
            {"schema": 2, "input": {**DIGITS.to_dict(), "polarity": "grey"}},
            "input.polarity: .* auto, got 'grey'",
        ),
        (
            {"schema": 2, "input": {**DIGITS.to_dict(), "colour": "RGB"}},
            "input.colour: .* expected L, got RGB",
        ),
        (
            {"schema": 2, "input": {**DIGITS.to_dict(), "size": [28, 19]}},
            "input.resize.box: expected at most 19",
        ),
        (
            {"schema": 2, "input": {"kind": "image", "size": [4, 4], "length": 3}},
            "unknown keys length",
        ),
        ({"schema": 2, "input": {"kind": "signal", "channels": 1}}, "input: missing length"),
        (
            {"schema": 2, "input": {"kind": "signal", "channels": 0, "length": 9}},
            "input.channels: .* got 0",
        ),
        (
            {"schema": 2, "input": {"kind": "signal", "channels": 1, "length": 9.0}},
            "input.length: .* got 9.0",
        ),
        (
            {"schema": 2, "input": {"kind": "signal", "channels": 1, "length": 9, "size": [9]}},
            "unknown keys size",
        ),
        (
            {"schema": 2, "input": {"kind": "volume", "channels": 1, "size": [2, 2]}},
            r"depth, height, width.* \[2, 2\]",
        ),
        (
            {"schema": 2, "input": {"kind": "volume", "channels": True, "size": [2, 2, 2]}},
            "input.channels",
        ),
        ({"schema": 2, "input": ["signal"]}, "input: expected dict, got list"),
        (
            {"schema": 1, "scores": {"top1": "good"}},
            "scores.top1: expected a finite number, got 'good'",
        ),
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


def test_lists_within_lists_without_end_are_refused() -> None:
    with pytest.raises(CardError, match="not JSON"):
        Card.from_json("[" * 100_000)


def test_only_a_centre_crop_has_a_fraction() -> None:
    with pytest.raises(CardError, match="only centre_crop"):
        Resize("pad", 0.5)


@pytest.mark.parametrize("box", [None, 0, 2.5, True])
def test_a_digit_needs_its_box(box: Any) -> None:
    with pytest.raises(
        CardError, match=r"input\.resize\.box: expected a whole number of at least 1"
    ):
        Resize("digit", box=box)


def test_only_a_digit_has_a_box() -> None:
    with pytest.raises(CardError, match="only digit has one, got 20 with pad"):
        Resize("pad", box=20)


def test_a_card_takes_no_other_input() -> None:
    with pytest.raises(CardError, match="expected ImageInput, SignalInput or VolumeInput, got str"):
        Card(input="image")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_a_history_that_is_not_json_is_not_written(value: object) -> None:
    with pytest.raises(CardError, match="history"):
        Card(history={"x": value}).to_json()


def test_a_card_does_not_change_with_the_dictionary_it_was_made_from() -> None:
    scores = {"accuracy": 0.5}
    card = Card(scores=scores)
    scores["accuracy"] = 1.0
    assert card.scores["accuracy"] == 0.5
