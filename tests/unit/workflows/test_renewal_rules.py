"""A wave of renewals and the next one; how a fleet is spread and held back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.renewals import RenewalRules, due_at
from storage.renewal import RenewalOutcome, RenewalPlan, WaveCounts, backoff, wave_sizes
from tests.support.pki import DAY, NOW
from workflows.renewal_rules import GateVerdict, judge_wave, passes_already

PLAN = RenewalPlan("all", max_failed_share=0.1)


def counts(**outcomes: int) -> WaveCounts:
    return WaveCounts(0, outcomes)


@pytest.mark.requirement("F40")
@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (counts(renewed=9, taken=1), GateVerdict.PROCEED),
        (counts(renewed=9, failed=1), GateVerdict.PROCEED),
        (counts(renewed=8, failed=1, refused=1), GateVerdict.HOLD),
        (counts(deferred=5), GateVerdict.HOLD),
        (counts(), GateVerdict.HOLD),
        (counts(renewed=99, lost=1), GateVerdict.ABORT),
    ],
)
def test_what_a_wave_says(found: WaveCounts, verdict: GateVerdict) -> None:
    assert judge_wave(found, PLAN).verdict is verdict


@given(st.dictionaries(st.sampled_from([each.value for each in RenewalOutcome]), st.integers(0, 50)))
def test_no_wave_with_a_lost_charger_or_without_a_good_one_passes(found: dict[str, int]) -> None:
    verdict = judge_wave(WaveCounts(0, found), PLAN).verdict
    if found.get("lost", 0):
        assert verdict is GateVerdict.ABORT
    elif not found.get("renewed", 0) + found.get("taken", 0):
        assert verdict is GateVerdict.HOLD


@given(st.integers(0, 5000), st.integers(1, 50), st.integers(1, 20))
def test_waves_hold_everybody_once_a_canary_first(chargers: int, canary: int, growth: int) -> None:
    sizes = wave_sizes(chargers, RenewalPlan("all", canary=canary, growth=growth))
    assert sum(sizes) == chargers
    assert all(size > 0 for size in sizes)
    assert not sizes or sizes[0] == min(canary, chargers)


@pytest.mark.requirement("S56")
def test_chargers_are_spread_over_days_each_always_on_its_own() -> None:
    rules, ends = RenewalRules(), NOW + 60 * DAY
    days = [due_at(f"CP-{number}", ends, rules) for number in range(200)]
    assert days == [due_at(f"CP-{number}", ends, rules) for number in range(200)]
    assert all(timedelta(0) <= ends - rules.before - day <= rules.jitter for day in days)
    assert len({day.date() for day in days}) >= 9


@pytest.mark.requirement("S56")
def test_pauses_double_and_end() -> None:
    assert [backoff(each, 30).total_seconds() for each in (1, 2, 3, 4, 50)] == [30, 60, 120, 240, 3600]


@pytest.mark.requirement("F40")
@pytest.mark.parametrize(
    ("left", "outcomes", "at_work", "passes"),
    [
        (1, {"renewed": 9}, 0, True),
        (1, {"renewed": 9}, 1, False),
        (2, {"renewed": 8}, 0, False),
        (1, {"renewed": 8, "failed": 1}, 0, False),
        (1, {}, 0, False),
        (0, {"renewed": 9}, 0, False),
        (1, {"renewed": 90, "lost": 1}, 0, False),
    ],
)
def test_a_few_that_are_away_hold_no_wave_up_unless_they_could_change_its_verdict(
    left: int, outcomes: dict[str, int], at_work: int, passes: bool
) -> None:
    """One in an attempt may be lost by it, and one lost is too many here."""
    assert passes_already(WaveCounts(left, outcomes), PLAN, at_work) is passes


@given(
    st.dictionaries(st.sampled_from([each.value for each in RenewalOutcome]), st.integers(0, 50)),
    st.integers(0, 30),
    st.data(),
)
def test_what_passes_early_passes_whatever_becomes_of_the_rest(
    outcomes: dict[str, int], left: int, data: st.DataObject
) -> None:
    plan = RenewalPlan("all", max_failed_share=0.3, max_lost=2)
    at_work = data.draw(st.integers(0, left))
    if not passes_already(WaveCounts(left, outcomes), plan, at_work):
        return
    ends = dict(outcomes)
    for number in range(left):
        allowed = (
            list(RenewalOutcome) if number < at_work else [RenewalOutcome.RENEWED, RenewalOutcome.FAILED]
        )
        end = data.draw(st.sampled_from(allowed)).value
        ends[end] = ends.get(end, 0) + 1
    assert judge_wave(WaveCounts(0, ends), plan).verdict is GateVerdict.PROCEED
