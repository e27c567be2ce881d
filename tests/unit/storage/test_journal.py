from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.journal import JournalRule, Partition, Span, outlived, wanted

NOW = datetime(2026, 11, 25, 10, 30, tzinfo=UTC)
DAY = timedelta(days=1)

rules = st.builds(JournalRule, st.integers(1, 31), st.integers(1, 20), st.integers(1, 90))
moments = st.integers(0, 2_000 * 24).map(
    lambda hours: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
)


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


def partition(start: datetime | None, end: datetime | None) -> Partition:
    return Partition(f"frame_{start}_{end}", Span(start, end))


def test_days_are_made_from_today_to_as_far_ahead_as_asked() -> None:
    assert list(wanted([], JournalRule(ahead_days=2), NOW)) == [
        Span(day(25), day(26)),
        Span(day(26), day(27)),
        Span(day(27), day(28)),
    ]


def test_what_is_there_is_not_made_again_whoever_cut_it() -> None:
    there = [partition(None, day(26)), partition(day(27), day(27) + 3 * DAY)]
    assert list(wanted(there, JournalRule(ahead_days=2), NOW)) == [Span(day(26), day(27))]


@pytest.mark.requirement("F107")
def test_a_partition_goes_when_its_youngest_frame_is_old_enough() -> None:
    there = [partition(day(25), None), partition(day(22), day(23)), partition(None, day(22))]
    gone = [each.span.end for each in outlived(there, JournalRule(kept_days=2), NOW)]
    assert gone == [day(22), day(23)]
    assert [each.span.end for each in outlived(there, JournalRule(kept_days=3), NOW)] == [day(22)]


@given(rules, moments, st.integers(0, 40))
def test_today_and_the_days_ahead_are_always_covered_and_nothing_overlaps(
    rule: JournalRule, now: datetime, days_later: int
) -> None:
    there = [Partition("", span) for span in wanted([], rule, now)]
    later = now + timedelta(days=days_later)
    there += [Partition("", span) for span in wanted(there, rule, later)]
    spans = [each.span for each in there]
    assert not any(one.overlaps(other) for one in spans for other in spans if one is not other)
    for moment in (later, later + timedelta(days=rule.ahead_days)):
        assert any(span.start <= moment < span.end for span in spans if span.start and span.end)


@given(rules, moments)
def test_a_frame_is_never_dropped_before_its_time(rule: JournalRule, now: datetime) -> None:
    there = [Partition("", span) for span in wanted([], rule, now - timedelta(days=60))]
    for gone in outlived(there, rule, now):
        assert gone.span.end is not None
        assert gone.span.end <= now - timedelta(days=rule.kept_days)
