"""The time that no event has summed yet: at once for a fleet, day by day for one charger, and the same."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.postgres.service import tail, tail_days
from storage.service import ServiceDay, Standing

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTES = st.integers(-3000, 8000).map(lambda minutes: NOON + timedelta(minutes=minutes))
STANDINGS = st.builds(
    Standing,
    MINUTES,
    online=st.booleans(),
    up=st.sampled_from([None, 0.0, 0.5, 1.0]),
    parked=st.sampled_from([0.0, 0.5]),
    in_use=st.sampled_from([0.0, 1.0]),
    planned_until=st.none() | MINUTES,
)


@pytest.mark.requirement("F28", "F104")
@given(STANDINGS, st.integers(-3, 3), MINUTES)
def test_told_at_once_or_day_by_day_it_is_the_same(standing: Standing, days: int, until: datetime) -> None:
    since = NOON.date() + timedelta(days=days)
    whole, summed = tail(standing, since, until), ServiceDay()
    parts = tail_days(standing, since, until)
    for _, more in parts:
        summed = summed.merged(more)
    for each in fields(ServiceDay):
        assert getattr(summed, each.name) == pytest.approx(getattr(whole, each.name))
    assert [day for day, _ in parts] == sorted({day for day, _ in parts})
