"""What is asked once more in the step that sends, where minutes may lie between a look and a start.

Whether its site is open, and whether somebody holds the charger; the session, the plug and the site's
budget are asked there by ``sending`` itself.
"""

from datetime import timedelta

from activities.circumstances import opening_of
from activities.stores import Stores
from storage.campaign import CampaignPlan, Target
from storage.charger import Site


async def no_leave(stores: Stores, plan: CampaignPlan, target: Target) -> str | None:
    """Why nothing may be sent to this charger now, or None."""
    now = stores.clock()
    said = (await stores.upkeep.upkeep([target.charger_id])).get(target.charger_id)
    if said is not None and said.held(now):
        return f"it is on hold: {said.hold}"
    takes = timedelta(seconds=plan.pace.attempt_deadline_seconds)
    closures = await stores.upkeep.closures(now, now + takes)
    if not closures and not plan.windows:
        return None
    view = await stores.chargers.get(target.charger_id)
    site = await site_of(stores, view.charger.site_id)
    return opening_of(site, plan, tuple(closures), now).closed or None


async def site_of(stores: Stores, site_id: str) -> Site:
    """As it is stored now; one that is not there has no time zone either."""
    return next(
        (site for site in await stores.chargers.sites() if site.site_id == site_id),
        Site(site_id, site_id, ""),
    )
