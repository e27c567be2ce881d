"""What a site's rules say to one more charger that goes away; read under the site's lock."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.charger import SiteLease
from storage.codec import decode
from storage.parked import DOWNLOAD
from storage.postgres.feeders import feeder, lock_feeder
from storage.postgres.tables import charger, charger_upkeep, out_of_service, site, site_lease
from storage.site_budget import download_refusal, room_refusal
from storage.twin import Lifecycle
from storage.upkeep import Downloads, Feeder, Plug, SiteRoom, SiteRules


async def refused(
    connection: AsyncConnection, lease: SiteLease, site_id: str, stored: dict[str, Any]
) -> str | None:
    """Why the site cannot spare this charger, or take its download; None: it can."""
    rules = decode(SiteRules, stored)
    if not rules.counts_more:
        return None
    found = await _room(connection, site_id, without=lease.charger_id)
    if lease.download_bytes and (why := download_refusal(rules, found.downloads, lease.download_bytes)):
        return why
    if lease.kind == DOWNLOAD:
        return None
    if rules.feeder is not None:
        await lock_feeder(connection, rules.feeder)
        found = replace(found, feeder=await feeder(connection, rules.feeder))
    return room_refusal(rules, found, lease.charger_id)


async def rooms(connection: AsyncConnection, site_ids: Sequence[str]) -> dict[str, SiteRoom]:
    """The budgets of some sites as they are used now; a feeder that many share is looked at once."""
    name = site.c.rules["feeder"].astext
    query = select(site.c.site_id, name).where(site.c.site_id.in_(site_ids), name.is_not(None))
    named: dict[str, str] = {row[0]: row[1] for row in await connection.execute(query)}
    feeders: dict[str | None, Feeder | None] = {
        each: await feeder(connection, each) for each in sorted({*named.values()})
    }
    return {
        each: replace(await _room(connection, each), feeder=feeders.get(named.get(each))) for each in site_ids
    }


async def _room(connection: AsyncConnection, site_id: str, *, without: str = "") -> SiteRoom:
    """One site, its feeder aside; without the download of one charger."""
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
