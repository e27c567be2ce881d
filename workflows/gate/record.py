"""The record: a verdict with everything it follows from, so that anybody computes it again (X17)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson
from pydantic import TypeAdapter

from activities.evidence import Evidence, History
from activities.facts import GroupFacts, WaveFacts
from storage.campaign import Decision, GatePolicy
from storage.canonical import ADDED, canonical_json, sha256_hex
from storage.errors import AmpwaveError
from workflows.gate.judge import judge
from workflows.gate.outcomes import assess, assess_rollback
from workflows.gate.words import CheckResult, Verdict, combine

RULES = "gate-4"
"""Name of this version of the rules; stored with each decision, raised when a rule changes."""
_UNCHANGED = frozenset({"gate-3", RULES})
"""Rules that this version judges by: gate-4 added health, and changed nothing where none is asked for."""

GATE = "gate"
ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class GateInputs:
    """Everything a verdict follows from."""

    rules: str
    policy: GatePolicy
    facts: WaveFacts | None
    evidence: Evidence | None = field(default=None, metadata=ADDED)
    history: History | None = field(default=None, metadata=ADDED)
    """What earlier looks spent; only where the policy asks for health."""


def assess_wave(inputs: GateInputs) -> Verdict:
    """Outcomes, and health where the policy asks for it."""
    outcomes, health = assess(inputs.policy, inputs.facts), inputs.policy.health
    if health is None:
        return outcomes
    wave = inputs.facts.wave if inputs.facts else 0
    found = judge(health, inputs.evidence, inputs.history or History(), wave)
    checks = (*outcomes.checks, CheckResult("health", found.word, found.reason))
    return replace(combine(checks), health=found)


_JUDGES: dict[str, Callable[[GateInputs], Verdict]] = {
    GATE: assess_wave,
    ROLLBACK: lambda inputs: assess_rollback(inputs.policy, inputs.facts),
}
_INPUTS: TypeAdapter[GateInputs] = TypeAdapter(GateInputs)


@dataclass(frozen=True, slots=True)
class Look:
    """Which look at which wave of which campaign."""

    campaign_id: str
    wave: int
    look: int
    decided_at: datetime
    kind: str = GATE


@dataclass(frozen=True, slots=True)
class Health:
    """What a look at health is given."""

    evidence: Evidence | None
    history: History


def decision(
    look: Look, policy: GatePolicy, facts: WaveFacts | None, health: Health | None = None
) -> Decision:
    """Judge, and record the verdict with its inputs and both hashes."""
    return judged(look, policy, facts, health)[0]


def judged(
    look: Look, policy: GatePolicy, facts: WaveFacts | None, health: Health | None = None
) -> tuple[Decision, Verdict]:
    """The record, and the verdict in it."""
    evidence, history = (health.evidence, health.history) if health else (None, None)
    return _judged(look, GateInputs(RULES, policy, facts, evidence, history))


def _judged(look: Look, given: GateInputs) -> tuple[Decision, Verdict]:
    # Through JSON and back first, so that 0 and 0.0 in a plan lead to the same bytes now and later.
    inputs = _INPUTS.validate_python(orjson.loads(canonical_json(given)))
    verdict = _JUDGES[look.kind](inputs)
    inputs_bytes, result_bytes = canonical_json(inputs), canonical_json(verdict)
    record = Decision(
        campaign_id=look.campaign_id,
        wave=look.wave,
        look=look.look,
        decided_at=look.decided_at,
        kind=look.kind,
        verdict=verdict.word,
        reason=verdict.reason,
        inputs=orjson.loads(inputs_bytes),
        inputs_sha256=sha256_hex(inputs_bytes),
        result=orjson.loads(result_bytes),
        result_sha256=sha256_hex(result_bytes),
    )
    return record, verdict


def recompute(stored: Decision) -> Decision:
    """The decision that the stored inputs lead to now; equal to ``stored``, or the record is not true.

    Raises AmpwaveError if the inputs were judged by rules that this version does not have.
    """
    inputs = _INPUTS.validate_python(stored.inputs)
    if inputs.rules not in _UNCHANGED or stored.kind not in _JUDGES:
        raise AmpwaveError(
            f"This decision was made by the rules {inputs.rules!r} for {stored.kind!r}.",
            hint=f"This version has {RULES!r}; verify it with the version that decided.",
        )
    look = Look(stored.campaign_id, stored.wave, stored.look, stored.decided_at, stored.kind)
    return _judged(look, inputs)[0]


def with_context(facts: WaveFacts, baseline: GroupFacts | None, security_halt: str) -> WaveFacts:
    """Measured facts, with what only the campaign knows."""
    return replace(facts, baseline=baseline, security_halt=security_halt)
