"""Which buttons a person sees on a campaign: what its phase allows and what the role may do. Pure."""

from dataclasses import dataclass

from api.auth import Permission, may
from storage.access import Principal
from storage.campaign import Campaign
from workflows.phases import CAMPAIGN_MOVES, CampaignMove, can

_MOVES = (CampaignMove.APPROVE, CampaignMove.RESUME, CampaignMove.PAUSE, CampaignMove.ABORT)


@dataclass(frozen=True, slots=True)
class Offers:
    """The verbs to show as buttons, and why an expected one is missing."""

    verbs: frozenset[str]
    note: str = ""


def offers(campaign: Campaign, principal: Principal) -> Offers:
    """What this person may do to this campaign now."""
    possible = {move.value for move in _MOVES if can(CAMPAIGN_MOVES, campaign.phase, move)}
    if possible & {"pause", "resume"}:
        possible |= {"proceed", "skip"}
    allowed = {verb for verb in possible if may(principal, Permission(f"campaign.{verb}"))}
    gave = any(approval.actor == principal.name for approval in campaign.approvals)
    missing = campaign.plan.required_approvals - len(campaign.approvals)
    if "approve" in allowed and gave and missing > 0:
        return Offers(
            frozenset(allowed - {"approve"}), "You approved this plan already; somebody else must, too."
        )
    return Offers(frozenset(allowed))
