"""The penalty box: who is set apart, for how long, and what counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.campaign import Outcome, Target, TargetPhase
from storage.penalty import Penalty, PenaltyPolicy, weigh

pytestmark = pytest.mark.requirement("R27")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CP = "CP001"


def target(hours_ago: float, outcome: Outcome, attempt: int = 1, campaign: str = "c1") -> Target:
    return Target(
        campaign,
        0,
        0,
        CP,
        "s",
        "a",
        "1",
        "2",
        phase=TargetPhase.DONE,
        outcome=outcome,
        reason="it reported InstallationFailed",
        attempt=attempt,
        finished_at=NOW - timedelta(hours=hours_ago),
    )


FAILED = Outcome.FAILED


def box(*history: Target, known: Penalty | None = None, stopped: tuple[str, ...] = ()) -> Penalty | None:
    return weigh(CP, history, stopped, known, NOW)


def test_failures_of_several_campaigns_add_up() -> None:
    assert box(target(1, FAILED, 2)) is None, "one campaign with its two attempts sets nobody apart"
    penalty = box(target(1, FAILED, 1, "c2"), target(9, Outcome.SILENT, 2))
    assert penalty is not None
    assert (penalty.failures, penalty.until - NOW) == (3, timedelta(hours=24))
    assert "3 attempts in 2 campaigns failed" in penalty.sentence
    assert "ampwave charger retry CP001" in penalty.sentence


@pytest.mark.parametrize("other", [Outcome.DEFERRED, Outcome.SKIPPED, Outcome.CANCELLED])
def test_a_deferral_is_no_failure(other: Outcome) -> None:
    assert box(*[target(hour, other, 5) for hour in range(9)]) is None


def test_a_success_wipes_out_what_was_before() -> None:
    assert box(target(1, FAILED, 2), target(2, Outcome.UPDATED), target(3, FAILED, 9)) is None


def test_a_campaign_that_was_stopped_says_more_of_its_image_than_of_the_charger() -> None:
    failed = [target(1, FAILED, 2, "bad"), target(5, FAILED, 2)]
    assert box(*failed) is not None
    assert box(*failed, stopped=("bad",)) is None


def test_the_second_time_lasts_twice_as_long_and_what_was_counted_does_not_count_again() -> None:
    known = Penalty(CP, NOW - timedelta(hours=30), NOW - timedelta(hours=6), 3, 1, "failed")
    assert box(target(30, FAILED, 3), known=known) is None
    again = box(target(1, FAILED, 3), target(30, FAILED, 3), known=known)
    assert again is not None
    assert (again.times, again.until - NOW) == (2, timedelta(hours=48))


def test_what_a_person_forgave_does_not_count_again() -> None:
    known = Penalty(CP, NOW - timedelta(hours=30), NOW + timedelta(hours=6), 3, 1, "failed")
    forgiven = replace(known, released_at=NOW - timedelta(hours=2), released_by="ada")
    assert box(target(3, FAILED, 9), known=forgiven) is None
    assert box(target(1, FAILED, 3), known=forgiven) is not None


def test_one_that_is_set_apart_already_is_not_set_apart_anew() -> None:
    known = Penalty(CP, NOW - timedelta(hours=3), NOW + timedelta(hours=1), 3, 1, "failed")
    assert box(target(1, FAILED, 9), known=known) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(Outcome), st.integers(1, 5), st.sampled_from(["a", "b", "c"])), max_size=20
    ),
    st.integers(1, 6),
    st.integers(1, 60),
)
def test_nobody_is_set_apart_for_ever_and_nobody_without_enough_failures(
    history: list[tuple[Outcome, int, str]], limit: int, times: int
) -> None:
    rows = [target(hour, outcome, attempt, name) for hour, (outcome, attempt, name) in enumerate(history, 1)]
    known = Penalty(CP, NOW - timedelta(days=300), NOW - timedelta(days=200), 3, times, "failed")
    policy = PenaltyPolicy(attempts=limit)
    penalty = weigh(CP, rows, (), known, NOW, policy)
    lost = sum(attempt for outcome, attempt, _ in history if outcome in (FAILED, Outcome.SILENT))
    if penalty is None:
        return
    assert lost >= penalty.failures >= limit
    assert timedelta() < penalty.until - NOW <= timedelta(hours=policy.longest_hours)
    assert penalty.holds(NOW)
    assert not penalty.holds(penalty.until)
