"""The signals are those of the authors' package, number for number."""

from pathlib import Path

import numpy as np
import pytest

from model_build.datasets import mnist1d

REFERENCE = Path(__file__).parents[2] / "data" / "mnist1d" / "reference.npz"


@pytest.fixture(scope="module")
def signals() -> tuple[mnist1d.Floats, mnist1d.Floats]:
    generated, labels = mnist1d.generate(mnist1d.SEED, mnist1d.SAMPLES)
    return generated, labels.astype(float)


def test_the_data_are_those_that_the_authors_package_generates(
    signals: tuple[mnist1d.Floats, mnist1d.Floats],
) -> None:
    generated, labels = signals
    with np.load(REFERENCE) as reference:
        assert np.array_equal(labels, reference["labels"])
        # Bit by bit on the machine that recorded them; elsewhere an exponential may round
        # otherwise.
        assert np.abs(generated[::50] - reference["signals"]).max() < 1e-12
        assert np.abs(generated.sum(axis=1) - reference["sums"]).max() < 1e-11


def test_four_thousand_signals_are_to_learn_from_and_a_thousand_for_the_test(
    signals: tuple[mnist1d.Floats, mnist1d.Floats],
) -> None:
    data = mnist1d.load()
    assert data.train.inputs.shape == (4000, 1, 40)
    assert data.test.inputs.shape == (1000, 1, 40)
    assert data.train.inputs.dtype == np.float32
    assert np.array_equal(data.test.inputs[:, 0], signals[0][4000:].astype(np.float32))
    assert np.array_equal(data.train.labels, signals[1][:4000])
    assert np.bincount(np.concatenate([data.train.labels, data.test.labels])).tolist() == [500] * 10


def test_another_seed_gives_other_signals_and_a_seed_the_same_ones() -> None:
    one, same, other = (mnist1d.load(seed, samples=50) for seed in (1, 1, 2))
    assert (len(one.train), len(one.test)) == (40, 10)
    assert np.array_equal(one.train.inputs, same.train.inputs)
    assert not np.array_equal(one.train.inputs, other.train.inputs)
