"""Our own absence is not charged to chargers: more time, bounded, and never a pass."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from storage.listening import Break
from workflows.absence import MOST_GRACES, MOST_WAIT, RECONNECT_S, Patience, Say, Term, deadline_of, patience

START = datetime(2026, 5, 4, 10, tzinfo=UTC)
TERM = Term(START, 3600.0)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def away(*pairs: tuple[float, float | None]) -> tuple[Break, ...]:
    return tuple(Break(at(since), None if until is None else at(until)) for since, until in pairs)


def judged(breaks: tuple[Break, ...], now: float, term: Term = TERM) -> Patience:
    return patience(term, breaks, at(now), at(now))


def test_with_us_there_all_the_time_the_deadline_is_the_plans() -> None:
    assert judged((), 3600) == Patience(Say.DUE, at(3600))


def test_a_machine_that_was_off_beyond_the_deadline_leaves_the_time_that_was_left() -> None:
    found = judged(away((600, 4200)), 4205)
    assert (found.say, found.deadline) == (Say.LATER, at(7200))
    assert found.reason == (
        "no node of ours listened to chargers for 60 min from 2026-05-04 10:10:00 UTC to 2026-05-04 11:10:00 "
        "UTC; that is not counted, and it has until 2026-05-04 12:00:00 UTC"
    )


def test_just_before_the_deadline_it_has_time_to_come_back() -> None:
    assert judged(away((3500, 3700)), 3705).deadline == at(3700 + RECONNECT_S)
    assert judged(away((3300, 3590)), 3600).deadline == at(3590 + RECONNECT_S), "also if we were back in time"


def test_a_break_long_before_the_deadline_moves_it_by_no_more_than_itself() -> None:
    assert judged(away((60, 120)), 3600).deadline == at(3660)
    assert judged(away((60, 120)), 3660).say is Say.DUE


def test_what_is_judged_after_a_break_says_so() -> None:
    assert judged(away((600, 4200)), 7200).reason == (
        "no node of ours listened to chargers for 60 min from 2026-05-04 10:10:00 UTC to 2026-05-04 11:10:00 "
        "UTC, which is not counted"
    )


def test_nothing_is_judged_while_nobody_listens() -> None:
    found = judged(away((600, None)), 3600)
    assert found.say is Say.LATER
    assert found.reason == (
        "no node of ours has listened to chargers since 2026-05-04 10:10:00 UTC; it is not judged before one "
        "has for 15 min"
    )


def test_the_grace_is_no_longer_than_the_attempt_but_there_is_time_to_stay_up() -> None:
    assert Term(START, 120.0).grace == timedelta(seconds=120)
    assert Term(START, 120.0, 300.0).grace == timedelta(seconds=420)
    assert Term(START, 3600.0, 60.0).grace == timedelta(seconds=RECONNECT_S + 60)


def test_who_looks_on_for_a_day_in_which_nobody_listens_gives_up_undecided() -> None:
    breaks = away((600, None))
    day = MOST_WAIT.total_seconds()
    assert patience(TERM, breaks, at(3600), at(3599 + day)).say is Say.LATER
    found = patience(TERM, breaks, at(3600), at(3600 + day))
    assert found.say is Say.UNDECIDED
    assert found.reason.startswith("not decided: no node of ours listened to chargers for 1490 min from ")
    assert found.reason.endswith("look at it, and update it by another campaign")


def test_a_machine_that_was_off_for_a_week_still_gives_chargers_their_time() -> None:
    week = 7 * 86400.0
    assert judged(away((600, None)), week).say is Say.LATER, "the workers were up before the nodes"
    assert judged(away((600, week)), week + 5).deadline == at(week + 3000)


def flapping(every: float, off: float, count: int) -> tuple[Break, ...]:
    return away(*((3000 + n * every, 3000 + n * every + off) for n in range(count)))


def test_a_flapping_system_gets_so_many_graces_and_no_more() -> None:
    """Five minutes on, five off: each break would grant another grace, for ever."""
    breaks = flapping(600, 300, 100)
    for number in range(1, 30):
        now = 3300 + (number - 1) * 600 + 290
        found = judged(breaks[:number], now)
        if found.say is not Say.LATER:
            break
    assert found.say is Say.UNDECIDED
    assert now < 3600 + 2 * (3600 + MOST_GRACES * RECONNECT_S)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Term, tuple[Break, ...], datetime]:
    steady = draw(st.none() | st.floats(1, 600))
    term = Term(START, draw(st.floats(60, 7200)), steady)
    clock, found = 0.0, []
    for _ in range(draw(st.integers(0, 8))):
        begun = clock + draw(st.floats(0 if not found else 60, 3000))
        clock = begun + draw(st.floats(16, 9000))
        found.append((begun, clock))
    now = max(term.seconds, clock + draw(st.floats(0, 9000)))
    if found and now == clock and draw(st.booleans()):
        found[-1] = (found[-1][0], None)
    return term, away(*found), at(now)


def heard(term: Term, breaks: tuple[Break, ...], until: datetime, now: datetime) -> float:
    """Seconds in which somebody listened, from the beginning until then."""
    lost = sum(
        max(0.0, (min(each.ends(now), until) - min(each.since, until)).total_seconds()) for each in breaks
    )
    return (until - term.since).total_seconds() - lost


@given(histories())
def test_whoever_is_judged_was_listened_to_for_as_long_as_planned_and_lately(
    given_: tuple[Term, tuple[Break, ...], datetime],
) -> None:
    term, breaks, now = given_
    found = patience(term, breaks, now, now)
    assume(found.say is Say.DUE)
    assert heard(term, breaks, now, now) >= term.seconds - 1e-3
    if breaks:
        assert now - breaks[-1].ends(now) >= term.grace


@given(histories())
def test_the_extension_is_bounded(given_: tuple[Term, tuple[Break, ...], datetime]) -> None:
    term, breaks, now = given_
    for number, one in enumerate(breaks):  # Else it had been judged before, if we had not been late for it.
        assume(one.since < deadline_of(term, breaks[:number], now))
    deadline = deadline_of(term, breaks, now)
    most = term.seconds + MOST_GRACES * term.grace.total_seconds()
    assert deadline >= term.planned
    assert heard(term, breaks, deadline, now) <= most + 1e-3
    late = patience(term, breaks, now - term.longest, now)
    open_or_fresh = breaks and now - breaks[-1].ends(now) < term.grace
    assert late.say is not Say.LATER or not open_or_fresh


@given(histories())
def test_it_is_never_undecided_once_there_was_a_grace_on_end(
    given_: tuple[Term, tuple[Break, ...], datetime],
) -> None:
    term, breaks, now = given_
    found = patience(term, breaks, now, now)
    if found.say is Say.UNDECIDED:
        assert breaks
        assert now - breaks[-1].ends(now) < term.grace
        assert "not decided" in found.reason


@pytest.mark.parametrize("steady", [None, 300.0])
def test_the_same_breaks_give_the_same_deadline_whenever_it_is_worked_out(steady: float | None) -> None:
    term, breaks = Term(START, 3600.0, steady), away((600, 4200), (5000, 5100))
    assert len({deadline_of(term, breaks, at(now)) for now in (5100, 6000, 90_000)}) == 1
