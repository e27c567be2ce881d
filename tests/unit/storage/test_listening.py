"""When nobody of ours listened, from what nodes marked."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.listening import CLOSELY, TOO_SHORT, Break, Listened, Span, breaks

START = datetime(2026, 5, 4, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def listened(now: float, *spans: tuple[float, float]) -> Listened:
    made = tuple(Span(at(began), at(until)) for began, until in spans)
    return Listened(at(now), min((span.began_at for span in made), default=None), made)


def test_a_machine_that_was_off_left_a_break() -> None:
    told = listened(5000, (-900, 300), (3900, 4998))
    assert breaks(told, START) == (Break(at(300), at(3900)),)


def test_a_break_that_lasts_has_no_end() -> None:
    assert breaks(listened(500, (-900, 300)), START) == (Break(at(300), None),)


def test_a_break_is_never_less_than_nothing_by_whatever_clock() -> None:
    assert Break(at(60), None).ends(at(0)) == at(60)


def test_one_node_that_listens_is_enough() -> None:
    told = listened(5000, (-900, 300), (200, 4000), (3900, 4998))
    assert breaks(told, START) == ()


@pytest.mark.parametrize("late", [0, CLOSELY.total_seconds()])
def test_a_mark_that_is_late_or_a_quick_restart_is_no_break(late: float) -> None:
    assert breaks(listened(400 + late, (-900, 100), (100 + late, 400)), START) == ()


def test_of_what_was_before_the_first_mark_nothing_is_known() -> None:
    assert breaks(listened(500, (200, 499)), START) == ()
    assert breaks(listened(500), START) == (), "and where nobody ever marked, nothing at all"


def test_a_break_before_the_attempt_counts_from_its_beginning_on() -> None:
    assert breaks(listened(500, (-900, -300), (60, 499)), START) == (Break(at(0), at(60)),)


def test_moments_between_two_breaks_are_no_chance_to_come_back() -> None:
    told = listened(1000, (-900, 100), (300, 320), (500, 500 + TOO_SHORT.total_seconds()), (800, 998))
    assert breaks(told, START) == (Break(at(100), at(500)), Break(at(560), at(800)))


spans = st.lists(
    st.tuples(st.integers(-1000, 4000), st.integers(0, 2000)).map(lambda one: (one[0], one[0] + one[1])),
    max_size=12,
)


@given(spans, st.integers(0, 5000))
def test_breaks_are_in_order_apart_and_long_enough(marked: list[tuple[int, int]], now: int) -> None:
    told = listened(now, *((began, min(until, now)) for began, until in marked if began <= now))
    found = breaks(told, START)
    for one in found:
        assert one.since >= START
        assert one.ends(told.now) - one.since > CLOSELY
        assert not any(span.began_at <= one.since < span.until for span in told.spans)
    for former, later in pairwise(found):
        assert former.until is not None
        assert later.since - former.until >= TOO_SHORT
