"""What is done about a charger that counts as updated and was never compared."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.facts import RouteFacts
from activities.late_settings import LateFacts
from storage.kept import Owed
from workflows.late_rules import FOLLOWED, PAUSES, LateStep, judge_late, pause_after

pytestmark = pytest.mark.requirement("X9")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAYS = st.floats(-30.0, 1.0).map(lambda days: NOW + timedelta(days=days))
OWED = Owed("c1", 0, "CP1", "1.1", sent=True, since=NOW - timedelta(hours=1))
THERE = LateFacts(OWED, "1.1", "active", True, "", RouteFacts("node-1", "boot-1", 1))
ROUND = timedelta(minutes=5)

owed = st.builds(
    Owed,
    st.just("c1"),
    st.just(0),
    st.just("CP1"),
    st.just("1.1"),
    sent=st.booleans(),
    since=DAYS,
    tries=st.integers(0, 5),
    next_at=st.none() | DAYS,
)
facts = st.builds(
    LateFacts,
    owed,
    st.sampled_from([None, "1.0", "1.1"]),
    st.sampled_from(["active", "retired"]),
    st.booleans(),
    st.sampled_from(["", "a car is there"]),
    st.none() | st.just(THERE.route),
)


@pytest.mark.parametrize(
    ("found", "step", "words"),
    [
        (THERE, LateStep.COMPARE, ""),
        (replace(THERE, owed=replace(OWED, sent=False)), LateStep.FORGET, ""),
        (replace(THERE, lifecycle="retired", in_service=False), LateStep.END, "it is retired by now"),
        (replace(THERE, runs="1.0"), LateStep.END, "it runs 1.0 by now"),
        (replace(THERE, runs="1.0", route=None), LateStep.END, "it runs 1.0 by now"),
        (replace(THERE, runs=None), LateStep.WAIT, "its version is not read"),
        (replace(THERE, route=None), LateStep.WAIT, "it is offline"),
        (replace(THERE, busy="a car is there"), LateStep.WAIT, "a car is there"),
        (replace(THERE, owed=replace(OWED, next_at=NOW + ROUND)), LateStep.WAIT, "a moment ago"),
        (replace(THERE, owed=replace(OWED, next_at=NOW)), LateStep.COMPARE, ""),
        (replace(THERE, owed=replace(OWED, tries=2)), LateStep.COMPARE, ""),
        (replace(THERE, owed=replace(OWED, tries=3)), LateStep.GIVE_UP, "asked 3 times"),
        (replace(THERE, owed=replace(OWED, tries=3), route=None), LateStep.GIVE_UP, "asked 3 times"),
        (replace(THERE, owed=replace(OWED, since=NOW - FOLLOWED)), LateStep.COMPARE, ""),
        (
            replace(THERE, owed=replace(OWED, since=NOW - FOLLOWED - ROUND), route=None),
            LateStep.GIVE_UP,
            "in 14 days",
        ),
    ],
)
def test_each_row_of_the_table(found: LateFacts, step: LateStep, words: str) -> None:
    verdict = judge_late(found, NOW)
    assert verdict.step is step
    assert words in verdict.words


@given(facts)
def test_only_who_runs_the_version_of_its_order_is_there_and_free_is_asked(found: LateFacts) -> None:
    if judge_late(found, NOW).step is LateStep.COMPARE:
        assert (found.runs, found.busy, found.owed.sent) == (found.owed.version, "", True)
        assert found.in_service
        assert found.route is not None
        assert found.owed.tries < len(PAUSES)
        assert found.owed.next_at is None or found.owed.next_at <= NOW


@given(facts)
def test_whatever_ends_it_unasked_says_why(found: LateFacts) -> None:
    verdict = judge_late(found, NOW)
    assert bool(verdict.words) is (verdict.step not in (LateStep.COMPARE, LateStep.FORGET))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(["there", "away", "busy"]), min_size=1, max_size=20))
def test_it_is_asked_three_times_at_the_most_and_left_within_its_days(habits: list[str]) -> None:
    """Round for round, one that never tells; what it does repeats."""
    found, now, asked, step = THERE, NOW, 0, LateStep.WAIT
    for what in islice(cycle(habits), 5000):
        route, busy = (None if what == "away" else THERE.route), ("a car" if what == "busy" else "")
        step = judge_late(replace(found, route=route, busy=busy), now).step
        if step is LateStep.GIVE_UP:
            break
        if step is LateStep.COMPARE:
            asked += 1
            again = now + pause_after(asked)
            found = replace(found, owed=replace(found.owed, tries=asked, next_at=again))
        now += ROUND
    assert asked <= 3
    assert step is LateStep.GIVE_UP
    assert now - OWED.since <= FOLLOWED + ROUND


def test_the_pauses_grow() -> None:
    assert [pause_after(tries) for tries in (1, 2, 3, 4)] == [*PAUSES, PAUSES[-1]]
    assert PAUSES[0] < PAUSES[1]
