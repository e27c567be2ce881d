"""Which buttons a person sees on a campaign: what its phase allows and what the role may do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.auth import Permission, may
from storage.access import Principal
from storage.campaign import (
    TERMINAL_CAMPAIGN_PHASES,
    Campaign,
    CampaignPhase,
    Decision,
    TargetPhase,
    VerdictWord,
    WaveTally,
)
from workflows.phases import CAMPAIGN_MOVES, CampaignMove, can

_MOVES = (
    CampaignMove.APPROVE,
    CampaignMove.RESUME,
    CampaignMove.PAUSE,
    CampaignMove.PROCEED,
    CampaignMove.ABORT,
)
_AT_REST = (TargetPhase.PENDING, TargetPhase.DONE)
_GOING_ON = frozenset(
    {CampaignPhase.DRAFT, CampaignPhase.AWAITING_APPROVAL, CampaignPhase.RUNNING, CampaignPhase.PAUSED}
)


@dataclass(frozen=True, slots=True)
class Offers:
    """The verbs to show as buttons, and why an expected one is missing."""

    verbs: frozenset[str]
    note: str = ""


def gate_holds(decisions: Sequence[Decision], tallies: Sequence[WaveTally]) -> bool:
    """Whether the last look held, and no later wave is under way. ``decisions`` in order of time."""
    if not decisions or decisions[-1].verdict is not VerdictWord.HOLD:
        return False
    later = [tally for tally in tallies if tally.wave > decisions[-1].wave]
    return not any(
        count for tally in later for phase, count in tally.by_phase.items() if phase not in _AT_REST
    )


def offers(campaign: Campaign, principal: Principal, *, held: bool) -> Offers:
    """What this person may do to this campaign now. ``held``: a gate waits (``gate_holds``)."""
    possible = {move.value for move in _MOVES if can(CAMPAIGN_MOVES, campaign.phase, move)}
    if not held:
        possible.discard(CampaignMove.PROCEED)
    if campaign.phase not in TERMINAL_CAMPAIGN_PHASES:
        possible.add("skip")
    if campaign.ends_at is not None and campaign.phase in _GOING_ON:
        possible.add("extend")
    if "abort" in possible and campaign.plan.rollback_artifact_id:
        possible.add("rollback")
    allowed = frozenset(verb for verb in possible if may(principal, Permission(f"campaign.{verb}")))
    why_not = _four_eyes(campaign, principal) if "approve" in allowed else ""
    if campaign.created_by == principal.name:
        allowed -= {"extend"}
    return Offers(allowed - {"approve"} if why_not else allowed, why_not)


def _four_eyes(campaign: Campaign, principal: Principal) -> str:
    """Why this person's yes would not count, if so; the workflow's validator has the last word."""
    if campaign.created_by == principal.name:
        return "You wrote this plan; somebody else has to approve it."
    gave = any(approval.actor == principal.name for approval in campaign.approvals)
    missing = campaign.plan.approvals_needed - len(campaign.approvals)
    return "You approved this plan already; somebody else must, too." if gave and missing > 0 else ""
