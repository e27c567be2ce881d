"""What keeps anything of a campaign from being sent, whatever its phase: halts, withdrawals, freezes.

Every node asks for itself before it sends; this is for people, who would otherwise wonder why nothing moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.ports import ApiServices
from api.withdrawals import standing
from storage.campaign import TERMINAL_CAMPAIGN_PHASES, Campaign, CampaignPhase
from storage.errors import NotFound
from storage.halt import NEEDED_TO_RESTORE
from storage.windows import ClosureKind
from storage.withdrawal import VOTES_TO_RESTORE, Source, Withdrawal

_TAKES_BACK = (CampaignPhase.ABORTING, CampaignPhase.ROLLING_BACK)


@dataclass(frozen=True, slots=True)
class Stop:
    """One thing that stands in the way of all of its chargers."""

    why: str
    lifted: str
    """How it ends, for people."""


async def stops(services: ApiServices, campaign: Campaign) -> tuple[Stop, ...]:
    """All there are now; nothing stops a campaign that is over."""
    if campaign.phase in TERMINAL_CAMPAIGN_PHASES:
        return ()
    halted = [
        Stop(
            halt.sentence,
            f"{NEEDED_TO_RESTORE} people lift it: ampwave halt restore {halt.halt_id} --reason TEXT",
        )
        for halt in await services.halts.in_force()
    ]
    now = services.clock()
    return (*halted, *await _withdrawn(services, campaign), *await _frozen(services, now))


async def _withdrawn(services: ApiServices, campaign: Campaign) -> Sequence[Stop]:
    """Of the image that it brings now: on its way back that is another one."""
    plan = campaign.plan
    image = plan.rollback_artifact_id if campaign.phase in _TAKES_BACK else plan.artifact_id
    try:
        artifact = await services.artifacts.get(image) if image else None
    except NotFound:
        return ()
    return [_of(each) for each in await standing(services, artifact)] if artifact else ()


def _of(withdrawal: Withdrawal) -> Stop:
    if withdrawal.source is Source.LIST:
        return Stop(withdrawal.sentence(), "Only the manufacturer's revocation list can lift it.")
    restore = f"ampwave withdrawal restore {withdrawal.subject}"
    return Stop(withdrawal.sentence(), f"{VOTES_TO_RESTORE} people lift it: {restore}")


async def _frozen(services: ApiServices, now: datetime) -> Sequence[Stop]:
    closed = await services.upkeep.closures(now, now + timedelta(seconds=1))
    return [
        Stop(
            f"everything is frozen until {one.ends:%Y-%m-%d %H:%M}Z: {one.reason}",
            f"It ends by itself, or with: ampwave calendar open {one.closure_id}",
        )
        for one in closed
        if one.kind is ClosureKind.FREEZE and one.site_id is None
    ]
