"""Work is stopped when nobody waits for it any more, and only then."""

import pytest

from service.runtime import cancellation
from service.runtime.cancellation import Abandoned, Errand, doing


def test_it_is_stopped_when_nobody_waits_any_more() -> None:
    waiting, stops = [1], list[str]()
    errand = Errand(lambda: bool(waiting))
    with doing(errand), cancellation.stopped_by(lambda: stops.append("stopped")):
        errand.check()
        assert not stops
        assert not cancellation.abandoned()
        waiting.clear()
        errand.check()
        assert stops == ["stopped"]
        assert cancellation.abandoned()


def test_what_has_ended_is_not_stopped_any_more() -> None:
    stops = list[str]()
    errand = Errand(lambda: False)
    with doing(errand), cancellation.stopped_by(lambda: stops.append("stopped")):
        pass
    errand.check()
    assert not stops


def test_nothing_begins_for_nobody() -> None:
    errand = Errand(lambda: False)
    errand.check()
    with doing(errand), pytest.raises(Abandoned), cancellation.stopped_by(lambda: None):
        pytest.fail("it began")


def test_without_an_errand_nothing_is_stopped() -> None:
    with doing(Errand(lambda: False)):
        pass
    assert not cancellation.abandoned()
    with cancellation.stopped_by(lambda: pytest.fail("stopped")):
        pass
