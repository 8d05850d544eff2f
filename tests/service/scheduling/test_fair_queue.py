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
    lines: FairQueue[Piece] = FairQueue()
    waiting: list[Piece] = []
    for number, (what, *rest) in enumerate(steps):
        if what == "put":
            owner, kind = rest
            lines.put(owner, (str(owner), int(kind), number))
            waiting.append((str(owner), int(kind), number))
        elif what == "keep":
            step = int(rest[0])
            lines.keep(lambda piece, step=step: piece[2] % step != 0)  # type: ignore[misc]
            waiting = [piece for piece in waiting if piece[2] % step != 0]
        elif waiting:
            taken = lines.take(int(rest[0]), same_kind)
            whose, _, _ = taken[0]
            line = [piece for piece in waiting if piece[0] == whose]
            # The first of its line, with the next ones of its kind.
            expected = [piece for piece in line if piece == line[0] or same_kind(line[0], piece)][
                : int(rest[0])
            ]
            assert taken == expected
            waiting = [piece for piece in waiting if piece not in taken]
        else:
            with pytest.raises(KeyError):
                lines.take(1, same_kind)
        assert len(lines) == len(waiting)
        for each in "abc":
            assert lines.length(each) == sum(piece[0] == each for piece in waiting)
    assert sorted(lines.clear()) == sorted(waiting)
    assert len(lines) == 0


def test_a_rush_for_one_owner_keeps_another_waiting_for_one_turn_only() -> None:
    lines: FairQueue[Piece] = FairQueue()
    for number in range(100):
        lines.put("rush", ("rush", 0, number))
    lines.put("lone", ("lone", 0, 0))
    turns = [lines.take(1, same_kind)[0][0] for _ in range(4)]
    assert turns == ["rush", "lone", "rush", "rush"]
