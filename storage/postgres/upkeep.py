"""What people say of chargers and sites, and the ledger of planned downtime."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.campaign import ROLLBACK_WAVE_BASE, CampaignPhase
from storage.canonical import digest
from storage.errors import Conflict, NotFound
from storage.parked import DOWNLOAD
from storage.postgres.chain import standings
from storage.postgres.columns import Time
from storage.postgres.engine import reading, transaction
from storage.postgres.load_groups import full_groups
from storage.postgres.prepared import Prepared
from storage.postgres.site_budget import rooms
from storage.postgres.tables import (
    campaign,
    campaign_target,
    charger_upkeep,
    closure,
    downtime,
    drift,
    metering,
    site_lease,
)
from storage.twin_schema import Severity
from storage.upkeep import Before, Booking, Claimant, Link, Metering, Rival, SiteRoom, Surrounding, Upkeep
from storage.windows import Closure, ClosureKind

_AT_WORK = tuple(
    phase.value for phase in (CampaignPhase.RUNNING, CampaignPhase.PAUSED, CampaignPhase.ROLLING_BACK)
)


_CLOSURES = Prepared(
    select(closure)
    .where(closure.c.ends > bindparam("begin"), closure.c.begins < bindparam("end"))
    .order_by(closure.c.begins, closure.c.closure_id)
)
_UPKEEP = Prepared(
    select(charger_upkeep).where(charger_upkeep.c.charger_id == any_(bindparam("ids", type_=ARRAY(Text))))
)


class PostgresUpkeepStore:
    """See ``storage.upkeep.UpkeepStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def put_upkeep(self, upkeep: Upkeep, only: Collection[str] | None = None) -> None:
        """In one statement, so that two people who say different things at once are both heard."""
        values = {
            "hold": upkeep.hold,
            "hold_until": upkeep.hold_until,
            "pin": upkeep.pin,
            "link": upkeep.link.value if upkeep.link else None,
            "power_kw": upkeep.power_kw,
            "connector_types": list(upkeep.connector_types),
            "changed_by": upkeep.changed_by,
        }
        statement = insert(charger_upkeep).values(charger_id=upkeep.charger_id, **values)
        kept = {name: each for name, each in values.items() if only is None or name in {*only, "changed_by"}}
        statement = statement.on_conflict_do_update(index_elements=["charger_id"], set_=kept)
        try:
            async with transaction(self._engine) as connection:
                await connection.execute(statement)
        except Conflict as error:
            raise NotFound("charger", upkeep.charger_id) from error

    async def upkeep(self, charger_ids: Sequence[str]) -> Mapping[str, Upkeep]:
        """Of those of whom anything was said."""
        rows = await _UPKEEP.rows(self._engine, ids=list(charger_ids))
        return {row.charger_id: _said(row) for row in rows}

    async def surrounding(
        self, claimant: Claimant, charger_ids: Sequence[str], *, downtime_since: datetime | None
    ) -> Surrounding:
        """See the port."""
        async with reading(self._engine) as connection:
            return Surrounding(
                upkeep=await _upkeep(connection, charger_ids),
                doubts=await _doubts(connection, charger_ids),
                rivals=await _rivals(connection, claimant, charger_ids),
                before=await standings(connection, claimant.after, charger_ids) if claimant.after else {},
                downtime=await _bookings(connection, charger_ids, downtime_since) if downtime_since else {},
                full_groups=await full_groups(connection, charger_ids),
            )

    async def bookings(
        self, charger_ids: Sequence[str], since: datetime
    ) -> Mapping[str, tuple[Booking, ...]]:
        """See the port."""
        async with reading(self._engine) as connection:
            return await _bookings(connection, charger_ids, since)

    async def before(self, after: str, charger_ids: Sequence[str]) -> Mapping[str, Before]:
        """See the port."""
        async with reading(self._engine) as connection:
            return await standings(connection, after, charger_ids)

    async def rooms(self, site_ids: Sequence[str]) -> Mapping[str, SiteRoom]:
        """See the port."""
        async with reading(self._engine) as connection:
            return await rooms(connection, site_ids)

    async def put_closures(self, closures: Sequence[Closure]) -> Sequence[Closure]:
        """Raise NotFound where a site is unknown; nothing is stored then."""
        rows = [_row(one) for one in closures]
        if rows:
            try:
                async with transaction(self._engine) as connection:
                    await connection.execute(insert(closure).on_conflict_do_nothing(), rows)
            except Conflict as error:
                sites = sorted({one.site_id for one in closures if one.site_id})
                raise NotFound("site", " or ".join(sites)) from error
        return [_closure(row) for row in rows]

    async def closures(self, begin: datetime, end: datetime) -> Sequence[Closure]:
        """See the port."""
        return [_closure(row._asdict()) for row in await _CLOSURES.rows(self._engine, begin=begin, end=end)]

    async def remove_closure(self, closure_id: str) -> bool:
        """Whether there was one."""
        statement = delete(closure).where(closure.c.closure_id == closure_id)
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def put_metering(self, given: Metering) -> None:
        """In place of what was said before."""
        values = {
            "countries": list(given.countries),
            "reason": given.reason,
            "actor": given.actor,
            "at": given.at,
        }
        statement = insert(metering).values(artifact_id=given.artifact_id, **values)
        statement = statement.on_conflict_do_update(index_elements=["artifact_id"], set_=values)
        try:
            async with transaction(self._engine) as connection:
                await connection.execute(statement)
        except Conflict as error:
            raise NotFound("artifact", given.artifact_id) from error

    async def metering(self, artifact_id: str) -> Metering | None:
        """None: it does not affect metering."""
        query = select(metering).where(metering.c.artifact_id == artifact_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Metering(row.artifact_id, tuple(row.countries), row.reason, row.actor, row.at)


def _among(column: ColumnElement[str], names: Sequence[str]) -> ColumnElement[bool]:
    return column == any_(cast(list(names), ARRAY(Text)))


async def _upkeep(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Upkeep]:
    query = select(charger_upkeep).where(_among(charger_upkeep.c.charger_id, names))
    return {row.charger_id: _said(row) for row in await connection.execute(query)}


def _said(row: Any) -> Upkeep:
    return Upkeep(
        row.charger_id,
        row.hold,
        row.hold_until,
        row.pin,
        Link(row.link) if row.link else None,
        row.power_kw,
        tuple(row.connector_types),
        row.changed_by,
    )


async def _doubts(connection: AsyncConnection, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    columns = drift.c
    query = select(columns.charger_id, columns.path).where(
        _among(columns.charger_id, names),
        columns.state == "open",
        columns.severity == Severity.CRITICAL.value,
        # Another version than is desired, without suspicion, is what an update mends.
        not_(and_(columns.path == "firmware.version", columns.suspicion == "")),
    )
    found: dict[str, tuple[str, ...]] = {}
    for charger_id, path in await connection.execute(query.order_by(columns.charger_id, columns.path)):
        found[charger_id] = (*found.get(charger_id, ()), path)
    return found


async def _rivals(connection: AsyncConnection, claimant: Claimant, names: Sequence[str]) -> dict[str, Rival]:
    """A rollback goes before everything, then the higher priority, then the earlier campaign."""
    target, other = campaign_target.c, campaign.c
    earlier = tuple_(other.created_at, other.campaign_id) < tuple_(
        literal(claimant.created_at, Time), claimant.campaign_id
    )
    first = or_(
        target.wave >= ROLLBACK_WAVE_BASE,
        other.priority > claimant.priority,
        and_(other.priority == claimant.priority, earlier),
    )
    query = (
        select(target.charger_id, other.campaign_id, other.priority)
        .join(campaign, other.campaign_id == target.campaign_id)
        .where(
            target.finished_at.is_(None),
            _among(target.charger_id, names),
            other.campaign_id != claimant.campaign_id,
            other.phase.in_(_AT_WORK),
            first,
        )
        .order_by(target.wave.desc(), other.priority.desc(), other.created_at, other.campaign_id)
    )
    found: dict[str, Rival] = {}
    for charger_id, campaign_id, priority in await connection.execute(query):
        found.setdefault(charger_id, Rival(campaign_id, priority))
    return found


async def _bookings(
    connection: AsyncConnection, names: Sequence[str], since: datetime
) -> dict[str, tuple[Booking, ...]]:
    """What is booked, and what the leases that hold now have taken so far."""
    start, leased = bindparam("since", since, Time), site_lease.c
    booked = select(
        downtime.c.charger_id,
        downtime.c.began,
        downtime.c.ended,
        downtime.c.kind,
        downtime.c.campaign_id,
        literal(False).label("lasts"),  # noqa: FBT003 - a value of SQL
    ).where(
        _among(downtime.c.charger_id, names), downtime.c.ended > start, downtime.c.ended > downtime.c.began
    )
    running = select(
        leased.charger_id,
        leased.taken_at,
        func.least(leased.expires_at, func.now()),
        leased.kind,
        leased.campaign_id,
        leased.expires_at > func.now(),
    ).where(_among(leased.charger_id, names), leased.kind != DOWNLOAD)
    both = union_all(booked, running).subquery()
    found: dict[str, list[Booking]] = {}
    for row in await connection.execute(select(both).order_by(both.c.charger_id, both.c.began)):
        booking = Booking(row.began, row.ended, row.kind, row.campaign_id, row.lasts)
        found.setdefault(row.charger_id, []).append(booking)
    return {charger_id: tuple(books) for charger_id, books in found.items()}


def _row(given: Closure) -> dict[str, Any]:
    values: dict[str, Any] = {
        "begins": given.begins,
        "ends": given.ends,
        "kind": given.kind.value,
        "reason": given.reason,
        "site_id": given.site_id,
        "price": given.price,
    }
    return {"closure_id": digest(values)[:16], **values}


def _closure(row: Any) -> Closure:
    return Closure(
        row["begins"],
        row["ends"],
        ClosureKind(row["kind"]),
        row["reason"],
        row["site_id"],
        row["price"],
        row["closure_id"],
    )
