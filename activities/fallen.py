"""Who fell back by itself while a campaign went on: its update failed, and that is on record with its boots.

Written as the campaign ends. Until then its gates count them as they are: updated, and on another version
now.
"""

from collections.abc import Sequence
from datetime import datetime

from activities.facts import heard_recently
from activities.stores import Stores
from storage.campaign import Target
from storage.fall_back import EVIDENCE, FallBack, Trial, fell_back
from storage.ports import ChargerView

_KINDS = tuple(kind.value for kind in EVIDENCE)


async def settle(stores: Stores, campaign_id: str) -> int:
    """Write it down of those of whom it is known; how many. Whoever is away or silent is not among them."""
    written = 0
    for target, fell in await _fallen(stores, await stores.campaigns.gone_back(campaign_id)):
        if await stores.campaigns.note_fall_back(target, fell.to, fell.sentence):
            written += 1
            await stores.record(
                f"campaign/{campaign_id}",
                "campaign.charger_fell_back",
                f"campaign/{campaign_id}",
                charger_id=target.charger_id,
                wave=target.wave,
                reason=fell.sentence,
                at=fell.at.isoformat(),
            )
    return written


async def _fallen(stores: Stores, targets: Sequence[Target]) -> list[tuple[Target, FallBack]]:
    now = stores.clock()
    names = [target.charger_id for target in targets]
    live = await stores.routes.live(names)
    views = {view.charger.charger_id: view for view in await stores.chargers.views(names)}
    found = []
    for target in targets:
        view = views.get(target.charger_id)
        if view is not None and target.charger_id in live and _there(view, target, now):
            fell = await _fell(stores, target)
            found += [(target, fell)] if fell else []
    return found


def _there(view: ChargerView, target: Target, now: datetime) -> bool:
    """Whether it is here and says that it runs what it ran before."""
    link, firmware = view.twin.connectivity, view.twin.firmware
    online = link is not None and link.online and heard_recently(view, now)
    return online and firmware is not None and firmware.version == target.from_version


async def _fell(stores: Stores, target: Target) -> FallBack | None:
    if target.dispatched_at is None:
        return None
    told = await stores.events.since(target.charger_id, target.dispatched_at, _KINDS)
    trial = Trial(
        target.campaign_id, target.to_version, target.from_version, target.dispatched_at, target.request_id
    )
    return fell_back(trial, told)
