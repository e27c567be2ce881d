"""Hours of health: they tile time, whatever their length; as long as a real hour they are the clock's."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.health_time import REAL, HealthTime

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
LENGTHS = st.sampled_from([1, 2, 7, 60, 900, 3600]).map(HealthTime)


@given(INSTANTS, LENGTHS)
def test_every_instant_is_in_one_hour_and_in_one_of_its_minutes(at: datetime, time: HealthTime) -> None:
    begin = time.begin(at)
    assert begin <= at < begin + time.hour
    assert time.begin(begin) == begin == time.next(begin)
    assert time.next(at) - begin in (timedelta(0), time.hour)
    minute = time.minute(at)
    assert 0 <= minute < 60
    assert begin + minute * time.hour / 60 <= at + timedelta(microseconds=1)


@given(INSTANTS)
def test_a_real_hour_is_the_clocks(at: datetime) -> None:
    assert REAL.begin(at) == at.replace(minute=0, second=0, microsecond=0)
    assert REAL.minute(at) == at.minute
    assert REAL.scale == 1.0


@given(INSTANTS, st.integers(-5, 50), LENGTHS)
def test_whole_hours_are_counted_and_never_below_none(at: datetime, hours: int, time: HealthTime) -> None:
    since = time.begin(at)
    assert time.whole(since, since + time.span(hours)) == max(hours, 0)


@pytest.mark.parametrize("seconds", [1, 300, 3600])
def test_a_span_is_so_many_hours(seconds: int) -> None:
    assert HealthTime(seconds).span(24) == timedelta(seconds=24 * seconds)
