"""The learning rate rises on a line and falls on a cosine."""

import math

import pytest

from model_build.training.schedule import Cosine


def test_the_rate_rises_in_equal_strides_to_the_peak() -> None:
    rates = [Cosine(2.0, warmup=0.1).at(step, 50) for step in range(6)]
    assert rates == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0, 2.0])


def test_the_rate_then_falls_on_half_a_cosine_to_the_floor() -> None:
    schedule = Cosine(3.0, warmup=0.2, floor=1.0)
    assert schedule.at(20, 100) == 3.0
    assert schedule.at(60, 100) == pytest.approx(2.0)
    assert schedule.at(40, 100) == pytest.approx(2 + math.cos(math.pi / 4))
    assert schedule.at(100, 100) == pytest.approx(1.0)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 1.0])
def test_every_step_of_every_training_has_a_rate_above_0_and_at_most_the_peak(
    steps: int, warmup: float
) -> None:
    rates = [Cosine(0.5, warmup).at(step, steps) for step in range(steps)]
    assert all(0 < rate <= 0.5 for rate in rates)
    top = rates.index(max(rates))
    assert rates == [*sorted(rates[:top]), *sorted(rates[top:], reverse=True)]


@pytest.mark.parametrize(
    ("peak", "warmup", "floor"),
    [(0.0, 0, 0), (-1.0, 0, 0), (math.nan, 0, 0), (1.0, 1.1, 0), (1.0, -0.1, 0), (1.0, 0, 2)],
)
def test_numbers_that_make_no_schedule_are_refused(
    peak: float, warmup: float, floor: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        Cosine(peak, warmup, floor)
