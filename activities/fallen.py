"""Who fell back by itself while a campaign went on: its update failed, and that is on record with its boots.

Written as the campaign ends. Until then its gates count them as they are: updated, and on another version
now.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from activities.facts import heard_recently
from activities.stores import Stores
from storage.audit import AuditEntry
from storage.campaign import Target
from storage.fall_back import EVIDENCE, FallBack, Trial, fell_back
from storage.ports import ChargerView

_KINDS = tuple(kind.value for kind in EVIDENCE)
_PAGE = 500
LOOKS_FOR = timedelta(seconds=12)
"""The campaign's end waits meanwhile, and has half a minute for everything: no number of them holds it up."""


async def settle(stores: Stores, campaign_id: str) -> int:
    """Write it down of those of whom it is known; how many. Whoever is away or silent is not among them.

    Each on its own, so that what was found stays found where this begins anew. Whom there is no time for is
    counted, and stays what it was: updated, with an incident that says how it fell back.
    """
    targets, until = await stores.campaigns.gone_back(campaign_id), stores.clock() + LOOKS_FOR
    written = 0
    for start in range(0, len(targets), _PAGE):
        page = targets[start : start + _PAGE]
        here = await _here(stores, page)
        for place, target in enumerate(page, start):
            if stores.clock() > until:
                await _cut_short(stores, campaign_id, len(targets) - place)
                return written
            fell = await _fell(stores, target) if target.charger_id in here else None
            written += await _written(stores, target, fell) if fell else 0
    return written


async def _written(stores: Stores, target: Target, fell: FallBack) -> bool:
    subject = f"campaign/{target.campaign_id}"
    detail = {
        "charger_id": target.charger_id,
        "wave": target.wave,
        "reason": fell.sentence,
        "at": fell.at.isoformat(),
    }
    told = AuditEntry(stores.clock(), subject, "campaign.charger_fell_back", subject, detail)
    return await stores.campaigns.note_fall_back(target, fell.to, fell.sentence, told)


async def _cut_short(stores: Stores, campaign_id: str, left: int) -> None:
    subject = f"campaign/{campaign_id}"
    await stores.record(subject, "campaign.fall_backs_not_looked_at", subject, chargers=left)


async def _here(stores: Stores, targets: Sequence[Target]) -> set[str]:
    """Who is connected, heard of, and says that it runs what it ran before."""
    now, names = stores.clock(), [target.charger_id for target in targets]
    live = await stores.routes.live(names)
    views = {view.charger.charger_id: view for view in await stores.chargers.views(names)}
    return {
        target.charger_id
        for target in targets
        if target.charger_id in live
        and target.charger_id in views
        and _there(views[target.charger_id], target, now)
    }


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
