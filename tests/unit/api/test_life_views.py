from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from activities.renewals import RenewalRules
from api.dashboard.life_views import Hands, Step, calendar, end_rows, outcome_bar
from storage.certificate import EndCount, Expiry
from storage.renewal import FleetWork, RenewalPhase, StandingStill

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
RULES = RenewalRules()
COUNTS = st.lists(
    st.builds(
        EndCount,
        st.dates(date(2026, 1, 1), date(2028, 1, 1)),
        st.sampled_from(("", "aa", "bb")),
        st.integers(1, 50),
        st.just(0),
    ),
    max_size=30,
    unique_by=lambda each: (each.day, each.issuer),
)


@settings(max_examples=60)
@given(COUNTS, st.sampled_from(Step))
def test_every_certificate_is_in_exactly_one_line_and_lines_come_in_order(counts, step) -> None:
    ended = [each for each in counts if each.day < NOW.date()]
    found = calendar(counts, ended, NOW, step, RULES)
    assert sum(each.count for each in found) == sum(each.count for each in counts)
    assert sum(count for each in found for _, count in each.issuers) == sum(each.count for each in counts)
    ahead = [each for each in found if not each.late]
    assert [each.since for each in ahead] == sorted({each.since for each in ahead})
    assert all(before.until <= after.since for before, after in pairwise(ahead))
    assert len(found) - len(ahead) == (1 if ended else 0)


def test_what_ended_this_morning_is_late_and_the_rest_of_the_day_is_not() -> None:
    today = NOW.date()
    found = calendar([EndCount(today, "aa", 3, 2)], [EndCount(today, "aa", 1, 1)], NOW, Step.WEEK, RULES)
    assert [(each.title, each.count, each.online, each.late) for each in found] == [
        ("Ended", 1, 1, True),
        ("Week of 2026-11-23", 2, 1, False),
    ]


def test_a_line_says_from_when_its_certificates_are_renewed_and_nothing_if_nobody_does() -> None:
    far = [EndCount(date(2027, 3, 10), "aa", 1, 1)]
    [line] = calendar(far, [], NOW, Step.MONTH, RULES)
    assert (line.title, line.since, line.until) == ("March 2027", date(2027, 3, 1), date(2027, 4, 1))
    assert line.renewed_from == date(2027, 3, 1) - timedelta(days=40)
    assert line.bar[0].key == "updated"
    [line] = calendar(far, [], NOW, Step.MONTH, RenewalRules(enabled=False))
    assert (line.renewed_from, line.bar[0].key) == (None, "waiting")


def test_a_bar_is_whole() -> None:
    counts = {"renewed": 5, "failed": 1, "open": 7, "rescheduled": 1, "odd": 0}
    parts = outcome_bar(counts, FleetWork.RENEW)
    assert sum(each.count for each in parts) == 14
    assert [each.label for each in parts] == ["renewed", "failed", "gone to the schedule", "to come"]
    assert outcome_bar(counts, FleetWork.ROTATE_PASSWORD)[0].label == "changed"
    assert abs(sum(each.share for each in parts) - 100) < 0.1
    assert outcome_bar({}, FleetWork.RENEW) == ()


def test_a_charger_in_a_job_that_stands_still_is_told_when_the_schedule_takes_it() -> None:
    still = StandingStill("r1", "autumn", RenewalPhase.PAUSED, "", FleetWork.RENEW)
    hands = Hands(frozenset({"A", "B"}), {"A": still})

    def said(name: str, days: int, rules: RenewalRules = RULES) -> str:
        expiry = Expiry(name, "s1", "0A", NOW + timedelta(days=days), online=True)
        return end_rows([expiry], hands, NOW, rules)[0].renewal

    day = (NOW + timedelta(days=39)).date().isoformat()
    assert said("A", 60) == f"in 'autumn', which is paused; by itself from {day}"
    assert said("A", 20) == "in 'autumn', which is paused; by itself once it is connected"
    assert said("A", 20, RenewalRules(enabled=False)) == "in 'autumn', which is paused"
    assert said("B", 20) == "in a renewal now"
