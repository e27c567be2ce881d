"""Simulated campaigns: the same seed, the same campaign; harm only where the release runs; the real gate."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from activities.facts import GroupFacts, WaveFacts
from storage.campaign import GatePolicy, VerdictWord, WavePlan
from workflows.gate import POLICIES
from workflows.gate.record import RULES, GateInputs, assess_wave
from workflows.trial import (
    HARMS,
    NO_HARM,
    Ending,
    FleetShape,
    GateRule,
    Harm,
    Outcome,
    PlanShape,
    Says,
    Tally,
    View,
    Wilson,
    Word,
    build,
    run,
    score,
    waves_of,
)
from workflows.trial.rule import Outcomes
from workflows.trial.world import BASELINE_HOURS, Track

SMALL = FleetShape(chargers=120, sites=30)
USUAL = GatePolicy()
PLAN = PlanShape((0.25, 0.75), max_days=12)


class Patient:
    """Goes on after a day, whatever it sees."""

    def attempted(self, tally: Tally) -> str:
        assert tally.attempts <= tally.group
        return ""

    def look(self, view: View, waited: int) -> Says:
        assert view.now <= view.world.hours
        return Says(Word.GO) if waited >= 24 else Says(Word.WAIT, again=6)


class Careless:
    """Stops at the first failed attempt."""

    def attempted(self, tally: Tally) -> str:
        return "one failed" if tally.failed else ""

    def look(self, view: View, waited: int) -> Says:
        return Says(Word.GO)


@given(
    st.lists(st.integers(0, 50)),
    st.lists(st.integers(0, 50)),
    st.integers(-5, 55),
    st.integers(-5, 55),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_track_counts_what_lies_within(
    hits: list[int], cases: list[int], since: int, until: int, once: bool
) -> None:
    track = Track(sorted(hits), sorted(cases), once=once)
    found = sum(since <= hour < until for hour in hits)
    if once:
        assert track.count(since, until) == (int(found > 0), int(until > since))
    else:
        assert track.count(since, until) == (found, sum(since <= hour < until for hour in cases))


def test_the_same_seed_is_the_same_world_and_the_same_campaign() -> None:
    one, other = (build(SMALL, HARMS["sessions"], 12, 5) for _ in range(2))
    assert one == other
    assert run(one, PLAN, GateRule(POLICIES["fast"])) == run(other, PLAN, GateRule(POLICIES["fast"]))
    assert build(SMALL, HARMS["sessions"], 12, 6) != one


@pytest.mark.parametrize("name", sorted(HARMS))
def test_a_release_only_adds_to_what_happens_without_it(name: str) -> None:
    world = build(SMALL, HARMS[name], 12, 5)
    span = (BASELINE_HOURS, world.hours)
    more = 0
    for unit in world.units:
        assert list(unit.old) == list(unit.new)
        for signal, track in unit.old.items():
            (before, cases), (after, same) = track.count(*span), unit.new[signal].count(*span)
            assert after >= before
            assert cases == same
            more += after > before
        if not unit.harmed:
            assert unit.new is unit.old
    assert (more > 0) is (name != "installs")


@pytest.mark.requirement("X5")
def test_harm_is_as_large_as_it_says() -> None:
    world = build(FleetShape(), HARMS["sessions"], 28, 3)
    span = (BASELINE_HOURS, world.hours)
    old = [unit.old["session_failures"].count(*span) for unit in world.units]
    new = [unit.new["session_failures"].count(*span) for unit in world.units]
    sessions = sum(cases for _, cases in old)
    added = (sum(hits for hits, _ in new) - sum(hits for hits, _ in old)) / sessions
    assert added == pytest.approx(0.05, abs=0.005)


def test_only_the_model_and_the_hours_that_harm_names() -> None:
    world = build(SMALL, HARMS["one-model"], 12, 5)
    assert {unit.model.name for unit in world.units if unit.harmed} == {"Acme/DC150"}
    night = build(SMALL, HARMS["after-hours"], 12, 5)
    for unit in night.units:
        added = set(unit.new["session_failures"].hits) - set(unit.old["session_failures"].hits)
        assert all(hour % 24 >= 20 or hour % 24 < 6 for hour in added)


def test_both_groups_are_watched_through_the_same_hours() -> None:
    world = build(SMALL, NO_HARM, 12, 5)
    view = View(world, waves_of(world, PLAN))
    for place, unit in enumerate(view.waves[0]):
        view.attempt(unit, BASELINE_HOURS + place % 5)
    view.now = BASELINE_HOURS + 24
    rows = view.rows()
    for model in {row.unit.model.name for row in rows}:
        own = {row.since for row in rows if row.updated and row.unit.model.name == model}
        assert {row.since for row in rows if not row.updated and row.unit.model.name == model} <= own
    failed = [unit.name for unit in view.waves[0] if not unit.installs]
    assert not {row.unit.name for row in rows} & set(failed)
    evidence = view.evidence()
    assert {each.signal for each in evidence.signals} >= {
        limit.signal for limit in POLICIES["balanced"].signals if limit.signal != "probes"
    }


@pytest.mark.requirement("R38", "X5")
def test_the_gate_stops_a_bad_release_and_lets_a_good_one_through() -> None:
    bad = run(build(SMALL, Harm("bad", sessions=0.4), 12, 5), PLAN, GateRule(POLICIES["balanced"]))
    assert (bad.ending, bad.wave) == (Ending.STOPPED, 0)
    assert bad.harmed == bad.updated <= 30
    assert "chance" in bad.reason
    good = run(build(SMALL, NO_HARM, 12, 5), PLAN, GateRule(POLICIES["balanced"]))
    assert good.ending is Ending.COMPLETED
    assert good.harmed == 0


@pytest.mark.requirement("R47")
def test_a_bad_model_leaves_and_the_others_go_on() -> None:
    world = build(SMALL, Harm("bad", sessions=0.6, model="Acme/DC150"), 12, 5)

    class Excluding(Patient):
        def look(self, view: View, waited: int) -> Says:
            says = super().look(view, waited)
            return says if waited else replace(says, without=("Acme/DC150",), reason="it is bad")

    found = run(world, PLAN, Excluding())
    assert (found.ending, found.reason, found.wave) == (Ending.STOPPED, "it is bad", 1)
    assert found.harmed < 20
    assert found.updated > 70


def test_failed_attempts_stop_within_the_wave() -> None:
    world = build(SMALL, Harm("bricks", installs=0.5), 12, 5)
    stopped = run(world, PLAN, Careless())
    assert stopped.ending is Ending.STOPPED
    assert stopped.harmed == 1
    whole = run(world, PLAN, Patient())
    assert whole.harmed == sum(not unit.installs for unit in world.units)
    assert whole.updated == len(world.units) - whole.harmed
    early = GateRule(POLICIES["balanced"], Outcomes(replace(USUAL, early_stop_failures=2)))
    assert run(world, PLAN, early).harmed == 2


@pytest.mark.requirement("R5")
def test_a_waves_own_limits_go_before_the_gates() -> None:
    """A first wave that may lose anything, and a second one that stops at its first failure."""
    world = build(SMALL, Harm("bricks", installs=0.5), 12, 5)
    waves = (
        WavePlan("canary", PLAN.shares[0], max_failure_share=1.0, min_attempts=1),
        WavePlan("rest", PLAN.shares[1], early_stop_failures=1),
    )
    rule = GateRule(POLICIES["balanced"], Outcomes(USUAL, waves))
    assert rule.attempted(Tally(20, 0, 20, wave=0)) == ""
    assert rule.attempted(Tally(60, 9, 1, wave=1)) == "1 chargers failed."
    lenient = run(world, PLAN, GateRule(POLICIES["balanced"], Outcomes(USUAL, waves)))
    assert lenient.harmed > run(world, PLAN, GateRule(POLICIES["balanced"], Outcomes(USUAL))).harmed


def test_a_campaign_that_comes_to_no_end_is_given_up() -> None:
    class Never(Patient):
        def look(self, view: View, waited: int) -> Says:
            return Says(Word.WAIT, "not yet", again=0)

    found = run(build(SMALL, NO_HARM, 2, 5), PLAN, Never())
    assert (found.ending, found.reason) == (Ending.GIVEN_UP, "not yet")


@given(st.integers(1, 300), st.integers(0, 300))
@settings(max_examples=50, deadline=None)
def test_intervals_are_those_of_scipy(of: int, hits: int) -> None:
    hits = min(hits, of)
    theirs = binomtest(hits, of).proportion_ci(method="wilson")
    ours = Wilson(hits, of)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


def test_a_score_of_nothing_and_of_some() -> None:
    assert score([]).stopped.high == 1.0
    ended = [
        Outcome(Ending.STOPPED, 0, 30, 10, 10, 0, 3, ""),
        Outcome(Ending.COMPLETED, 1, 90, 120, 120, 1, 9, ""),
    ]
    found = score(ended)
    assert (found.harmed, found.hours, found.hours_to_stop) == (65.0, 60.0, 30)
    assert (found.stopped.share, found.asked.share) == (0.5, 0.5)


# --- what the simulation found of the gate -------------------------------------------------------


def _facts(treated: GroupFacts, control: GroupFacts) -> WaveFacts:
    return WaveFacts(
        0, total=30, updated=30, treated=treated, control=control, baseline=GroupFacts(150, 150, 0, 150, 0)
    )


def _word(facts: WaveFacts, rules: str = RULES) -> VerdictWord:
    return assess_wave(GateInputs(rules, USUAL, facts)).word


@pytest.mark.requirement("R44")
def test_an_outage_of_everybody_is_not_harm() -> None:
    away, others = GroupFacts(30, 30, 30, 0, 0), GroupFacts(120, 120, 120, 0, 0)
    assert _word(_facts(away, others)) is VerdictWord.HOLD
    # Records of the time say what they said.
    assert _word(_facts(away, others), "gate-3") is VerdictWord.ABORT
    # Nobody is left to compare with: neither is it known, nor could anything be rolled back.
    assert _word(_facts(away, GroupFacts())) is VerdictWord.HOLD
    # Those of the updated alone who are away are the release's.
    assert _word(_facts(away, GroupFacts(120, 120, 1, 119, 0))) is VerdictWord.ABORT
    assert _word(_facts(GroupFacts(30, 30, 9, 21, 0), GroupFacts())) is VerdictWord.ABORT


@pytest.mark.requirement("R40", "R41")
def test_who_is_away_at_this_instant_does_not_stop_what_health_judges() -> None:
    facts = _facts(GroupFacts(30, 30, 4, 26, 0), GroupFacts(120, 120, 1, 119, 0))
    assert _word(facts) is VerdictWord.ABORT
    young = View(build(SMALL, NO_HARM, 2, 5), [[]]).evidence()
    with_health = GateInputs(RULES, replace(USUAL, health=POLICIES["balanced"]), facts, young)
    verdict = assess_wave(with_health)
    assert verdict.word is VerdictWord.HOLD
    assert any("Health decides" in check.sentence for check in verdict.checks)
    # Where health does not judge silence, who is silent stops the wave as before.
    sessions_only = replace(POLICIES["balanced"], signals=POLICIES["balanced"].signals[:1])
    assert assess_wave(replace(with_health, policy=replace(USUAL, health=sessions_only))).word is (
        VerdictWord.ABORT
    )
