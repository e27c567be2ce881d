"""A slice of the fleet leaves a running campaign: those who match a query and were sent nothing yet (F27)."""

import asyncio
from dataclasses import dataclass

from api.acts import CampaignActs
from api.replies import update_id
from storage.campaign import Exclusion, Target, TargetPhase
from storage.charger import ChargerFilter
from storage.errors import Conflict, InvalidInput, NotFound

MOST = 500
"""Chargers that one request takes out: each is an act of its own in the campaign's history."""
_TOGETHER = 8
_OPEN = (TargetPhase.PENDING, TargetPhase.WAITING)


@dataclass(frozen=True, slots=True)
class Slice:
    """What became of everybody who matched."""

    skipped: tuple[str, ...]
    refused: tuple[Exclusion, ...]
    """Those that were sent something, or were done, in the meantime."""


async def skip_slice(acts: CampaignActs, query: str, reason: str) -> Slice:
    """Take out who matches now; again, who matches then and is still in.

    Raises NotFound, QueryError, KeyReused, or InvalidInput where it is too many at once.
    """
    services = acts.services
    await services.campaigns.get(acts.campaign_id)
    act = await acts.once("skip-matching", query, reason)
    targets = await services.campaigns.targets(acts.campaign_id)
    names = await _matching(acts, query, sorted({each.charger_id for each in targets if _untouched(each)}))
    seats = asyncio.Semaphore(_TOGETHER)

    async def one(name: str) -> Exclusion | None:
        once = update_id("skip", acts.actor.name, f"{acts.key or act}/{name}")
        async with seats:
            try:
                await services.orchestrator.skip_charger(
                    acts.campaign_id, name, acts.actor.name, reason, once
                )
            except (Conflict, NotFound) as error:
                return Exclusion(name, error.diagnostics())
        return None

    ends = await asyncio.gather(*map(one, names))
    refused = tuple(end for end in ends if end is not None)
    left = {each.charger_id for each in refused}
    return Slice(tuple(name for name in names if name not in left), refused)


def _untouched(target: Target) -> bool:
    return target.phase in _OPEN and target.dispatched_at is None


async def _matching(acts: CampaignActs, query: str, names: list[str]) -> list[str]:
    # No names at all would mean the whole fleet; the query is read all the same, to be told if it is wrong.
    where = ChargerFilter(charger_ids=tuple(names) or ("-",), query=query)
    page = await acts.services.chargers.find(where, limit=MOST)
    if page.next_cursor is not None:
        raise InvalidInput(
            f"More than {MOST} chargers of this campaign match, and nothing was changed.",
            hint="Pause the campaign, and take them out in parts: by site, by model, by hardware.",
        )
    known = set(names)
    return [view.charger.charger_id for view in page.items if view.charger.charger_id in known]
