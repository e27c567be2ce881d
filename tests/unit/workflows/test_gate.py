from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.facts import GroupFacts, WaveFacts
from storage.campaign import Decision, GatePolicy, VerdictWord
from storage.errors import AmpwaveError
from tests.unit.workflows.facts import NOW
from workflows.gate import (
    GATE,
    ROLLBACK,
    AllOf,
    CheckResult,
    EmptyGate,
    Look,
    assess,
    assess_rollback,
    chance,
    combine,
    decision,
    judged,
    recompute,
    worst,
)
from workflows.gate.outcomes import assess_rehearsal

POLICY = GatePolicy()
LOOK = Look("c1", 0, 1, NOW)
PROCEED, HOLD, ABORT = VerdictWord.PROCEED, VerdictWord.HOLD, VerdictWord.ABORT
HEALTHY = GroupFacts(size=100, known=100, offline=2, reporting=98, faulted=1)
GOOD = WaveFacts(
    wave=0, total=20, updated=20, treated=GroupFacts(20, 20, 0, 20, 0), control=HEALTHY, baseline=HEALTHY
)


def word(**changes) -> VerdictWord:
    return assess(POLICY, replace(GOOD, **changes)).word


def test_a_good_wave_proceeds_and_says_why() -> None:
    verdict = assess(POLICY, GOOD)
    assert verdict.word is PROCEED
    assert verdict.reason == "0 of 20 attempts failed (at most 5 % may)."
    assert all(check.sentence.endswith((".", "?")) for check in verdict.checks)


@pytest.mark.requirement("R35", "R37")
def test_the_share_of_attempts_decides_not_the_size_of_the_group() -> None:
    assert word(total=1000, updated=16, failed=6, deferred=978) is ABORT
    assert word(total=100, updated=98, failed=2) is PROCEED


@pytest.mark.requirement("R35", "R43")
def test_a_share_above_the_limit_that_chance_explains_is_a_persons_business() -> None:
    verdict = assess(POLICY, replace(GOOD, updated=18, failed=2))
    assert verdict.word is HOLD
    assert verdict.reason == "2 of 20 attempts failed, more than 5 %. That may be chance."


@pytest.mark.requirement("R24")
def test_silence_and_reverting_are_failures() -> None:
    assert word(updated=14, silent=6) is ABORT
    assert word(updated=20, reverted=6) is ABORT


@pytest.mark.requirement("R36", "R43")
def test_too_few_attempts_are_inconclusive() -> None:
    small = GroupFacts(2, 2, 0, 2, 0)
    assert word(total=2, updated=2, treated=small) is HOLD
    assert word(total=2, updated=1, failed=1, treated=small) is HOLD
    assert word(total=0, updated=0, treated=GroupFacts()) is HOLD


def test_a_number_of_failures_stops_a_wave_of_any_size_only_where_the_plan_says_so() -> None:
    large = replace(GOOD, total=1000, updated=997, failed=3)
    assert assess(POLICY, large).word is PROCEED
    assert assess(replace(POLICY, early_stop_failures=3), large).word is ABORT


@pytest.mark.requirement("R39", "R38")
def test_faults_are_compared_with_the_chargers_not_updated_yet() -> None:
    sick = GroupFacts(20, 20, 0, 20, 6)
    assert word(treated=sick) is ABORT
    assert word(treated=sick, control=replace(HEALTHY, faulted=30)) is PROCEED, "the others are as sick"


@pytest.mark.requirement("R44")
def test_an_outage_of_everybody_is_not_the_firmwares_fault() -> None:
    away = GroupFacts(20, 20, 8, 12, 0)
    assert word(treated=away) is ABORT
    assert word(treated=away, control=GroupFacts(100, 100, 40, 60, 0)) is PROCEED
    assert word(treated=away, control=GroupFacts(100, 100, 90, 10, 0)) is HOLD


@pytest.mark.requirement("R43", "R44", "F104")
def test_no_data_is_never_a_pass() -> None:
    assert assess(POLICY, None).word is HOLD
    assert word(treated=GroupFacts(size=20)) is HOLD
    assert word(control=GroupFacts(), baseline=None) is HOLD
    assert word(unfinished=1) is HOLD


@pytest.mark.requirement("R43", "R44")
def test_updated_chargers_that_told_nothing_of_their_connectors_hold() -> None:
    verdict = assess(POLICY, replace(GOOD, treated=GroupFacts(20, 20, 0, 2, 0)))
    assert verdict.word is HOLD
    assert "18 of 20 updated told nothing" in verdict.reason
    assert word(treated=GroupFacts(20, 20, 0, 18, 0)) is PROCEED


@pytest.mark.requirement("R42")
def test_what_may_be_chance_holds() -> None:
    one_of_six = GroupFacts(6, 6, 0, 6, 1)
    facts = replace(GOOD, total=6, updated=6, treated=one_of_six, control=GroupFacts(54, 54, 0, 54, 0))
    verdict = assess(POLICY, facts)
    assert verdict.word is HOLD
    assert "may be chance" in verdict.reason
    assert assess(POLICY, replace(facts, treated=replace(one_of_six, faulted=2))).word is ABORT


def test_the_last_wave_is_compared_with_the_cohort_before_the_start() -> None:
    sick = GroupFacts(20, 20, 0, 20, 6)
    assert word(control=GroupFacts()) is PROCEED
    assert word(control=GroupFacts(), treated=sick) is ABORT


@pytest.mark.requirement("S38")
def test_a_failed_verification_aborts_whatever_else_holds() -> None:
    verdict = assess(POLICY, replace(GOOD, security_halt="CP1: directive refused"))
    assert verdict.word is ABORT
    assert "directive refused" in verdict.reason


@pytest.mark.requirement("R49")
def test_a_rollback_is_done_when_everybody_is_back() -> None:
    back = WaveFacts(wave=1000, total=5, updated=4, already_current=1)
    assert assess_rollback(POLICY, back).word is PROCEED
    assert assess_rollback(POLICY, replace(back, updated=3, unfinished=1)).word is HOLD
    assert assess_rollback(POLICY, None).word is HOLD
    assert assess_rollback(POLICY, replace(back, security_halt="forged")).word is ABORT


@pytest.mark.requirement("R48", "R49")
def test_a_rollback_waits_for_who_may_still_fall_back_by_itself() -> None:
    missing = WaveFacts(wave=1000, total=5, updated=4, failed=1)
    assert assess_rollback(POLICY, missing).word is HOLD
    assert assess_rollback(POLICY, replace(missing, recovered=1)).word is PROCEED
    assert assess_rollback(POLICY, replace(missing, recovered=1, reverted=1)).word is HOLD


def test_an_empty_gate_raises() -> None:
    with pytest.raises(EmptyGate):
        combine([])
    with pytest.raises(EmptyGate):
        AllOf(())(POLICY, GOOD)


words = st.sampled_from(list(VerdictWord))


@given(st.lists(words, min_size=1))
def test_the_worst_word_decides_and_speaks(given_words) -> None:
    verdict = combine(CheckResult(f"c{n}", word, f"s{n}") for n, word in enumerate(given_words))
    order = [PROCEED, HOLD, ABORT]
    assert order.index(verdict.word) == max(map(order.index, given_words))
    assert given_words[int(verdict.reason[1:])] is verdict.word


@given(words, words, words)
def test_worst_is_a_join(a, b, c) -> None:
    assert worst(a, b) is worst(b, a)
    assert worst(a, a) is a
    assert worst(a, worst(b, c)) is worst(worst(a, b), c)


@st.composite
def groups(draw) -> GroupFacts:
    size = draw(st.integers(0, 60))
    known = draw(st.integers(0, size))
    offline = draw(st.integers(0, known))
    reporting = draw(st.integers(0, known - offline))
    return GroupFacts(size, known, offline, reporting, draw(st.integers(0, reporting)))


counts = st.integers(0, 30)
wave_facts = st.builds(
    WaveFacts,
    wave=st.integers(0, 3),
    total=counts,
    unfinished=st.integers(0, 2),
    updated=counts,
    failed=counts,
    silent=counts,
    reverted=counts,
    recovered=counts,
    treated=groups(),
    control=groups(),
    baseline=st.none() | groups(),
    security_halt=st.sampled_from(["", "no"]),
)


@given(wave_facts)
@pytest.mark.requirement("R43")
def test_proceed_always_rests_on_enough_attempts_and_a_comparison(facts) -> None:
    if assess(POLICY, facts).word is PROCEED:
        assert facts.updated + facts.failed + facts.silent >= POLICY.min_attempts
        assert facts.treated.reporting > 0
        assert facts.control.reporting > 0 or facts.baseline is not None
        assert not facts.security_halt


@given(
    facts=st.none() | wave_facts, kind=st.sampled_from([GATE, ROLLBACK]), limit=st.sampled_from([0, 0.05, 1])
)
@pytest.mark.requirement("R54", "X17")
def test_a_decision_is_computed_again_bit_for_bit(facts, kind, limit) -> None:
    made = decision(Look("c1", 2, 3, NOW, kind), replace(POLICY, max_failure_share=limit), facts)
    assert recompute(made) == made


@pytest.mark.requirement("R54", "X17")
def test_a_forged_record_does_not_compute() -> None:
    made = decision(Look("c1", 0, 1, NOW), POLICY, replace(GOOD, updated=15, failed=5))
    forged = replace(made, verdict=PROCEED, reason="all fine")
    assert recompute(forged) != forged
    inputs = {**made.inputs, "facts": {**made.inputs["facts"], "failed": 0}}
    assert recompute(replace(made, inputs=inputs)).inputs_sha256 != made.inputs_sha256


def test_a_record_by_other_rules_is_not_judged_by_these() -> None:
    made = decision(Look("c1", 0, 1, NOW), POLICY, GOOD)
    other: Decision = replace(made, inputs={**made.inputs, "rules": "gate-0"})
    with pytest.raises(AmpwaveError, match="gate-0"):
        recompute(other)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_chance_is_a_probability_and_shrinks_with_the_excess(hit, miss, other_hit, other_miss) -> None:
    size, rest = hit + miss, other_hit + other_miss
    if not size or not rest:
        return
    tail, total = chance((hit, size), (other_hit, rest))
    assert 0 < tail <= total
    if miss and other_hit:
        smaller, same = chance((hit + 1, size), (other_hit - 1, rest))
        assert smaller <= tail
        assert same == total


@pytest.mark.requirement("R43")
def test_a_wave_that_was_cut_short_waits_for_a_person_however_well_the_others_did() -> None:
    facts = replace(GOOD, total=40, cancelled=20)
    record, verdict = judged(LOOK, POLICY, facts)
    assert verdict.word is HOLD
    assert verdict.reason == "The wave was stopped early, and 20 of its chargers were not tried."
    assert recompute(record) == record
    for rules in ("gate-5", "gate-4", "gate-3"):
        former, before = judged(LOOK, POLICY, facts, rules=rules)
        assert before.word is PROCEED, "as it was judged then"
        assert recompute(former) == former


@pytest.mark.requirement("X11")
def test_a_rehearsal_is_passed_by_all_who_take_part_and_never_by_nobody() -> None:
    assert assess_rehearsal(POLICY, WaveFacts(900, total=2, updated=2)).word is PROCEED
    assert assess_rehearsal(POLICY, WaveFacts(900, total=2, updated=1, failed=1, recovered=1)).word is HOLD
    fell_back_by_itself = WaveFacts(900, total=1, already_current=1)
    assert assess_rehearsal(POLICY, fell_back_by_itself).word is HOLD
    assert assess_rehearsal(POLICY, WaveFacts(900, total=2, updated=2, reverted=1)).word is HOLD
    assert assess_rehearsal(POLICY, WaveFacts(900, total=2, updated=1, silent=1)).word is HOLD
    assert assess_rehearsal(POLICY, WaveFacts(900, total=2, updated=1, unfinished=1)).word is HOLD
    assert assess_rehearsal(POLICY, WaveFacts(900)).word is HOLD
    assert assess_rehearsal(POLICY, None).word is HOLD
    assert assess_rehearsal(POLICY, WaveFacts(900, total=2, updated=2, security_halt="key")).word is ABORT
