"""Work is stopped when nobody waits for it any more, and only then."""

import pytest

from service.runtime import cancellation
from service.runtime.cancellation import Cancelled, CancelScope, running


def test_it_is_stopped_when_nobody_waits_any_more() -> None:
    waiting, stops = [1], list[str]()
    scope = CancelScope(lambda: bool(waiting))
    with running(scope), cancellation.on_cancel(lambda: stops.append("stopped")):
        scope.cancel_if_unwanted()
        assert not stops
        assert not cancellation.is_cancelled()
        waiting.clear()
        scope.cancel_if_unwanted()
        assert stops == ["stopped"]
        assert cancellation.is_cancelled()


def test_what_has_ended_is_not_stopped_any_more() -> None:
    stops = list[str]()
    scope = CancelScope(lambda: False)
    with running(scope), cancellation.on_cancel(lambda: stops.append("stopped")):
        pass
    scope.cancel_if_unwanted()
    assert not stops


def test_nothing_begins_for_nobody() -> None:
    scope = CancelScope(lambda: False)
    scope.cancel_if_unwanted()
    with running(scope), pytest.raises(Cancelled), cancellation.on_cancel(lambda: None):
        pytest.fail("it began")


def test_without_a_scope_nothing_is_stopped() -> None:
    with running(CancelScope(lambda: False)):
        pass
    assert not cancellation.is_cancelled()
    with cancellation.on_cancel(lambda: pytest.fail("stopped")):
        pass
