"""The penalty box: a charger that fails again and again is set apart, over all campaigns, for a time (R27).

Pure: the history of a charger in, a penalty or nothing out. Chargers of a campaign that was stopped are
not to blame for its image. A person releases one earlier; a later penalty lasts twice as long.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from storage.campaign import CampaignPhase, Outcome, Target

STOPPED = frozenset(
    {
        CampaignPhase.ABORTING,
        CampaignPhase.ABORTED,
        CampaignPhase.ROLLING_BACK,
        CampaignPhase.ROLLED_BACK,
        CampaignPhase.FAILED,
    }
)
"""Campaigns in these phases say more of their image than of a charger."""
_FAILURES = frozenset({Outcome.FAILED, Outcome.SILENT})


@dataclass(frozen=True, slots=True)
class PenaltyPolicy:
    """When, and for how long."""

    attempts: int = 3
    """Failed attempts since its last success, over all campaigns."""
    hours: float = 24.0
    """Of the first penalty; each further one lasts twice as long as the one before."""
    longest_hours: float = 30 * 24.0


@dataclass(frozen=True, slots=True)
class Penalty:
    """A charger that gets no update until then, unless a person releases it. Its way back stays open."""

    charger_id: str
    since: datetime
    until: datetime
    failures: int
    times: int
    """How often it was set apart by now."""
    reason: str
    released_at: datetime | None = None
    released_by: str = ""

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.released_at is None and now < self.until

    @property
    def sentence(self) -> str:
        """Why it gets nothing, and what to do about it."""
        return (
            f"it is set apart until {self.until:%Y-%m-%d %H:%M} UTC: {self.reason}; "
            f"look at it, then: ampwave charger retry {self.charger_id}"
        )


def weigh(
    charger_id: str,
    history: Sequence[Target],
    stopped: Collection[str],
    known: Penalty | None,
    now: datetime,
    policy: PenaltyPolicy | None = None,
) -> Penalty | None:
    """The penalty that its failures have earned, or None. ``history``: latest finish first.

    Failures that an earlier penalty was for do not count again, nor do those before a release.
    """
    policy = policy or PenaltyPolicy()
    failed = _failed_since(history, stopped, _forgiven(known))
    attempts = sum(max(1, target.attempt) for target in failed)
    if attempts < policy.attempts or (known is not None and known.holds(now)):
        return None
    times = known.times + 1 if known is not None else 1
    hours = min(policy.hours * 2 ** min(times - 1, 16), policy.longest_hours)
    campaigns = len({target.campaign_id for target in failed})
    where = "one campaign" if campaigns == 1 else f"{campaigns} campaigns"
    reason = f"{attempts} attempts in {where} failed since its last success, the last one because "
    return Penalty(
        charger_id,
        now,
        now + timedelta(hours=hours),
        attempts,
        times,
        reason + (failed[0].reason or "nothing was told"),
    )


def _forgiven(known: Penalty | None) -> datetime | None:
    if known is None:
        return None
    return max(known.since, known.released_at) if known.released_at else known.since


def _failed_since(
    history: Sequence[Target], stopped: Collection[str], forgiven: datetime | None
) -> list[Target]:
    failed = []
    for target in history:
        over = forgiven is not None and (target.finished_at is None or target.finished_at <= forgiven)
        if over or target.outcome is Outcome.UPDATED:
            break
        if target.outcome in _FAILURES and target.campaign_id not in stopped:
            failed.append(target)
    return failed


class PenaltyStore(Protocol):
    """One row per charger that ever was set apart: its latest penalty."""

    async def get(self, charger_id: str) -> Penalty | None:
        """The latest one, in force or not."""

    async def impose(self, penalty: Penalty) -> bool:
        """Replace the one before; False, and nothing is written, if one that holds stands there already."""

    async def release(self, charger_id: str, actor: str, at: datetime) -> Penalty:
        """Raise NotFound if none holds."""

    async def in_force(self, now: datetime, *, limit: int = 500) -> Sequence[Penalty]:
        """Those that end first come first."""
