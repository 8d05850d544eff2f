"""Lines are served in turn, each in its order, and nobody is lost or served twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.scheduling.fair_queue import FairQueue

Piece = tuple[str, int, int]
OWNERS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), OWNERS, st.integers(0, 2)),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("keep"), st.integers(2, 5)),
    ),
    max_size=60,
)


def same_kind(first: Piece, other: Piece) -> bool:
    return first[1] == other[1] != 0


@given(STEPS)
def test_all_that_was_put_is_taken_once_in_the_order_of_its_owner_and_kind(
    steps: list[tuple[str, int]],
) -> None:
    queue: FairQueue[Piece] = FairQueue()
    waiting: list[Piece] = []
    for number, (action, *arguments) in enumerate(steps):
        if action == "put":
            owner, kind = arguments
            piece = (str(owner), int(kind), number)
            queue.put(owner, piece)
            waiting.append(piece)
        elif action == "keep":
            waiting = keep_others(queue, waiting, int(arguments[0]))
        else:
            waiting = take(queue, waiting, int(arguments[0]))
        assert len(queue) == len(waiting)
        for name in "abc":
            assert queue.length(name) == sum(piece[0] == name for piece in waiting)
    assert sorted(queue.clear()) == sorted(waiting)
    assert len(queue) == 0


def keep_others(queue: FairQueue[Piece], waiting: list[Piece], step: int) -> list[Piece]:
    """Keep all but every so many'th piece, and give those that are left."""
    queue.keep(lambda piece: piece[2] % step != 0)
    return [piece for piece in waiting if piece[2] % step != 0]


def take(queue: FairQueue[Piece], waiting: list[Piece], most: int) -> list[Piece]:
    """Take the next pieces, check that they are the first of their line, and give those left."""
    if not waiting:
        with pytest.raises(KeyError):
            queue.take(most, same_kind)
        return waiting
    taken = queue.take(most, same_kind)
    line = [piece for piece in waiting if piece[0] == taken[0][0]]
    # The first of its line, with the next ones of its kind.
    alike = [piece for piece in line[1:] if same_kind(line[0], piece)]
    assert taken == [line[0], *alike][:most]
    return [piece for piece in waiting if piece not in taken]


def test_a_rush_for_one_owner_keeps_another_waiting_for_one_turn_only() -> None:
    lines: FairQueue[Piece] = FairQueue()
    for number in range(100):
        lines.put("rush", ("rush", 0, number))
    lines.put("lone", ("lone", 0, 0))
    turns = [lines.take(1, same_kind)[0][0] for _ in range(4)]
    assert turns == ["rush", "lone", "rush", "rush"]
