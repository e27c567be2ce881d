"""What the signer asks before it authorises anybody: the campaign's rows must be what people approved.

Whoever can write to the database can write a target, a phase or a plan; what they cannot do is make
those agree with a digest that other people said yes to (S17, S24, S25).
"""

from collections.abc import Sequence

from signing.errors import DirectiveRefused
from storage.campaign import (
    FORWARD_AGAIN_WAVE,
    REHEARSAL_WAVE,
    Approval,
    Campaign,
    CampaignPhase,
    Target,
    goes_back,
    sent_in,
)
from storage.plan_digest import plan_digest
from storage.ports import CampaignStore

Cohort = tuple[tuple[str, ...], ...]
"""Charger ids by forward wave."""

_KEPT = 8
"""Campaigns whose cohort is remembered; 100,000 ids take about 10 MB."""
_ALL = 1_000_000
# A pause may come while a shard asks. Nothing is sent under it, so the campaign need not stop for that.
_FORWARD = frozenset({CampaignPhase.RUNNING, CampaignPhase.PAUSED})
_BACK = frozenset({CampaignPhase.ROLLING_BACK})


class Cohorts:
    """Frozen cohorts, each read once: they never change, and a shard needs one directive after another."""

    def __init__(self, campaigns: CampaignStore) -> None:
        self._campaigns = campaigns
        self._known: dict[str, Cohort] = {}

    async def of(self, campaign: Campaign) -> Cohort:
        """The forward waves of this campaign. Raises DirectiveRefused if they are not what was approved."""
        cohort = self._known.get(campaign.campaign_id) or await self._read(campaign)
        if plan_digest(campaign.plan, cohort) != campaign.plan_digest:
            raise DirectiveRefused(
                f"Plan and chargers of campaign {campaign.campaign_id} are not those of its digest.",
                hint="Somebody changed them after they were frozen: abort it, and read the audit log.",
            )
        self._known[campaign.campaign_id] = cohort
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))
        return cohort

    async def _read(self, campaign: Campaign) -> Cohort:
        waves = []
        for wave in range(len(campaign.plan.waves)):
            targets = await self._campaigns.targets(campaign.campaign_id, wave, 0, _ALL)
            waves.append(tuple(target.charger_id for target in targets))
        return tuple(waves)


def approvals_of(campaign: Campaign) -> tuple[Approval, ...]:
    """One yes per person to exactly this plan and cohort, its author's left out (four eyes)."""
    valid: dict[str, Approval] = {}
    for approval in campaign.approvals:
        if approval.plan_digest == campaign.plan_digest and approval.actor != campaign.created_by:
            valid.setdefault(approval.actor, approval)
    return tuple(valid.values())


def check_authority(
    campaign: Campaign, cohort: Cohort, wave: int, first: int, targets: Sequence[Target]
) -> None:
    """Raise DirectiveRefused unless people approved that these targets get this image, and it is time."""
    back, rehearsed = goes_back(wave), wave in (REHEARSAL_WAVE, FORWARD_AGAIN_WAVE)
    problems = []
    if campaign.phase not in (_BACK if sent_in(wave) is CampaignPhase.ROLLING_BACK else _FORWARD):
        problems.append(f"the campaign is {campaign.phase.value}")
    given, needed = len(approvals_of(campaign)), max(1, campaign.plan.approvals_needed)
    if given < needed:
        problems.append(f"it has {given} of {needed} approvals by others than its author")
    artifact_id = campaign.plan.rollback_artifact_id if back else campaign.plan.artifact_id
    if any(target.artifact_id != artifact_id for target in targets):
        problems.append("a target is to get another artifact than the plan names")
    names = [target.charger_id for target in targets]
    most = campaign.plan.rehearse_rollback or 0
    if rehearsed and (first + len(names) > most or not set(names) <= set(cohort[0])):
        problems.append("it rehearses a rollback with chargers that the plan does not name for it")
    if back and not set(names) <= {name for members in cohort for name in members}:
        problems.append("it names chargers that are not of the cohort")
    if (
        not back
        and not rehearsed
        and (wave >= len(cohort) or tuple(names) != cohort[wave][first : first + len(names)])
    ):
        problems.append("it names chargers at other places than the plan")
    if problems:
        raise DirectiveRefused(
            f"Nothing is signed for wave {wave} of campaign {campaign.campaign_id}: {'; '.join(problems)}."
        )
