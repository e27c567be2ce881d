"""The record: a verdict with everything it follows from, so that anybody computes it again (X17)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson
from pydantic import TypeAdapter

from activities.evidence import Evidence, History
from activities.facts import GroupFacts, WaveFacts
from storage.campaign import Decision, GatePolicy, VerdictWord
from storage.canonical import ADDED, canonical_json, sha256_hex
from storage.errors import AmpwaveError
from storage.health_policy import HealthPolicy, SignalRole
from workflows.gate.judge import judge
from workflows.gate.numbers import in_numbers
from workflows.gate.outcomes import (
    MAX_CONTROL_OFFLINE_SHARE,
    assess,
    assess_rehearsal,
    assess_rollback,
    whole,
)
from workflows.gate.words import CheckResult, Verdict, combine

RULES = "gate-7"
"""Name of this version of the rules; stored with each decision, raised when a rule or a sentence changes."""
_BEFORE_HEALTH = "gate-3"
_BEFORE_BOUND = frozenset({_BEFORE_HEALTH, "gate-4"})
_BEFORE_WHOLE = _BEFORE_BOUND | {"gate-5"}
_BEFORE_NUMBERS = _BEFORE_WHOLE | {"gate-6"}
_UNCHANGED = _BEFORE_NUMBERS | {RULES}
"""Rules that this version judges by: gate-4 added health, and tells an outage of everybody from harm. gate-5
bounds failed attempts by chance, and waits where a guard is in doubt. gate-6 lets no wave pass that was
cut short. gate-7 judges as gate-6 does, and says of one attempt or charger what is said of one."""

GATE = "gate"
ROLLBACK = "rollback"
REHEARSAL = "rehearsal"


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
    health = inputs.policy.health
    old = inputs.rules in _BEFORE_BOUND
    if inputs.rules == _BEFORE_HEALTH:
        outcomes = assess(inputs.policy, inputs.facts, old=old)
    else:
        outcomes = _concurrent(inputs, old=old)
    if inputs.facts is not None and inputs.rules not in _BEFORE_WHOLE:
        outcomes = combine((whole(inputs.policy, inputs.facts), *outcomes.checks))
    if health is None:
        return outcomes
    wave = inputs.facts.wave if inputs.facts else 0
    found = judge(health, inputs.evidence, inputs.history or History(), wave, doubting=not old)
    checks = (
        *(_left_to_health(check, health) for check in outcomes.checks),
        CheckResult("health", found.word, found.reason),
    )
    return replace(combine(checks), health=found)


_SIGNAL_OF = {"offline": "unheard", "faulted": "faults"}


def _left_to_health(check: CheckResult, policy: HealthPolicy) -> CheckResult:
    """Who is away or faulted at this instant does not stop what health judges by all hours.

    It is looked at again at every look, and nothing is paid for it: in a canary of ten, two that are away by
    chance would stop a good campaign sooner or later.
    """
    signal = _SIGNAL_OF.get(check.name)
    judged_there = any(
        each.signal == signal and each.role is not SignalRole.SHADOW for each in policy.signals
    )
    if check.word is VerdictWord.PROCEED or not judged_there:
        return check
    return replace(check, word=VerdictWord.PROCEED, sentence=f"{check.sentence} Health decides on that.")


def _concurrent(inputs: GateInputs, *, old: bool) -> Verdict:
    """Outcomes, with an outage of everybody told from harm (R44).

    gate-3 compared with the cohort before the start when none of the others *reported*, so an outage that
    took both groups away looked like harm to one of them.
    """
    facts = inputs.facts
    if facts is None:
        return assess(inputs.policy, None)
    if facts.control.size:
        return assess(inputs.policy, replace(facts, baseline=None), old=old)
    found, treated = assess(inputs.policy, facts, old=old), facts.treated
    if treated.offline <= MAX_CONTROL_OFFLINE_SHARE * treated.known:
        return found
    return combine(_perhaps_outage(check) for check in found.checks)


def _perhaps_outage(check: CheckResult) -> CheckResult:
    """Nobody is left to tell by, and nothing could be rolled back on chargers that are away."""
    if check.name != "offline" or check.word is not VerdictWord.ABORT:
        return check
    return replace(check, word=VerdictWord.HOLD, sentence=f"{check.sentence} An outage here?")


_JUDGES: dict[str, Callable[[GateInputs], Verdict]] = {
    GATE: assess_wave,
    ROLLBACK: lambda inputs: assess_rollback(inputs.policy, inputs.facts),
    REHEARSAL: lambda inputs: assess_rehearsal(inputs.policy, inputs.facts),
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
    look: Look,
    policy: GatePolicy,
    facts: WaveFacts | None,
    health: Health | None = None,
    rules: str = RULES,
) -> tuple[Decision, Verdict]:
    """The record, and the verdict in it; ``rules`` of before, where a campaign was judged by them already."""
    evidence, history = (health.evidence, health.history) if health else (None, None)
    return _judged(look, GateInputs(rules, policy, facts, evidence, history))


def _judged(look: Look, given: GateInputs) -> tuple[Decision, Verdict]:
    # Through JSON and back first, so that 0 and 0.0 in a plan lead to the same bytes now and later.
    inputs = _INPUTS.validate_python(orjson.loads(canonical_json(given)))
    verdict = _JUDGES[look.kind](inputs)
    if inputs.rules not in _BEFORE_NUMBERS:
        verdict = in_numbers(verdict)
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
