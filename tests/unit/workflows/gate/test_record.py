"""Verdicts with health are computed again, byte for byte, by anybody who has their inputs."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from pydantic import TypeAdapter

from activities.evidence import Counts
from activities.facts import GroupFacts, WaveFacts
from activities.sampling import summarise
from storage.campaign import Decision, GatePolicy, VerdictWord
from storage.canonical import canonical_json, sha256_hex
from tests.support.gate_samples import fleet
from tests.unit.workflows.facts import NOW
from workflows.gate import POLICIES, RULES, Health, History, Look, decision, recompute

HEALTHY = GroupFacts(size=100, known=100, offline=2, reporting=98, faulted=1)
FACTS = WaveFacts(
    wave=0, total=20, updated=20, treated=GroupFacts(20, 20, 0, 20, 0), control=HEALTHY, baseline=HEALTHY
)
POLICY = GatePolicy(health=POLICIES["fast"])
OLD_RECORDS = TypeAdapter(list[Decision])


def through_json(stored: Decision) -> Decision:
    """As it is exported, and read on another machine."""
    copied = {name: json.loads(json.dumps(getattr(stored, name))) for name in ("inputs", "result")}
    return replace(stored, **copied)


@pytest.mark.parametrize("harm", [0.0, 0.3])
@pytest.mark.requirement("R54", "X17")
def test_a_verdict_with_its_evidence_is_computed_again(harm: float) -> None:
    evidence = summarise(fleet(Random(5), 40, 120, harm=harm))
    made = decision(Look("c1", 0, 1, NOW), POLICY, FACTS, Health(evidence, History()))
    assert made.verdict is (VerdictWord.ABORT if harm else VerdictWord.PROCEED)
    assert recompute(through_json(made)) == made


@pytest.mark.requirement("R54", "X17")
def test_numbers_beyond_64_bits_survive_the_record() -> None:
    sample = fleet(Random(5), 100, 300)
    huge = Counts([row * 1_000_000 for row in range(400)], [10**9] * 400)
    evidence = summarise(replace(sample, signals={**sample.signals, "protocol_errors": huge}))
    made = decision(Look("c1", 0, 1, NOW), POLICY, FACTS, Health(evidence, History()))
    assert recompute(through_json(made)) == made


@pytest.mark.requirement("R44")
def test_health_that_could_not_be_measured_holds() -> None:
    made = decision(Look("c1", 0, 1, NOW), POLICY, FACTS, Health(None, History()))
    assert made.verdict is VerdictWord.HOLD
    assert made.reason == "Health could not be measured."
    assert recompute(through_json(made)) == made


@pytest.mark.requirement("R54")
def test_records_that_versions_before_wrote_still_hold() -> None:
    """Three verdicts as gate-4 made them; 2 of 20 failed attempts stopped a campaign then."""
    stored = OLD_RECORDS.validate_json(Path(__file__).with_name("gate-4.json").read_bytes())
    assert [one.verdict.value for one in stored] == ["abort", "hold", "abort"]
    for one in stored:
        assert recompute(one) == one
    today = recompute(replace(stored[0], inputs={**stored[0].inputs, "rules": RULES}))
    assert today.verdict is VerdictWord.HOLD


@pytest.mark.requirement("R54")
def test_a_policy_without_health_is_recorded_as_before_there_was_any() -> None:
    made = decision(Look("c1", 0, 1, NOW), GatePolicy(), FACTS)
    assert "health" not in made.inputs["policy"]
    assert "evidence" not in made.inputs
    old = {**made.inputs, "rules": "gate-3"}
    assert recompute(replace(made, inputs=old)).inputs_sha256 == sha256_hex(canonical_json(old))


@pytest.mark.requirement("R54")
def test_forged_evidence_does_not_compute() -> None:
    evidence = summarise(fleet(Random(5), 40, 120, harm=0.3))
    made = decision(Look("c1", 0, 1, NOW), POLICY, FACTS, Health(evidence, History()))
    forged = through_json(made)
    for limit in forged.inputs["policy"]["health"]["signals"]:
        limit["threshold"] = 1.0
    again = recompute(forged)
    assert again.inputs_sha256 != made.inputs_sha256
    assert again.verdict is not VerdictWord.ABORT
