"""Windows on a wall clock: against a clock that is watched minute by minute, over changes in many zones."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.windows import (
    OPEN,
    Calendar,
    Closure,
    ClosureKind,
    Day,
    Span,
    Window,
    first_instant,
    spans,
    window_problems,
    without,
)

CHANGES = (
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour, and a zone of half an hour
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kathmandu", date(2026, 6, 1)),  # 5:45, no change at all
    ("America/Santiago", date(2026, 9, 6)),  # at midnight
    ("America/Santiago", date(2026, 4, 5)),
    ("America/St_Johns", date(2026, 3, 8)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("UTC", date(2026, 1, 1)),
)
MINUTE = timedelta(minutes=1)
clocks = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))


def watched(zone: ZoneInfo, day: date, clock: time) -> datetime:
    """The first minute from which on a watcher reads this time or a later one."""
    at = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=30)
    wanted = datetime.combine(day, clock)
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += MINUTE
    return at


@pytest.mark.requirement("R18")
@given(st.sampled_from(CHANGES), st.integers(-1, 1), clocks)
@settings(max_examples=80, deadline=None)
def test_a_time_of_day_is_the_first_instant_at_which_a_watcher_reads_it(change, shift, clock) -> None:
    name, day = change
    day, zone = day + timedelta(days=shift), ZoneInfo(name)
    assert first_instant(zone, day, time.fromisoformat(clock)) == watched(
        zone, day, time.fromisoformat(clock)
    )


@pytest.mark.requirement("R17", "R18")
@given(
    st.sampled_from(CHANGES),
    st.lists(
        st.builds(
            Window,
            clocks,
            clocks,
            st.lists(st.sampled_from(list(Day)), min_size=1, unique=True).map(tuple),
        ),
        min_size=1,
        max_size=3,
    ),
)
@settings(max_examples=60, deadline=None)
def test_what_is_open_is_what_one_of_the_windows_has_opened_and_not_closed(change, windows) -> None:
    name, day = change
    zone = ZoneInfo(name)
    begin = datetime.combine(day, time(), tzinfo=UTC) - timedelta(days=1)
    end = begin + timedelta(days=4)
    found = spans(windows, zone, begin, end)
    assert all(span.begins < span.ends for span in found)
    assert all(one.ends < other.begins for one, other in pairwise(found))
    pieces = []
    for back in range(-3, 6):
        each = day + timedelta(days=back)
        for window in windows:
            if list(Day)[each.weekday()] in window.days:
                until = each + timedelta(days=1) if window.closes <= window.opens else each
                pieces.append(
                    (
                        watched(zone, each, time.fromisoformat(window.opens)),
                        watched(zone, until, time.fromisoformat(window.closes)),
                    )
                )
    at = begin
    while at < end:
        inside = any(span.begins <= at < span.ends for span in found)
        assert inside == any(opens <= at < closes for opens, closes in pieces)
        at += 17 * MINUTE


@pytest.mark.requirement("R18")
def test_a_clock_change_in_the_middle_of_a_window_moves_no_end_of_it() -> None:
    night, berlin = (Window("01:00", "05:00"),), ZoneInfo("Europe/Berlin")
    spring, *_ = spans(
        night, berlin, datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)
    )
    autumn = spans(
        night, berlin, datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    )
    assert (spring.ends - spring.begins, autumn[0].ends - autumn[0].begins) == (
        timedelta(hours=3),
        timedelta(hours=5),
    )


@pytest.mark.requirement("R18")
def test_what_the_clock_skips_does_not_open_and_what_it_shows_twice_opens_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    skipped = spans(
        [Window("02:10", "02:50")],
        berlin,
        datetime(2026, 3, 29, tzinfo=UTC),
        datetime(2026, 3, 29, 12, tzinfo=UTC),
    )
    twice = spans(
        [Window("02:10", "02:50")],
        berlin,
        datetime(2026, 10, 25, tzinfo=UTC) - timedelta(hours=2),
        datetime(2026, 10, 25, 12, tzinfo=UTC),
    )
    assert skipped == []
    assert [span.ends - span.begins for span in twice] == [timedelta(minutes=40)]


NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
HOUR = timedelta(hours=1)


def calendar(**changes) -> Calendar:
    given = {"windows": (Window("22:00", "04:00"),), "takes": HOUR, **changes}
    return Calendar("harbour", "Europe/Berlin", **given)


@pytest.mark.requirement("R17")
def test_what_begins_must_be_able_to_end_in_the_window() -> None:
    night = calendar()
    assert night.opening(NOW).opens_at == datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert "Europe/Berlin" in night.opening(NOW).closed
    assert night.opening(datetime(2026, 11, 21, 2, 0, tzinfo=UTC)) == OPEN
    late = night.opening(datetime(2026, 11, 21, 2, 1, tzinfo=UTC))
    assert "too short" in late.closed
    assert late.opens_at == datetime(2026, 11, 21, 21, tzinfo=UTC)
    assert night.room(NOW, NOW + timedelta(days=2)) == 10 * HOUR
    assert calendar(takes=7 * HOUR).opening(NOW).opens_at is None, "it never fits"
    assert calendar(windows=()).opening(NOW) == OPEN


@pytest.mark.requirement("X4")
def test_a_grid_event_closes_its_site_and_a_price_those_who_do_not_pay_it() -> None:
    event = Closure(NOW - HOUR, NOW + HOUR, ClosureKind.GRID, "demand response", "harbour")
    peak = Closure(NOW, NOW + 3 * HOUR, ClosureKind.TARIFF, "peak", price=0.4)
    open_all_day = calendar(windows=(), closures=(event, peak))
    said = open_all_day.opening(NOW)
    assert "demand response" in said.closed
    assert said.opens_at == NOW + HOUR, "this plan says nothing of prices"
    thrifty = calendar(windows=(), closures=(event, peak), max_price=0.3)
    assert thrifty.opening(NOW).opens_at == NOW + 3 * HOUR
    assert calendar(windows=(), closures=(event, peak), max_price=0.5).opening(NOW).opens_at == NOW + HOUR
    elsewhere = Closure(NOW, NOW + HOUR, ClosureKind.GRID, "x", "other")
    assert calendar(windows=(), closures=(elsewhere,)).opening(NOW) == OPEN
    soon = Closure(NOW + HOUR / 2, NOW + HOUR, ClosureKind.FREEZE, "x")
    assert "too short" in calendar(windows=(), closures=(soon,)).opening(NOW).closed


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=6),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=6),
)
@settings(max_examples=60)
def test_cutting_out_leaves_what_is_open_and_not_closed(opened, closed) -> None:
    def span(pair: tuple[int, int]) -> Span:
        return Span(NOW + pair[0] * MINUTE, NOW + pair[1] * MINUTE)

    left = list(without([span(one) for one in opened], [span(one) for one in closed]))
    for minute in range(101):
        at = NOW + minute * MINUTE
        wanted = any(a <= minute < b for a, b in opened) and not any(a <= minute < b for a, b in closed)
        assert any(one.begins <= at < one.ends for one in left) == wanted


def test_windows_that_nobody_can_read_are_told() -> None:
    assert window_problems(Window("02:00", "04:00")) == []
    assert len(window_problems(Window("25:00", "4:00", ()))) == 3
