"""The site availability budget (X2): how many chargers of a site may be away at once, over all work.

Away is who is leased, and who is still out of service through us though the work on it is over.

Whoever takes a lease locks the site's row first, so takers of one site come one after the other.
Expiry is judged by the database's clock.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    distinct,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charger import LeaseAnswer, SiteLease
from storage.errors import NotFound
from storage.parked import DOWNLOAD
from storage.postgres.engine import reading, transaction
from storage.postgres.prepared import Prepared
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
    site_lease.c.campaign_id,
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
    charger_id, site_id, workflow_id, kind, expires_at, request_id, wake_on, run, *rest = row[:10]
    return SiteLease(
        charger_id, site_id, workflow_id, kind, expires_at, request_id, tuple(wake_on), run, *rest
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
            others, holder, left_over, group = await _state(connection, site_id, lease.charger_id)
            if holder is not None and holder != (lease.workflow_id, lease.run):
                return LeaseAnswer(granted=False, down=others + 1, max_down=max_down, holder=holder[0])
            stays = lease.kind == DOWNLOAD
            if holder is None and others >= max_down and not stays:
                return LeaseAnswer(granted=False, down=others, max_down=max_down)
            if (
                group is not None
                and holder is None
                and not stays
                and (full := await _full_group(connection, site_id, lease.charger_id, group))
            ):
                return full
            if holder is None and rules and (why := await refused(connection, lease, site_id, rules)):
                return LeaseAnswer(granted=False, down=others, max_down=max_down, refusal=why)
            if left_over:
                await connection.execute(_CLOSE, {"of": lease.charger_id})
            await _write(connection, lease, site_id)
            return LeaseAnswer(granted=True, down=others + (not stays), max_down=max_down)

    async def release(self, charger_id: str, workflow_id: str, *, run: str = "") -> bool:
        """Whether there was something to release."""
        return bool(await _RELEASE.rows(self._engine, of=charger_id, holder=workflow_id, of_run=run))

    async def get(self, charger_id: str) -> SiteLease | None:
        """The lease that holds now; an expired one is none."""
        row = await _GET.row(self._engine, of=charger_id)
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
        return [lease_of(row) for row in await _SWEEP.rows(self._engine)]


def _closing(*which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Remove leases and book how long each took its charger away (X13), in one statement."""
    ended = func.least(site_lease.c.expires_at, func.now()).label("ended")
    gone = (
        delete(site_lease).where(*which).returning(*LEASE_COLUMNS, site_lease.c.taken_at, ended).cte("gone")
    )
    away = select(
        gone.c.charger_id, gone.c.site_id, gone.c.kind, gone.c.taken_at, gone.c.ended, gone.c.campaign_id
    )
    away = away.where(gone.c.ended > gone.c.taken_at, gone.c.kind != DOWNLOAD)
    names = ["charger_id", "site_id", "kind", "began", "ended", "campaign_id"]
    booked = insert(downtime).from_select(names, away).cte("booked")
    return select(gone).add_cte(booked)


_OF = site_lease.c.charger_id == bindparam("of")
_GET = Prepared(select(*LEASE_COLUMNS).where(_OF, ALIVE))
_RELEASE = Prepared(
    _closing(_OF, site_lease.c.workflow_id == bindparam("holder"), site_lease.c.run == bindparam("of_run"))
)
_CLOSE = _closing(_OF)
_SWEEP = Prepared(_closing(site_lease.c.expires_at <= func.now()))


_LOCK_SITE = (
    select(site.c.site_id, site.c.max_down, site.c.rules)
    .join(charger, charger.c.site_id == site.c.site_id)
    .where(charger.c.charger_id == bindparam("of"))
    .with_for_update(of=site, key_share=True)
)


async def _lock_site(connection: AsyncConnection, charger_id: str) -> tuple[str, int, dict[str, Any]]:
    row = (await connection.execute(_LOCK_SITE, {"of": charger_id})).one_or_none()
    if row is None:
        raise NotFound("charger", charger_id)
    return row.site_id, row.max_down, row.rules


class _State(NamedTuple):
    """How it is at a site, and with one charger of it."""

    others: int
    """Other chargers of the site that are away."""
    holder: tuple[str, str] | None
    """(workflow, run) on this very one."""
    left_over: bool
    """Nobody holds it any more, and the lease of somebody who did is still there."""
    group: str | None
    """The load group that is desired for it."""


def _reading_state() -> Select[*tuple[Any, ...]]:
    away, own, of = AWAY.subquery(), twin_section.alias(), bindparam("of", type_=Text)
    others = select(func.count(distinct(away.c.charger_id))).where(
        away.c.site_id == bindparam("at"), away.c.charger_id != of
    )
    group = select(own.c.desired["load_group"].astext).where(own.c.charger_id == of, own.c.name == POWER)
    return (
        select(
            others.scalar_subquery().label("others"),
            site_lease.c.workflow_id,
            site_lease.c.run,
            ALIVE.label("alive"),
            group.scalar_subquery().label("load_group"),
        )
        .select_from(charger.outerjoin(site_lease, site_lease.c.charger_id == charger.c.charger_id))
        .where(charger.c.charger_id == of)
    )


_STATE = _reading_state()


async def _state(connection: AsyncConnection, site_id: str, charger_id: str) -> _State:
    """Read after the lock, in one statement."""
    row = (await connection.execute(_STATE, {"of": charger_id, "at": site_id})).one()
    holder = (row.workflow_id, row.run) if row.alive else None
    return _State(row.others, holder, row.alive is False, row.load_group)


async def _full_group(
    connection: AsyncConnection, site_id: str, charger_id: str, group: str
) -> LeaseAnswer | None:
    """The refusal, if so many of its load group at this site are away that no further one may (F33)."""
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


def _writing() -> Insert:
    statement = insert(site_lease)
    new = statement.excluded
    same = site_lease.c.workflow_id == new.workflow_id
    return statement.on_conflict_do_update(
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
            "campaign_id": new.campaign_id,
            "taken_at": case(
                (and_(~TAKES_AWAY, new.kind != DOWNLOAD), func.now()), else_=site_lease.c.taken_at
            ),
        },
    )


_WRITE = _writing()


async def _write(connection: AsyncConnection, lease: SiteLease, site_id: str) -> None:
    row = {
        "charger_id": lease.charger_id,
        "site_id": site_id,
        "workflow_id": lease.workflow_id,
        "kind": lease.kind,
        "expires_at": lease.expires_at,
        "request_id": lease.request_id,
        "wake_on": list(lease.wake_on),
        "run": lease.run,
        "download_bytes": lease.download_bytes,
        "campaign_id": lease.campaign_id,
    }
    await connection.execute(_WRITE, row)
