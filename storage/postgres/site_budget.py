"""What a site's rules say to one more charger that goes away; read under the site's lock."""

from typing import Any

from sqlalchemy import func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.charger import SiteLease
from storage.codec import decode
from storage.parked import DOWNLOAD
from storage.postgres.tables import charger, charger_upkeep, out_of_service, site_lease
from storage.site_budget import download_refusal, refusal
from storage.twin import Lifecycle
from storage.upkeep import Downloads, Plug, SiteRoom, SiteRules


async def refused(
    connection: AsyncConnection, lease: SiteLease, site_id: str, stored: dict[str, Any]
) -> str | None:
    """Why the site cannot spare this charger, or take its download; None: it can."""
    rules = decode(SiteRules, stored)
    if not rules.counts_more:
        return None
    found = await room(connection, site_id, without=lease.charger_id)
    if lease.download_bytes and (why := download_refusal(rules, found.downloads, lease.download_bytes)):
        return why
    return None if lease.kind == DOWNLOAD else refusal(rules, found.plugs, found.away, lease.charger_id)


async def room(connection: AsyncConnection, site_id: str, *, without: str = "") -> SiteRoom:
    """A site's budget as it is used now; without the download of one charger."""
    plugs, away = await _plugs(connection, site_id), await _away(connection, site_id)
    return SiteRoom(tuple(plugs), frozenset(away), await _downloads(connection, site_id, without))


async def _downloads(connection: AsyncConnection, site_id: str, without: str) -> Downloads:
    columns = site_lease.c
    query = select(func.count(), func.coalesce(func.sum(columns.download_bytes), 0)).where(
        columns.site_id == site_id,
        columns.charger_id != without,
        columns.download_bytes > 0,
        columns.expires_at > func.now(),
    )
    row = (await connection.execute(query)).one()
    return Downloads(int(row[0]), int(row[1]))


async def _plugs(connection: AsyncConnection, site_id: str) -> list[Plug]:
    """All chargers of the site but the retired."""
    said = charger_upkeep.c
    query = (
        select(charger.c.charger_id, said.power_kw, said.connector_types)
        .select_from(charger.outerjoin(charger_upkeep, said.charger_id == charger.c.charger_id))
        .where(charger.c.site_id == site_id, charger.c.lifecycle != Lifecycle.RETIRED.value)
        .order_by(charger.c.charger_id)
    )
    return [Plug(row[0], row[1], tuple(row[2] or ())) for row in await connection.execute(query)]


async def _away(connection: AsyncConnection, site_id: str) -> set[str]:
    leased = select(site_lease.c.charger_id).where(
        site_lease.c.site_id == site_id,
        site_lease.c.expires_at > func.now(),
        site_lease.c.kind != DOWNLOAD,
    )
    out = select(out_of_service.c.charger_id).where(out_of_service.c.site_id == site_id)
    return set((await connection.execute(union(leased, out))).scalars())
