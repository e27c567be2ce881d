"""Paging over a campaign's targets, wave by wave."""

import re

from storage.campaign import Target
from storage.errors import InvalidInput
from storage.ports import CampaignStore, Page

_CURSOR = re.compile(r"(\d{1,6})\.(\d{1,9})")


async def target_page(
    store: CampaignStore, campaign_id: str, wave: int | None, limit: int, cursor: str | None
) -> Page[Target]:
    """Up to ``limit`` targets of one wave, or of all waves in order; raises InvalidInput for a bad cursor."""
    tallies = await store.tallies(campaign_id)
    totals = {each.wave: each.total for each in tallies if wave is None or each.wave == wave}
    at_wave, first = _position(cursor)
    found: list[Target] = []
    for number in sorted(totals):
        if number < at_wave:
            continue
        start = first if number == at_wave else 0
        found += await store.targets(campaign_id, number, start, limit - len(found))
        if len(found) >= limit:
            return Page(tuple(found), _next(found[-1], totals))
    return Page(tuple(found))


def _position(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidInput("The cursor is not one of ours.", hint="Pass on next_cursor as it came.")
    return int(match[1]), int(match[2])


def _next(last: Target, totals: dict[int, int]) -> str | None:
    if last.ordinal + 1 < totals[last.wave]:
        return f"{last.wave}.{last.ordinal + 1}"
    later = [number for number in sorted(totals) if number > last.wave and totals[number]]
    return f"{later[0]}.0" if later else None
