"""Verdicts with health are computed again, byte for byte, by anybody who has their inputs."""

import json
import re
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
from workflows.gate.numbers import of_one

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


@pytest.mark.requirement("R54", "X17")
def test_what_gate_6_wrote_of_one_still_holds_and_is_written_in_the_singular_now() -> None:
    """Seven verdicts as gate-6 made them, of waves, a rehearsal and a rollback of one charger."""
    stored = OLD_RECORDS.validate_json(Path(__file__).with_name("gate-6.json").read_bytes())
    for one in stored:
        assert recompute(one) == one
    now = [recompute(replace(one, inputs={**one.inputs, "rules": RULES})) for one in stored]
    assert [one.verdict for one in now] == [one.verdict for one in stored], "the words stay"
    said = {check["sentence"] for one in now for check in one.result["checks"]} | {one.reason for one in now}
    assert {
        "1 charger has no outcome yet.",
        "The one charger has an outcome.",
        "1 attempt is enough (at least 1).",
        "1 attempt is fewer than 3.",
        "0 of 1 attempt failed (at most 5 % may).",
        "1 of 1 attempt failed, more than 5 %. That may be chance.",
        "1 charger failed, and 1 stops a wave.",
        "The wave was stopped early, and 1 of its chargers was not tried.",
        "0 of 1 updated charger is faulted, 0 of 8 of the others.",
        "The one that rehearses made it.",
        "The one updated charger is back.",
    } <= said
    assert not [each for each in said if re.search(r"(?<![\d.])1 (\w+ )?(attempts|chargers)\b", each)]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("1 of 9 updated chargers are back; the others", "1 of 9 updated chargers is back; the others"),
        ("1 of 4 chargers not updated are offline", "1 of 4 chargers not updated is offline"),
        ("1 of 1 chargers not updated yet were not heard", "1 of 1 charger not updated yet was not heard"),
        ("All 1 updated chargers are on one site", "The one updated charger is on one site"),
        ("compare the 1 updated ones with.", "compare the one updated with."),
        ("health passed in 1 waves before", "health passed in 1 wave before"),
        ("2 % of 60 minutes on 1 updated chargers, 3 % of 9 on 1 others", None),
        ("1 chargers are fewer than 5", "1 charger is fewer than 5"),
        ("11 of 21 attempts failed", "11 of 21 attempts failed"),
        ("0.1 others, 1,001 chargers have", "0.1 others, 1,001 chargers have"),
    ],
)
def test_one_is_said_of_one_and_of_nothing_else(wrong: str, right: str | None) -> None:
    shown = right or "2 % of 60 minutes on 1 updated charger, 3 % of 9 on 1 other"
    assert of_one(wrong) == shown


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
