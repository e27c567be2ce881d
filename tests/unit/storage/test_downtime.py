"""The ledger of planned downtime: what counts, what is left, and when there is room again."""

import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from storage.downtime import account
from storage.upkeep import Booking, SiteRules

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = SiteRules(uptime_floor=0.97, uptime_days=30)
ALLOWED = 0.03 * 30 * 86_400  # 21 h 36 min


def away(begins_ago: timedelta, lasted: timedelta) -> Booking:
    return Booking(NOW - begins_ago, NOW - begins_ago + lasted, "update", "spring")


@pytest.mark.requirement("X13")
def test_what_lies_before_the_period_counts_no_more() -> None:
    books = [away(31 * DAY, HOUR), away(30 * DAY + HOUR, 2 * HOUR), away(DAY, HOUR)]
    found = account(RULES, books, NOW)
    assert found.spent == 2 * 3600
    assert found.left == pytest.approx(ALLOWED - 2 * 3600)
    assert found.bookings == tuple(books[1:])
    assert found.since == NOW - 30 * DAY


@pytest.mark.requirement("X13")
def test_room_comes_when_the_oldest_has_gone_by_as_far_as_needed() -> None:
    """21 h and 36 min allowed, 21 spent: 24 minutes of the oldest have to go by for an hour."""
    books = [away(20 * DAY, 20 * HOUR), away(2 * DAY, HOUR)]
    found = account(RULES, books, NOW)
    assert found.room_for(36 * 60) == NOW
    assert found.room_for(3600) == NOW + 10 * DAY + timedelta(minutes=24)
    assert found.room_for(ALLOWED) == NOW + 28 * DAY + HOUR


@pytest.mark.requirement("X13")
def test_an_hour_that_is_needed_is_the_oldest_hour_and_not_a_part_of_the_next() -> None:
    """The share allowed is no whole number in floats: a trillionth of a second must not cost eight days."""
    books = [away(10 * DAY, HOUR), away(2 * DAY, timedelta(seconds=ALLOWED) - HOUR)]
    assert account(RULES, books, NOW).room_for(3600) == NOW + 20 * DAY + HOUR


@pytest.mark.requirement("X13")
def test_what_no_floor_bounds_always_fits_and_what_a_floor_never_allows_never_does() -> None:
    free = account(SiteRules(), [away(DAY, 20 * HOUR)], NOW)
    assert (free.room_for(1e9), free.left, free.spent) == (NOW, float("inf"), 20 * 3600)
    assert account(RULES, [], NOW).room_for(ALLOWED + 1) is None
    assert account(RULES, [], NOW).room_for(ALLOWED) == NOW


@pytest.mark.requirement("X13")
@pytest.mark.parametrize("seed", range(60))
def test_at_the_time_that_was_told_there_is_room_and_not_two_minutes_before(seed: int) -> None:
    """By looking again at that time, whatever was booked, overlapping or not."""
    chance = random.Random(seed)
    books = [
        away(chance.uniform(0.1, 31) * DAY, chance.uniform(0.0001, 9) * HOUR)
        for _ in range(chance.randrange(1, 9))
    ]
    books = [one for one in books if one.ended <= NOW]
    takes = chance.uniform(60, ALLOWED)
    at = account(RULES, books, NOW).room_for(takes)
    assert at is not None
    assert account(RULES, books, at).room_for(takes) == at
    if at > NOW:
        early = max(NOW, at - timedelta(minutes=2))
        assert account(RULES, books, early).room_for(takes) > early


@pytest.mark.requirement("X13")
@pytest.mark.parametrize(
    ("floor", "hours"), [(0.9, 72.0), (0.93, 50.4), (0.8, 144.0), (0.97, 21.6), (1.0, 0.0)]
)
def test_what_a_floor_allows_lacks_no_trillionth_of_a_second(floor: float, hours: float) -> None:
    """Cut to minutes, 72 hours would read 71 h 59 min."""
    assert SiteRules(uptime_floor=floor).downtime_allowed == hours * 3600


@pytest.mark.requirement("X13")
def test_a_year_of_a_thousand_short_absences_is_no_work_of_a_second() -> None:
    """Each eligibility check asks it of every charger that is short of downtime."""
    rules = SiteRules(uptime_floor=0.999, uptime_days=366)
    books = [away(step * HOUR + HOUR, timedelta(minutes=5)) for step in range(8000)]
    began = time.process_time()
    at = account(rules, books, NOW).room_for(3600)
    assert time.process_time() - began < 1
    assert at is not None
    assert account(rules, books, at).room_for(3600) == at
