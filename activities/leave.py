"""What is asked once more in the step that sends, where minutes may lie between a look and a start.

Whether its site is open, whether somebody holds the charger, and whether it is still through what comes
first; the session, the plug and the site's
budget are asked there by ``sending`` itself.
"""

from datetime import timedelta

from activities.circumstances import opening_of
from activities.orders import DispatchInput, DispatchKind, Obstacle
from activities.stores import Stores
from storage.campaign import CampaignPhase, CampaignPlan, Target, TargetPhase, follows
from storage.charger import Site
from storage.upkeep import Before
from storage.windows import ClosureKind


async def still_wanted(
    stores: Stores, given: DispatchInput, phase: CampaignPhase
) -> tuple[CampaignPlan, Target]:
    """The plan, and the target that still waits for this very attempt. Raises Obstacle."""
    campaign = await stores.campaigns.get(given.campaign_id)
    if campaign.phase is not phase:
        raise Obstacle(DispatchKind.NOT_NOW, f"the campaign is {campaign.phase.value}")
    if phase is CampaignPhase.RUNNING and campaign.over(stores.clock()):
        ends = f"the campaign's end came at {campaign.ends_at:%Y-%m-%d %H:%M} UTC"
        raise Obstacle(DispatchKind.NOT_NOW, ends)
    target = await stores.campaigns.target(given.campaign_id, given.wave, given.charger_id)
    if target.phase is TargetPhase.DONE:
        raise Obstacle(DispatchKind.NOT_NOW, "its target is done already")
    if target.recalled:
        raise Obstacle(DispatchKind.NOT_NOW, target.recalled)
    if target.attempt > given.attempt:
        raise Obstacle(DispatchKind.NOT_NOW, "a later attempt has begun")
    if halt := await stores.halts.standing():
        raise Obstacle(DispatchKind.NOT_NOW, halt.sentence)
    return campaign.plan, target


async def no_leave(stores: Stores, plan: CampaignPlan, target: Target) -> str | None:
    """Why nothing may be sent to this charger now, or None."""
    now = stores.clock()
    said = (await stores.upkeep.upkeep([target.charger_id])).get(target.charger_id)
    if said is not None and said.held(now):
        return f"it is on hold: {said.hold}"
    if plan.after is not None and follows(target.wave):
        found = (await stores.upkeep.before(plan.after, [target.charger_id])).get(target.charger_id)
        before = found or Before(plan.after)
        if not before.proven:
            return before.why
    takes = timedelta(seconds=plan.pace.attempt_deadline_seconds)
    closures = await stores.upkeep.closures(now, now + takes)
    if not closures and not plan.windows:
        return None
    charger = await stores.chargers.registered(target.charger_id)
    site = await site_of(stores, charger.site_id)
    return opening_of(site, plan, tuple(closures), now).closed or None


async def no_leave_to_fetch(stores: Stores, charger_id: str, site_id: str) -> str | None:
    """Why it must not even fetch an image now. A window, a tariff or a grid event forbids no download."""
    now = stores.clock()
    said = (await stores.upkeep.upkeep([charger_id])).get(charger_id)
    if said is not None and said.held(now):
        return f"it is on hold: {said.hold}"
    for one in await stores.upkeep.closures(now, now + timedelta(seconds=1)):
        if one.kind is ClosureKind.FREEZE and one.site_id in (None, site_id):
            return f"its site is closed ({one.kind.value}): {one.reason}"
    return None


async def site_of(stores: Stores, site_id: str) -> Site:
    """As it is stored now; one that is not there has no time zone either."""
    return await stores.chargers.site(site_id) or Site(site_id, site_id, "")
