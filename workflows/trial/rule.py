"""The gate that judges real campaigns, as a rule for simulated ones. Nothing of it is written twice."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from activities.evidence import History
from storage.campaign import GatePolicy, VerdictWord, WavePlan
from storage.health_policy import HealthPolicy
from workflows.gate.attempts import beyond_chance
from workflows.gate.patience import Patience
from workflows.gate.record import RULES, GateInputs, assess_wave
from workflows.trial.campaign import Says, Tally, Word
from workflows.trial.view import View

_EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a plan says of attempts: for all waves, and of single ones."""

    gate: GatePolicy = field(default_factory=GatePolicy)
    """As plans have it that say nothing else."""
    waves: tuple[WavePlan, ...] = ()

    def of(self, wave: int) -> GatePolicy:
        """A wave's own limits go before the gate's."""
        return self.waves[wave].gated(self.gate) if wave < len(self.waves) else self.gate


AS_USUAL = Outcomes()


class GateRule:
    """One campaign under one policy."""

    def __init__(self, policy: HealthPolicy, outcomes: Outcomes = AS_USUAL) -> None:
        self._health = policy
        self._outcomes = outcomes
        self._history = History()
        self._patience = Patience(policy, _EPOCH)
        self._held = 0

    def attempted(self, tally: Tally) -> str:
        """What stops a wave before its end."""
        policy = self._outcomes.of(tally.wave)
        if policy.early_stop_failures is not None and tally.failed >= policy.early_stop_failures:
            return f"{tally.failed} chargers failed."
        return beyond_chance(tally.failed, tally.attempts, policy.max_failure_share, tally.wave)

    def look(self, view: View, waited: int) -> Says:
        """Exactly what a campaign's workflow does at its gate."""
        now = _EPOCH + timedelta(hours=view.now)
        if not waited:
            self._patience, self._held = Patience(self._health, now), 0
        policy = replace(self._outcomes.of(view.wave), health=self._health)
        inputs = GateInputs(RULES, policy, view.facts(), view.evidence(), self._history)
        verdict = assess_wave(inputs)
        if verdict.health is not None:
            self._history = verdict.health.history
        if verdict.word is VerdictWord.ABORT:
            return Says(Word.STOP, verdict.reason)
        if verdict.word is VerdictWord.PROCEED:
            return Says(Word.GO, verdict.reason)
        if verdict.health is not None and verdict.health.bad_segments:
            return Says(Word.WAIT, verdict.reason, 1, verdict.health.bad_segments)
        gathering = self._patience.gathers(verdict, now)
        if gathering:
            self._held = 0
            return Says(Word.WAIT, verdict.reason, max(1, round(gathering / 3600)))
        self._held += 1
        if self._held >= policy.max_looks:
            return Says(Word.ASK, verdict.reason)
        return Says(Word.WAIT, verdict.reason, max(1, round(policy.hold_seconds / 3600)))
