"""When a gate that gathers evidence looks again, and when it stops waiting and asks a person."""

from datetime import datetime, timedelta

from storage.campaign import VerdictWord
from storage.health_policy import HealthPolicy
from storage.health_time import SECONDS
from workflows.gate.words import Verdict

MAX_LOOK_SECONDS = 86400.0
_NO_END = ("arms", "signals")
"""Holds that no time resolves: a person is asked at once."""


class Patience:
    """One gate's waiting for evidence."""

    def __init__(self, policy: HealthPolicy | None, begun: datetime) -> None:
        self._policy = policy
        self._begun = begun
        self._scale = 1.0
        """How long an hour of health lasts, of an hour; as the last measurement said."""

    def gathers(self, verdict: Verdict, now: datetime) -> float:
        """Real seconds until the next look, if only health holds and time may resolve it; else 0.

        Never sooner than the policy's ``look_seconds``, and the later the longer it has waited: every look is
        recorded with its evidence, and the hours lived grow by a share of themselves.
        """
        policy, health = self._policy, verdict.health
        others = [check for check in verdict.checks if check.name != "health"]
        if policy is None or health is None or any(check.word is not VerdictWord.PROCEED for check in others):
            return 0.0
        self._scale = health.hour_seconds / SECONDS if health.hour_seconds else self._scale
        # In seconds of health, as the policy counts them.
        waited = (now - self._begun) / timedelta(seconds=1) / self._scale
        if health.decided_by in _NO_END or waited >= policy.max_wait_seconds:
            return 0.0
        wished = policy.look_seconds if health.resolves_hours is None else health.resolves_hours * 3600
        least = max(policy.look_seconds, waited / 4)
        most = min(MAX_LOOK_SECONDS, 2 * least)
        next_look = min(max(wished, least), most, max(policy.max_wait_seconds - waited, policy.look_seconds))
        return next_look * self._scale
