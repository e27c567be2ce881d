"""The load that may come back on a feeder (X4): who is away over all its sites, and who is just back.

Takers of one feeder lock its name, after the row of their site, so that they come one after the other.
"""

from datetime import timedelta

from sqlalchemy import Float, cast, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.parked import DOWNLOAD
from storage.postgres.tables import charger_upkeep, downtime, out_of_service, site, site_lease
from storage.upkeep import Feeder, Plug

MINUTE = timedelta(minutes=1)
"""In which no more than its cap comes back."""

_NAME = site.c.rules["feeder"].astext
_KW = cast(site.c.rules["feeder_kw"].astext, Float)


async def lock_feeder(connection: AsyncConnection, name: str) -> None:
    """Until the transaction ends nobody else takes a charger away from it."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"feeder/{name}", 0))))


async def feeder(connection: AsyncConnection, name: str) -> Feeder | None:
    """As it stands; None: no site of it has a cap."""
    kw = (await connection.execute(select(func.min(_KW)).where(name == _NAME))).scalar_one()
    return None if kw is None else Feeder(name, kw, await _loads(connection, name))


async def _loads(connection: AsyncConnection, name: str) -> tuple[Plug, ...]:
    """In one statement: who comes back while one reads is found as away, or as back."""
    lease, since = site_lease.c, func.now() - MINUTE
    # A lease that has run out counts as one that was given back then, swept or not.
    leased = select(lease.charger_id, lease.site_id).where(lease.expires_at > since, lease.kind != DOWNLOAD)
    out = select(out_of_service.c.charger_id, out_of_service.c.site_id)
    back = select(downtime.c.charger_id, downtime.c.site_id).where(downtime.c.ended > since)
    sites = select(site.c.site_id).where(name == _NAME)
    found = union(
        leased.where(lease.site_id.in_(sites)),
        out.where(out_of_service.c.site_id.in_(sites)),
        back.where(downtime.c.site_id.in_(sites)),
    ).subquery()
    said = charger_upkeep.c
    query = (
        select(found.c.charger_id, said.power_kw)
        .distinct()
        .select_from(found.outerjoin(charger_upkeep, said.charger_id == found.c.charger_id))
        .order_by(found.c.charger_id)
    )
    return tuple(Plug(charger_id, power) for charger_id, power in await connection.execute(query))
