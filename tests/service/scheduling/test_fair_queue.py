"""Queues are served in turn, each in its order, and no item is lost or served twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.scheduling.fair_queue import FairQueue

Item = tuple[str, int, int]
OWNERS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), OWNERS, st.integers(0, 2)),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("retain"), st.integers(2, 5)),
    ),
    max_size=60,
)


def same_kind(first: Item, other: Item) -> bool:
    return first[1] == other[1] != 0


@given(STEPS)
def test_all_that_was_put_is_taken_once_in_the_order_of_its_owner_and_kind(
    steps: list[tuple[str, int]],
) -> None:
    queue: FairQueue[Item] = FairQueue()
    waiting: list[Item] = []
    for number, (action, *arguments) in enumerate(steps):
        if action == "put":
            owner, kind = arguments
            item = (str(owner), int(kind), number)
            queue.put(owner, item)
            waiting.append(item)
        elif action == "retain":
            waiting = retain_others(queue, waiting, int(arguments[0]))
        else:
            waiting = take(queue, waiting, int(arguments[0]))
        assert len(queue) == len(waiting)
        for name in "abc":
            assert queue.length(name) == sum(item[0] == name for item in waiting)
    assert sorted(queue.clear()) == sorted(waiting)
    assert len(queue) == 0


def retain_others(queue: FairQueue[Item], waiting: list[Item], step: int) -> list[Item]:
    """Keep all but every so many'th item, and give those that are left."""
    queue.retain(lambda item: item[2] % step != 0)
    return [item for item in waiting if item[2] % step != 0]


def take(queue: FairQueue[Item], waiting: list[Item], max_size: int) -> list[Item]:
    """Take the next items, check that they are the first of their line, and give those left."""
    if not waiting:
        with pytest.raises(KeyError):
            queue.take(max_size, same_kind)
        return waiting
    taken = queue.take(max_size, same_kind)
    line = [item for item in waiting if item[0] == taken[0][0]]
    # The first of its line, with the next ones of its kind.
    alike = [item for item in line[1:] if same_kind(line[0], item)]
    assert taken == [line[0], *alike][:max_size]
    return [item for item in waiting if item not in taken]


def test_a_rush_for_one_owner_keeps_another_waiting_for_one_turn_only() -> None:
    queue: FairQueue[Item] = FairQueue()
    for number in range(100):
        queue.put("rush", ("rush", 0, number))
    queue.put("lone", ("lone", 0, 0))
    turns = [queue.take(1, same_kind)[0][0] for _ in range(4)]
    assert turns == ["rush", "lone", "rush", "rush"]
