"""The tree of errors."""

import inspect

import pytest

from service import errors

CLASSES = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if error.__module__ == errors.__name__
]


def test_every_error_descends_from_one_root() -> None:
    assert all(issubclass(error, errors.FoveaError) for error in CLASSES)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_drawn_in_the_tree_at_its_depth(error: type[Exception]) -> None:
    lines = (errors.__doc__ or "").splitlines()
    line = next(line for line in lines if error.__name__ in line.replace("─", " ").split())
    depth = error.__mro__.index(errors.FoveaError)
    assert line.index(error.__name__) == 4 * (depth + 1)


def test_a_full_queue_says_when_to_come_back() -> None:
    error = errors.QueueFull("32 requests are waiting; try again later", retry_after=2.5)
    assert (str(error), error.retry_after) == ("32 requests are waiting; try again later", 2.5)


def test_the_tree_knows_no_http() -> None:
    assert not any(hasattr(error, "status") or hasattr(error, "status_code") for error in CLASSES)
