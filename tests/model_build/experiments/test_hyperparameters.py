"""Each hyper-parameter of the command line changes what is trained, and only that experiment's."""

from pathlib import Path

import numpy as np
import pytest

from model_build.__main__ import parser
from model_build.experiments.hyperparameters import HYPERPARAMETERS, changed
from model_build.training.checkpoint import CheckpointError
from model_build.training.hyperparameters import Hyperparameters
from model_build.training.loop import Trained
from model_build.training.optimiser import SGD, AdamW
from model_build.training.train import train
from tests.model_build.training.small import DENSE, blobs

NAMES = list(HYPERPARAMETERS)
SHORT = ("--epochs", "3", "--batch-size", "32")
FLAGS = [
    ("--epochs", "4"),
    ("--batch-size", "40"),
    ("--learning-rate", "0.02"),
    ("--weight-decay", "0.3"),
    ("--label-smoothing", "0.2"),
    ("--ema-decay", "0.2"),
    ("--seed", "1"),
]


def parsed(name: str, *arguments: str) -> Hyperparameters:
    return changed(HYPERPARAMETERS[name], parser().parse_args([name, *arguments]))


def trained(name: str, *arguments: str, path: Path | None = None) -> Trained:
    """A network of a few weights, trained as the command line says."""
    return train(DENSE, blobs(), parsed(name, *SHORT, *arguments), path=path, threads=1)


def differ(one: Trained, other: Trained) -> bool:
    return any(
        not np.array_equal(weights, other.weights[name]) for name, weights in one.weights.items()
    )


@pytest.mark.parametrize("name", NAMES)
def test_without_options_the_hyperparameters_are_those_of_the_experiment(name: str) -> None:
    assert parsed(name) == HYPERPARAMETERS[name]


@pytest.mark.parametrize("name", ["digits", "digits1d"])
@pytest.mark.parametrize(("flag", "value"), FLAGS)
def test_each_option_changes_the_weights_that_are_learned(name: str, flag: str, value: str) -> None:
    usual = trained(name)
    assert not differ(usual, trained(name))
    assert differ(usual, trained(name, flag, value))


@pytest.mark.parametrize(("flag", "value"), FLAGS)
def test_a_checkpoint_of_another_value_is_refused_by_the_name_of_the_option(
    tmp_path: Path, flag: str, value: str
) -> None:
    trained("digits", path=tmp_path / "checkpoint.npz")
    with pytest.raises(CheckpointError, match=flag.strip("-").replace("-", "_")):
        trained("digits", flag, value, path=tmp_path / "checkpoint.npz")


def test_the_values_arrive_where_they_belong() -> None:
    arguments = [part for flag in FLAGS for part in flag]
    hyperparameters = parsed("digits", *arguments)
    step = hyperparameters.step
    assert (hyperparameters.epochs, hyperparameters.batch_size, hyperparameters.seed) == (4, 40, 1)
    assert hyperparameters.schedule.learning_rate == 0.02
    assert (step.label_smoothing, step.ema_decay) == (0.2, 0.2)
    assert step.optimiser == SGD(momentum=0.9, nesterov=True, weight_decay=0.3)
    assert isinstance(parsed("digits1d", "--weight-decay", "0").step.optimiser, AdamW)


def test_the_learning_rate_is_the_peak_of_the_schedule() -> None:
    rates = [record["rate"] for record in trained("digits", "--learning-rate", "0.02").history]
    assert 0.01 < max(rates) <= 0.02


def test_without_an_average_the_last_weights_are_kept() -> None:
    result = trained("digits", "--ema-decay", "0")
    assert all(np.array_equal(result.weights[name], result.last[name]) for name in result.last)


@pytest.mark.parametrize("name", NAMES)
def test_the_help_says_the_default_of_each(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args([name, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    usual = HYPERPARAMETERS[name]
    for default in (
        f"passes over the data ({usual.epochs})",
        f"examples of a step ({usual.batch_size})",
        f"falls to 0 ({usual.schedule.learning_rate})",
        f"0 for none ({usual.step.optimiser.weight_decay})",
        f"0 for none ({usual.step.label_smoothing})",
        f"last weights ({usual.step.ema_decay})",
    ):
        assert default in text


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--batch-size", "0", "a whole number from 1 on"),
        ("--learning-rate", "0", "a number above 0"),
        ("--learning-rate", "inf", "a number above 0"),
        ("--learning-rate", "fast", "a number above 0"),
        ("--weight-decay", "-0.1", "a number of 0 or more"),
        ("--label-smoothing", "1", "a number of 0 or more and less than 1"),
        ("--ema-decay", "nan", "a number of 0 or more and less than 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    flag: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["digits", f"{flag}={value}"])
    assert f"argument {flag}: expected {expected}, got '{value}'" in capsys.readouterr().err
