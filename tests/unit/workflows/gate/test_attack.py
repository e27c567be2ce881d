"""What an enemy, a broken counter or a careless hand may give a gate: it holds, or it is refused."""

import json
from dataclasses import fields, replace
from math import inf, nan
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.evidence import Arm, Cluster, Counts, Coverage, Evidence, History, SignalEvidence, Stratum
from activities.facts import GroupFacts, WaveFacts
from activities.sampling import summarise
from api.cli.verdicts import check_all
from storage.campaign import GatePolicy, VerdictWord
from storage.health_policy import HealthPolicy, SignalLimit, SignalRole
from tests.support.gate_samples import fleet
from tests.unit.workflows.facts import NOW
from workflows.gate import POLICIES, Health, Look, assess, decision, judge
from workflows.gate.policies import problems_of

BALANCED = POLICIES["balanced"]
PROCEED, HOLD = VerdictWord.PROCEED, VerdictWord.HOLD
WEIRD = st.sampled_from([nan, inf, -inf, -1.0, 0.0, 1e-308, 1e308, 0.5, 2.0])
COUNTS = st.one_of(st.integers(-5, 50), st.sampled_from([10**6, 10**18, -(10**18)]))
ARM = st.builds(Arm, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.tuples(COUNTS, COUNTS))
STRATUM = st.builds(Stratum, st.sampled_from(["A/1|", "B/2|x", "", "|"]), ARM, ARM, WEIRD, WEIRD)
CLUSTER = st.builds(Cluster, st.sampled_from(["", "A/1"]), COUNTS, WEIRD)
SIGNAL = st.builds(
    SignalEvidence,
    st.sampled_from(["session_failures", "unheard", "faults", "boot_loops", "nonsense"]),
    st.lists(STRATUM, max_size=3).map(tuple),
    st.lists(CLUSTER, max_size=2).map(tuple),
    st.booleans(),
)
COVERAGE = st.builds(Coverage, COUNTS, COUNTS, COUNTS, COUNTS)
EVIDENCE = st.builds(
    Evidence, COVERAGE, COVERAGE, st.lists(SIGNAL, max_size=4).map(tuple), st.booleans(), WEIRD
)


@given(EVIDENCE, st.integers(-1, 5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.requirement("R43", "R44")
def test_evidence_without_sense_never_opens_a_gate_and_never_breaks_it(evidence: Evidence, wave: int) -> None:
    found = judge(BALANCED, evidence, History(), wave)
    assert found.reason
    assert found.would_change
    if found.word is PROCEED:
        told = {one.signal for one in evidence.signals}
        assert {"session_failures", "unheard"} <= told
        assert evidence.treated.heard >= BALANCED.coverage * evidence.treated.chargers > 0


@pytest.mark.parametrize("field", [each.name for each in fields(HealthPolicy) if each.type in (float, int)])
@pytest.mark.parametrize("value", [nan, inf, -inf, -1])
def test_a_policy_out_of_range_is_refused_at_planning(field: str, value: float) -> None:
    assert problems_of(replace(BALANCED, **{field: value})), field


@pytest.mark.parametrize("threshold", [nan, inf, -inf, -0.01, 0.0, 1.01])
@pytest.mark.parametrize("weight", [1.0, nan, inf, 0.0, -1.0])
def test_thresholds_and_weights_out_of_range_are_refused(threshold: float, weight: float) -> None:
    limit = SignalLimit("session_failures", threshold, SignalRole.PRIMARY, weight)
    told = problems_of(replace(BALANCED, signals=(limit,)))
    assert any("threshold" in each for each in told)
    assert any("weight" in each for each in told) is (weight != 1.0)


@given(st.lists(st.tuples(WEIRD, st.sampled_from(list(SignalRole)), WEIRD), max_size=4), WEIRD, WEIRD)
@settings(max_examples=30, deadline=None)
def test_a_policy_that_nobody_checked_still_breaks_nothing(
    limits: list[tuple[float, SignalRole, float]], growth: float, false_stop: float
) -> None:
    names = ("session_failures", "unheard", "faults", "nonsense")
    signals = tuple(SignalLimit(name, *each) for name, each in zip(names, limits, strict=False))
    policy = replace(BALANCED, signals=signals, growth=growth, false_stop=false_stop)
    found = judge(policy, summarise(fleet(Random(3), 12, 40)), History())
    if not any(limit.role is SignalRole.PRIMARY for limit in signals):
        assert found.word is not PROCEED


@pytest.mark.requirement("R40")
def test_thousands_of_looks_at_the_same_chargers_spend_once() -> None:
    evidence, history = summarise(fleet(Random(3), 20, 60)), History()
    first = judge(BALANCED, evidence, history)
    for _ in range(300):
        history = judge(BALANCED, evidence, history).history
    assert history.epochs == first.history.epochs
    assert len(history.epochs) == 1


@pytest.mark.requirement("R44")
def test_a_source_that_dies_half_way_holds() -> None:
    """Sessions were counted before the update, and hardly any since, in both groups."""
    sample = fleet(Random(3), 60, 200)
    count = len(sample.strata)
    dead = Counts([0] * count, [40] * count, [8] * count, [80] * count)
    found = judge(
        BALANCED, summarise(replace(sample, signals={**sample.signals, "session_failures": dead})), History()
    )
    assert found.word is HOLD
    assert "does the source still count" in found.reason


def test_counters_that_reset_hold_as_a_measurement_that_went_wrong() -> None:
    evidence = summarise(fleet(Random(3), 20, 60))
    first = evidence.signals[0]
    broken = replace(first.strata[0], treated=replace(first.strata[0].treated, hits=-7))
    signals = (replace(first, strata=(broken, *first.strata[1:])), *evidence.signals[1:])
    found = judge(BALANCED, replace(evidence, signals=signals), History())
    assert (found.word, found.decided_by) == (HOLD, "measurement")
    assert "contradict" in found.reason


@pytest.mark.parametrize("behind", [nan, inf, 1e9])
def test_a_clock_that_jumped_holds(behind: float) -> None:
    evidence = replace(summarise(fleet(Random(3), 20, 60)), behind_seconds=behind)
    assert judge(BALANCED, evidence, History()).word is HOLD


@given(st.integers(-3, 30), st.integers(-3, 30), st.integers(-3, 30), WEIRD)
@settings(max_examples=30, deadline=None)
def test_outcomes_without_sense_never_open_a_gate(updated: int, failed: int, away: int, share: float) -> None:
    group = GroupFacts(max(updated, 0), max(updated, 0), max(min(away, updated), 0), max(updated, 0), 0)
    facts = WaveFacts(0, total=30, updated=updated, failed=failed, treated=group, control=group)
    found = assess(replace(GatePolicy(), max_failure_share=share), facts)
    if updated + failed < GatePolicy().min_attempts:
        assert found.word is not PROCEED


@pytest.mark.requirement("X17")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("evidence", "signals", 0, "strata", 0, "squares"), nan),
        (("evidence", "signals", 0, "strata", 0, "treated", "exposure"), 0),
        (("evidence", "signals", 0, "strata", 0, "treated", "hits"), -1),
        (("evidence", "signals", 0, "strata"), "no list"),
        (("evidence", "treated", "minutes"), 10**30),
        (("policy", "health", "signals"), []),
        (("policy", "health", "false_stop"), "NaN"),
        (("facts", "treated", "known"), -4),
        (("rules",), "gate-99"),
        ((), None),
    ],
)
def test_a_forged_export_is_told_apart_without_a_crash(path: tuple[Any, ...], value: Any) -> None:
    groups = GroupFacts(40, 40, 0, 40, 0)
    facts = WaveFacts(0, total=20, updated=20, treated=groups, control=groups)
    health = Health(summarise(fleet(Random(5), 20, 60)), History())
    made = decision(Look("c1", 0, 1, NOW), GatePolicy(health=BALANCED), facts, health)
    record: dict[str, Any] = {
        name: getattr(made, name)
        for name in ("wave", "look", "kind", "reason", "inputs_sha256", "result_sha256")
    }
    record |= {"decided_at": NOW.isoformat(), "verdict": made.verdict.value}
    record |= {"inputs": json.loads(json.dumps(made.inputs)), "result": json.loads(json.dumps(made.result))}
    assert check_all("c1", [record])[0]["holds"]
    holder: Any = record["inputs"]
    for step in path[:-1]:
        holder = holder[step]
    if path:
        holder[path[-1]] = value
    else:
        record["inputs"] = {}
    assert not check_all("c1", [record])[0]["holds"]
