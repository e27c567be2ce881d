"""Holding on to a charger whose attempt lasts longer than was planned when its site's lease was taken."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activities.conclusion import taken_over
from activities.orders import LEASE_SLACK_S, wake_on
from activities.stores import Stores, this_run
from storage.campaign import UNDER_WAY, goes_back
from storage.charger import SiteLease
from storage.ids import charger_workflow_id


@dataclass(frozen=True, slots=True)
class LongerWait:
    """Which attempt, until when, and why."""

    campaign_id: str
    wave: int
    charger_id: str
    until: datetime
    needs_reset: bool
    text: str


async def hold_on(stores: Stores, given: LongerWait) -> None:
    """Say why, and extend the lease; one that ran out while we were away is taken again.

    Where the site has given the place away meanwhile it stays given. The charger counts as out of service
    there in any case; without a lease no signal tells of it, and its workflow finds what it told by looking.
    """
    lease, ours = await stores.leases.get(given.charger_id), charger_workflow_id(given.charger_id)
    if taken_over(lease):
        return
    target = await stores.campaigns.target(given.campaign_id, given.wave, given.charger_id)
    if target.phase not in UNDER_WAY:
        return  # Somebody closed its books meanwhile.
    text = f"{target.recalled}; {given.text}" if target.recalled else given.text
    await stores.campaigns.say_of_target(given.campaign_id, given.wave, given.charger_id, text)
    if lease is not None and lease.workflow_id != ours:
        return
    expires_at = given.until + timedelta(seconds=LEASE_SLACK_S)
    if lease is None:
        lease = SiteLease(
            charger_id=given.charger_id,
            site_id=target.site_id,
            workflow_id=ours,
            kind="rollback" if goes_back(given.wave) else "update",
            expires_at=expires_at,
            request_id=target.request_id,
            wake_on=wake_on(needs_reset=given.needs_reset),
            run=this_run(),
            campaign_id=given.campaign_id,
        )
    await stores.leases.take(replace(lease, expires_at=max(lease.expires_at, expires_at)))
