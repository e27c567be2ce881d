"""Exactly one named state per charger of a campaign at any second, with deadline and next action (F120).

One table, from what is stored of its latest target and of the campaign. A diagram of the states is in
``workflows/README.md``; a test visits every combination.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from storage.campaign import (
    ROLLBACK_WAVE_BASE,
    Campaign,
    CampaignPhase,
    Outcome,
    Target,
    TargetPhase,
    goes_back,
)


class Standing(StrEnum):
    """Where a charger stands in a campaign."""

    PLANNED = "planned"
    WAITING = "waiting"
    PREPARING = "preparing"
    SENDING = "sending"
    UPDATING = "updating"
    UPDATED = "updated"
    ALREADY_CURRENT = "already_current"
    FAILED = "failed"
    SILENT = "silent"
    DEFERRED = "deferred"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    GOING_BACK = "going_back"
    BACK = "back"
    """It was taken back, or went by itself."""
    LEFT_BEHIND = "left_behind"
    """It was to be taken back, and was not, by all that is known of it."""


class Key(NamedTuple):
    """What of a charger's latest target decides."""

    phase: TargetPhase
    outcome: Outcome | None
    back: bool
    """It is a target of a rollback."""
    sent: bool
    """Something was sent for it."""
    again: bool = False
    """It is connected, and says that it runs what the rollback brings, or what it ran before."""


_PHASES = {
    TargetPhase.PENDING: Standing.PLANNED,
    TargetPhase.WAITING: Standing.WAITING,
    TargetPhase.RESERVED: Standing.PREPARING,
    TargetPhase.DISPATCHED: Standing.SENDING,
    TargetPhase.CONFIRMING: Standing.UPDATING,
}
_OUTCOMES = {outcome: Standing(outcome.value) for outcome in Outcome}
_BACK = frozenset({Outcome.UPDATED, Outcome.ALREADY_CURRENT})
_TOOK_BACK = frozenset({CampaignPhase.ROLLED_BACK, CampaignPhase.FAILED})
"""Campaigns that took chargers back, all or some of them."""

NEXT: dict[Standing, str] = {
    Standing.PLANNED: "Nothing: its wave has not come to it.",
    Standing.WAITING: "Nothing: it is looked at again and again until its wave ends.",
    Standing.PREPARING: "Nothing: it is about to be sent the update.",
    Standing.SENDING: "Nothing: its answer is awaited.",
    Standing.UPDATING: "Nothing: its boot with the version is awaited.",
    Standing.UPDATED: "Nothing: it proved the version.",
    Standing.ALREADY_CURRENT: "Nothing: it ran the version before.",
    Standing.FAILED: "Read why, mend it, and target it by a campaign of its own.",
    Standing.SILENT: "Find out whether its network or the charger is gone, on site if need be.",
    Standing.DEFERRED: "Target it by another campaign, with a longer wave or at another time.",
    Standing.SKIPPED: "Target it by another campaign once the reason is gone.",
    Standing.CANCELLED: "Nothing: nothing was sent to it.",
    Standing.GOING_BACK: "Nothing: it is being taken back.",
    Standing.BACK: "Nothing: it runs the former version again.",
    Standing.LEFT_BEHIND: "It may run the stopped version: read it, and update it by hand or on site.",
}
CANNOT_GO_BACK = "Nothing takes it back: hold it (ampwave charger hold), and mend it by a newer release."
"""Of one that a rule kept from going back: its model takes no earlier version, or the image is not for it."""
_HELD: dict[CampaignPhase, str] = {
    CampaignPhase.DRAFT: "Submit the campaign and have it approved: ampwave campaign approve {campaign}",
    CampaignPhase.AWAITING_APPROVAL: "Have the campaign approved: ampwave campaign approve {campaign}",
    CampaignPhase.PAUSED: "Resume the campaign: ampwave campaign resume {campaign}",
}
"""What those that wait for a person's word wait for."""
_OPEN = frozenset({Standing.PLANNED, Standing.WAITING, Standing.GOING_BACK})
_REASONS: dict[Standing, str] = {
    Standing.PLANNED: "its wave has not looked at it yet",
    Standing.WAITING: "it is waiting",
    Standing.GOING_BACK: "it is to go back",
}


def standing_of(key: Key, campaign: CampaignPhase) -> Standing:
    """The one state of a charger."""
    if key.back:
        if key.phase is not TargetPhase.DONE:
            return Standing.GOING_BACK
        return Standing.BACK if key.outcome in _BACK or key.again else Standing.LEFT_BEHIND
    if key.phase is not TargetPhase.DONE or key.outcome is None:
        return _PHASES.get(key.phase, Standing.WAITING)
    if campaign in _TOOK_BACK and key.sent and key.outcome is Outcome.UPDATED:
        return Standing.BACK if key.again else Standing.LEFT_BEHIND
    return _OUTCOMES[key.outcome]


@dataclass(frozen=True, slots=True)
class ChargerStanding:
    """One charger of a campaign, now."""

    target: Target
    standing: Standing
    reason: str
    deadline: datetime | None
    """When this state ends at the latest; None: it is final, or its wave has not begun."""
    next_action: str


def stand(
    campaign: Campaign, target: Target, deadlines: Mapping[int, datetime], again: Container[str] = ()
) -> ChargerStanding:
    """Where a charger stands. ``deadlines``: of the waves that have begun; ``again``: who is back by now."""
    key = key_of(target)._replace(again=target.charger_id in again)
    standing = standing_of(key, campaign.phase)
    return ChargerStanding(
        target,
        standing,
        _reason(target, standing, key, begun=target.wave in deadlines),
        _deadline(campaign, target, deadlines),
        _next(campaign, standing, target.outcome),
    )


def _reason(target: Target, standing: Standing, key: Key, *, begun: bool) -> str:
    if standing is Standing.BACK and not (key.back and key.outcome in _BACK):
        return f"it runs the former version again; of its last attempt: {target.reason or 'nothing'}"
    if standing is Standing.PLANNED and not begun:
        # What the plan foresaw alone would read as if the charger were late.
        return "; ".join(part for part in ("its wave has not begun", target.reason) if part)
    return target.reason or _REASONS.get(standing, standing.value.replace("_", " "))


def key_of(target: Target) -> Key:
    """What of a target decides."""
    return Key(target.phase, target.outcome, goes_back(target.wave), target.dispatched_at is not None)


def _deadline(campaign: Campaign, target: Target, deadlines: Mapping[int, datetime]) -> datetime | None:
    if target.phase is TargetPhase.DONE:
        return None
    flying = target.phase in (TargetPhase.DISPATCHED, TargetPhase.CONFIRMING)
    if flying and target.dispatched_at is not None:
        return target.dispatched_at + timedelta(seconds=campaign.plan.pace.attempt_deadline_seconds)
    ends = [at for at in (deadlines.get(target.wave), _end_of(campaign, target)) if at is not None]
    return min(ends, default=None)


def _end_of(campaign: Campaign, target: Target) -> datetime | None:
    """When the campaign sends nothing more, where that is known; a rollback has no such end."""
    return None if target.wave >= ROLLBACK_WAVE_BASE else campaign.ends_at


def _next(campaign: Campaign, standing: Standing, outcome: Outcome | None) -> str:
    held = _HELD.get(campaign.phase) if standing in _OPEN else None
    if standing is Standing.LEFT_BEHIND and outcome is Outcome.SKIPPED:
        return CANNOT_GO_BACK
    return held.format(campaign=campaign.campaign_id) if held else NEXT[standing]


class OutcomeGroup(NamedTuple):
    """Chargers of one kind whose latest targets have the same key."""

    dialect: str
    """The OCPP version of its present or last socket; "": it never connected."""
    vendor: str
    model: str
    key: Key
    chargers: int


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What became of one vendor's model over one OCPP version (F121)."""

    dialect: str
    vendor: str
    model: str
    chargers: int
    by_standing: Mapping[Standing, int]


def outcome_rows(groups: Iterable[OutcomeGroup], campaign: CampaignPhase) -> tuple[OutcomeRow, ...]:
    """The groups in their named states, by version, vendor and model."""
    found: dict[tuple[str, str, str], dict[Standing, int]] = {}
    for group in groups:
        counts = found.setdefault((group.dialect, group.vendor, group.model), {})
        standing = standing_of(group.key, campaign)
        counts[standing] = counts.get(standing, 0) + group.chargers
    return tuple(OutcomeRow(*kind, sum(counts.values()), counts) for kind, counts in sorted(found.items()))
