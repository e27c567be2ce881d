"""Chargers that match a plan after its cohort was frozen: a campaign of their own, as careful as the first.

A frozen cohort is what people approved and the signer checks, so nobody is added to it. Late joiners (R2) get
the same plan with a cohort of theirs, and new approvals. Its id is ``{campaign}-late-{n}``, so that two who
open it at once open one.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from re import compile as compile_pattern

import structlog

from api.cohort import CampaignDesk
from api.ports import ApiServices
from storage.access import Principal, Role
from storage.campaign import Campaign, CampaignPhase, CampaignPlan, LateJoiners, WavePlan
from storage.charger import ChargerFilter
from storage.errors import Conflict, InvalidInput, NotFound

LOOKED_FOR = timedelta(days=90)
"""So long after a campaign completed a follow-up is opened by itself."""
_FOLLOWER = compile_pattern(r"(.+)-late-\d{1,4}")
"""The id of a follow-up; any other campaign's ends with ten letters and digits."""
_log = structlog.get_logger("late_joiners")


@dataclass(frozen=True, slots=True)
class Opened:
    """A follow-up, and what of the first plan it goes without."""

    campaign: Campaign
    warnings: tuple[str, ...]


async def follow_up(services: ApiServices, campaign_id: str, actor: Principal) -> Opened:
    """Open the campaign for those that joined late; it waits for approvals.

    Raises:
        NotFound: there is no such campaign.
        Conflict: it has not completed, a follow-up of it is not over, or nobody joined since.
        InvalidInput: nobody who joined can get it, or too few for its waves.
    """
    root = await services.campaigns.get(_root_of(campaign_id))
    former = await _followers(services, root)
    latest = former[-1] if former else root
    if latest.phase is not CampaignPhase.COMPLETED:
        raise Conflict(
            f"Campaign {latest.campaign_id} is {latest.phase.value}.",
            hint="Late joiners follow a campaign that completed.",
        )
    taken = await _cohorts(services, [root, *former])
    own = _follower(root.campaign_id, len(former) + 1)
    where = await _left(services, root.plan.targets, taken)
    plan, warnings = plan_for_late(replace(root.plan, targets=where))
    return Opened(await CampaignDesk(services, actor).open(own, plan, without=taken), warnings)


async def _left(services: ApiServices, where: ChargerFilter, taken: frozenset[str]) -> ChargerFilter:
    """Whom the plan targets, of those it names only who was not in it yet; Conflict if that is nobody."""
    named = tuple(name for name in where.charger_ids if name not in taken)
    gone = where.charger_ids and not named
    if gone or not await services.chargers.names(replace(where, charger_ids=named)) - taken:
        raise Conflict(
            "Nobody is left for a follow-up: whoever its plan targets was in it, or in one that followed it.",
            hint="For chargers that are to get it once more, create a campaign: ampwave campaign create",
        )
    return replace(where, charger_ids=named)


async def follow_up_all(services: ApiServices) -> int:
    """Open what is due: completed campaigns whose plan asks for it, and enough have joined; how many."""
    opened, cursor = 0, None
    while True:
        page = await services.campaigns.find(limit=100, cursor=cursor)
        for campaign in page.items:
            if _is_due(campaign, services):
                opened += await _tried(services, campaign)
        cursor = page.next_cursor
        if cursor is None:
            return opened


def plan_for_late(plan: CampaignPlan) -> tuple[CampaignPlan, tuple[str, ...]]:
    """The same plan without what was about the first cohort: its lists, queries and counts, and its start.

    Beside it, what people should know that it goes without.
    """
    waves = tuple(wave for wave in plan.waves if not _about_the_first(wave)) or (
        WavePlan("late joiners", 1.0),
    )
    name = plan.name[:80] + " (late joiners)"
    late = replace(plan, name=name, waves=waves, start_at=None)
    if plan.rehearse_rollback is None or len(waves) > 1:
        return late, ()
    # A rehearsal comes before the second wave (X11).
    warning = (
        "rehearse_rollback is left out: the follow-up has one wave only, so there is nobody to rehearse for."
    )
    return replace(late, rehearse_rollback=None), (warning,)


def _about_the_first(wave: WavePlan) -> bool:
    return wave.charger_ids is not None or wave.query is not None or wave.count is not None


def _is_due(campaign: Campaign, services: ApiServices) -> bool:
    ended = campaign.finished_at
    return (
        campaign.phase is CampaignPhase.COMPLETED
        and campaign.plan.late_joiners is LateJoiners.FOLLOW_UP
        and _root_of(campaign.campaign_id) == campaign.campaign_id
        and ended is not None
        and services.clock() - ended <= LOOKED_FOR
    )


async def _tried(services: ApiServices, campaign: Campaign) -> bool:
    """In its author's name, who therefore cannot approve it either."""
    author = Principal(campaign.created_by, Role.RELEASE_MANAGER)
    try:
        opened = await follow_up(services, campaign.campaign_id, author)
    except (Conflict, InvalidInput, NotFound):
        return False  # Nobody yet, too few for the waves, or the one before is not over: the next round asks.
    made = opened.campaign
    _log.info(
        "late_joiners.opened",
        campaign=made.campaign_id,
        chargers=made.cohort_size,
        warnings=list(opened.warnings),
    )
    return True


def _root_of(campaign_id: str) -> str:
    found = _FOLLOWER.fullmatch(campaign_id)
    return found[1] if found else campaign_id


def _follower(root_id: str, number: int) -> str:
    return f"{root_id}-late-{number}"


async def _followers(services: ApiServices, root: Campaign) -> list[Campaign]:
    found: list[Campaign] = []
    while True:
        try:
            found.append(await services.campaigns.get(_follower(root.campaign_id, len(found) + 1)))
        except NotFound:
            return found


async def _cohorts(services: ApiServices, campaigns: list[Campaign]) -> frozenset[str]:
    names: set[str] = set()
    for campaign in campaigns:
        targets = await services.campaigns.targets(campaign.campaign_id)
        names |= {target.charger_id for target in targets}
    return frozenset(names)
