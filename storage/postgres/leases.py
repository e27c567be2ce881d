"""The site availability budget (X2): how many chargers of a site may be away at once, over all work.

Away is who is leased, and who is still out of service through us though the work on it is over.

Whoever takes a lease locks the site's row first, so takers of one site come one after the other.
Expiry is judged by the database's clock.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Numeric,
    and_,
    case,
    cast,
    delete,
    distinct,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charger import LeaseAnswer, SiteLease
from storage.errors import NotFound
from storage.parked import DOWNLOAD
from storage.postgres.engine import reading, transaction
from storage.postgres.site_budget import refused
from storage.postgres.tables import charger, downtime, out_of_service, site, site_lease, twin_section
from storage.twin_schema import POWER

LEASE_COLUMNS = (
    site_lease.c.charger_id,
    site_lease.c.site_id,
    site_lease.c.workflow_id,
    site_lease.c.kind,
    site_lease.c.expires_at,
    site_lease.c.request_id,
    site_lease.c.wake_on,
    site_lease.c.run,
    site_lease.c.download_bytes,
)
ALIVE = site_lease.c.expires_at > func.now()
TAKES_AWAY = site_lease.c.kind != DOWNLOAD
"""A charger that only fetches an image serves cars."""
AWAY = union_all(
    select(site_lease.c.site_id, site_lease.c.charger_id).where(ALIVE, TAKES_AWAY),
    select(out_of_service.c.site_id, out_of_service.c.charger_id),
)
"""(site, charger) of all that are away; one that is leased and out of service is there twice."""


def lease_of(row: Sequence[Any]) -> SiteLease:
    """A lease from its columns, in the order of the noun."""
    charger_id, site_id, workflow_id, kind, expires_at, request_id, wake_on, run, length = row[:9]
    return SiteLease(
        charger_id, site_id, workflow_id, kind, expires_at, request_id, tuple(wake_on), run, length
    )


class PostgresLeaseStore:
    """One row per charger that is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def take(self, lease: SiteLease) -> LeaseAnswer:
        """Reserve the charger at the site where it is registered now, whatever the lease says.

        Taking it again for the same run of the same workflow extends it. Raises NotFound for an unknown
        charger.
        """
        async with transaction(self._engine) as connection:
            site_id, max_down, rules = await _lock_site(connection, lease.charger_id)
            others, holder = await _state(connection, site_id, lease.charger_id)
            if holder is not None and holder != (lease.workflow_id, lease.run):
                return LeaseAnswer(granted=False, down=others + 1, max_down=max_down, holder=holder[0])
            stays = lease.kind == DOWNLOAD
            if holder is None and others >= max_down and not stays:
                return LeaseAnswer(granted=False, down=others, max_down=max_down)
            asked = holder is None and not stays
            full = await _full_group(connection, site_id, lease.charger_id) if asked else None
            if full is not None:
                return full
            if holder is None and rules and (why := await refused(connection, lease, site_id, rules)):
                return LeaseAnswer(granted=False, down=others, max_down=max_down, refusal=why)
            if holder is None:
                await _close(connection, site_lease.c.charger_id == lease.charger_id)
            await _write(connection, lease, site_id)
            return LeaseAnswer(granted=True, down=others + (not stays), max_down=max_down)

    async def release(self, charger_id: str, workflow_id: str, *, run: str = "") -> bool:
        """Whether there was something to release."""
        async with transaction(self._engine) as connection:
            return bool(await _close(connection, *_held_by(charger_id, workflow_id, run)))

    async def get(self, charger_id: str) -> SiteLease | None:
        """The lease that holds now; an expired one is none."""
        query = select(*LEASE_COLUMNS).where(site_lease.c.charger_id == charger_id, ALIVE)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return lease_of(row) if row else None

    async def down(self, site_ids: Sequence[str]) -> dict[str, int]:
        """How many chargers are away, for each site asked for."""
        away = AWAY.subquery()
        query = (
            select(away.c.site_id, func.count(distinct(away.c.charger_id)))
            .where(away.c.site_id.in_(site_ids))
            .group_by(away.c.site_id)
        )
        async with reading(self._engine) as connection:
            counted = dict[str, int]((row[0], row[1]) for row in await connection.execute(query))
        return {site_id: counted.get(site_id, 0) for site_id in site_ids}

    async def sweep(self) -> Sequence[SiteLease]:
        """Remove and return the expired ones."""
        async with transaction(self._engine) as connection:
            return await _close(connection, site_lease.c.expires_at <= func.now())


async def _close(connection: AsyncConnection, *which: ColumnElement[bool]) -> list[SiteLease]:
    """Remove leases and book how long each took its charger away (X13)."""
    ended = func.least(site_lease.c.expires_at, func.now())
    statement = delete(site_lease).where(*which).returning(*LEASE_COLUMNS, site_lease.c.taken_at, ended)
    rows = (await connection.execute(statement)).all()
    booked = [
        {"charger_id": row[0], "site_id": row[1], "kind": row[3], "began": row[-2], "ended": row[-1]}
        for row in rows
        if row[-1] > row[-2] and row[3] != DOWNLOAD
    ]
    if booked:
        await connection.execute(insert(downtime), booked)
    return [lease_of(row) for row in rows]


async def _lock_site(connection: AsyncConnection, charger_id: str) -> tuple[str, int, dict[str, Any]]:
    query = (
        select(site.c.site_id, site.c.max_down, site.c.rules)
        .join(charger, charger.c.site_id == site.c.site_id)
        .where(charger.c.charger_id == charger_id)
        .with_for_update(of=site, key_share=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("charger", charger_id)
    return row.site_id, row.max_down, row.rules


async def _state(
    connection: AsyncConnection, site_id: str, charger_id: str
) -> tuple[int, tuple[str, str] | None]:
    """(other chargers of the site that are away, (workflow, run) on this very one). Read after the lock."""
    away = AWAY.subquery()
    counted = select(func.count(distinct(away.c.charger_id))).where(
        away.c.site_id == site_id, away.c.charger_id != charger_id
    )
    held = select(site_lease.c.workflow_id, site_lease.c.run).where(
        site_lease.c.charger_id == charger_id, ALIVE
    )
    others = (await connection.execute(counted)).scalar_one()
    holder = (await connection.execute(held)).one_or_none()
    return others, (holder.workflow_id, holder.run) if holder else None


async def _full_group(connection: AsyncConnection, site_id: str, charger_id: str) -> LeaseAnswer | None:
    """The refusal, if so many of its load group at this site are away that no further one may (F33)."""
    own = twin_section.alias()
    mine = select(own.c.desired["load_group"].astext).where(
        own.c.charger_id == charger_id, own.c.name == POWER
    )
    group: str | None = (await connection.execute(mine)).scalar_one_or_none()
    if group is None:
        return None
    away, desired = AWAY.subquery(), twin_section.c.desired
    others = func.count(distinct(away.c.charger_id)).filter(away.c.charger_id != charger_id)
    least = func.floor(func.min(cast(desired["group_max_down"].astext, Numeric)))
    query = (
        select(others.label("down"), least.label("most"))
        .select_from(
            twin_section.join(charger, charger.c.charger_id == twin_section.c.charger_id).outerjoin(
                away, away.c.charger_id == twin_section.c.charger_id
            )
        )
        .where(
            twin_section.c.name == POWER,
            desired["load_group"].astext == group,
            charger.c.site_id == site_id,
        )
    )
    row = (await connection.execute(query)).one()
    if row.most is None or row.down < row.most:
        return None
    return LeaseAnswer(granted=False, down=row.down, max_down=max(0, int(row.most)), group=group)


def _held_by(charger_id: str, workflow_id: str, run: str) -> tuple[ColumnElement[bool], ...]:
    columns = site_lease.c
    return columns.charger_id == charger_id, columns.workflow_id == workflow_id, columns.run == run


async def _write(connection: AsyncConnection, lease: SiteLease, site_id: str) -> None:
    statement = insert(site_lease).values(
        charger_id=lease.charger_id,
        site_id=site_id,
        workflow_id=lease.workflow_id,
        kind=lease.kind,
        expires_at=lease.expires_at,
        request_id=lease.request_id,
        wake_on=list(lease.wake_on),
        run=lease.run,
        download_bytes=lease.download_bytes,
    )
    new = statement.excluded
    same = site_lease.c.workflow_id == new.workflow_id
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["charger_id"],
            set_={
                "site_id": new.site_id,
                "workflow_id": new.workflow_id,
                "kind": new.kind,
                "expires_at": func.greatest(site_lease.c.expires_at, new.expires_at),
                "request_id": case(
                    (same, func.coalesce(new.request_id, site_lease.c.request_id)), else_=new.request_id
                ),
                "wake_on": new.wake_on,
                "run": new.run,
                "download_bytes": new.download_bytes,
                "taken_at": case(
                    (and_(~TAKES_AWAY, new.kind != DOWNLOAD), func.now()), else_=site_lease.c.taken_at
                ),
            },
        )
    )
