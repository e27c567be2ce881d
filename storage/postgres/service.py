"""How chargers served: the projection beside the hot path, and its sums by site, version or charger."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Double, Row, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charger import STALE_AFTER
from storage.codec import decode, decode_json
from storage.health import Watermark
from storage.postgres.engine import reading, transaction
from storage.postgres.projections import BUSY, Tail, memories_of, step
from storage.postgres.recordset import Upsert, as_row, excluded
from storage.postgres.selecting import one_of
from storage.postgres.tables import charger, projection, service_day, service_memory
from storage.service import (
    SUMMED,
    GroupBy,
    Metering,
    ServiceChange,
    ServiceDay,
    ServiceFold,
    ServiceGroup,
    ServiceMemory,
    ServiceReport,
    Standing,
    spent,
)
from storage.twin import Lifecycle
from storage.watching import Progress

SERVICE = "service"
REPORTS_AT_ONCE = 4
"""In one process; more wait for their turn: a report sums up to a year of every charger."""
_DAY, _MEMORY = service_day.c, service_memory.c
_STALE = "stale_s"
"""Of how it stands, all but this has a column of its own."""
_STANDING = tuple(each.name for each in fields(Standing) if each.name != _STALE)
Rows = Sequence[Row[*tuple[Any, ...]]]


class PostgresServiceStore:
    """See ``storage.service.ServiceStore``."""

    def __init__(self, engine: AsyncEngine, tail: Tail | None = None) -> None:
        self._engine = engine
        self._tail = tail
        self._seats = asyncio.Semaphore(REPORTS_AT_ONCE)

    async def advance_service(self, fold: ServiceFold, *, limit: int = 1000) -> Progress:
        """One step of the projection."""
        async with step(self._engine, SERVICE, limit, tail=self._tail) as taken:
            if taken is None:
                return BUSY
            if taken.events:
                names = sorted({each.charger_id for each in taken.events})
                known = await _memories(taken.driver, names)
                await _write(taken.driver, fold(known, taken.events))
            return taken.progress

    async def report(
        self, by: GroupBy, since: date, now: datetime, *, charger_ids: Sequence[str] | None = None
    ) -> ServiceReport:
        """Whole days as they are summed, and the time since each charger was last heard."""
        chosen = [one_of(charger_ids)] if charger_ids is not None else []
        async with self._seats, transaction(self._engine) as connection:
            mark = await _mark(connection)
            sums = (await connection.execute(_sums(by, since, chosen))).all()
            standing = (await connection.execute(_standings(by, chosen))).all()
        until = min(now, mark.through or now)
        return ServiceReport(since, until, mark, _groups(sums, standing, since, until))

    async def days(self, charger_id: str, since: date, now: datetime) -> Sequence[tuple[date, ServiceDay]]:
        """All versions of a day together."""
        query = select(_DAY.day, *_summed()).where(_DAY.charger_id == charger_id, _DAY.day >= since)
        query = query.group_by(_DAY.day).order_by(_DAY.day)
        mine = _standings(GroupBy.CHARGER, [charger.c.charger_id == charger_id])
        async with transaction(self._engine) as connection:
            mark = await _mark(connection)
            found = {row.day: _day(row) for row in await connection.execute(query)}
            standing = (await connection.execute(mine)).all()
        days = defaultdict(ServiceDay, found)
        for row in standing:
            for day, more in tail_days(_standing(row), since, min(now, mark.through or now)):
                days[day] = days[day].merged(more)
        return sorted(days.items())

    async def metering(self, charger_id: str) -> Metering:
        """Nothing where it never told anything."""
        query = select(_MEMORY.memory["metering"]).where(_MEMORY.charger_id == charger_id)
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return Metering() if found is None else decode(Metering, found)


def tail(standing: Standing, since: date, until: datetime) -> ServiceDay:
    """The time that is not summed yet: since it was last heard. In one step, for a fleet has many."""
    return spent(standing, max(standing.at, _begin(since)), until)


def tail_days(standing: Standing, since: date, until: datetime) -> Sequence[tuple[date, ServiceDay]]:
    """The same day by day."""
    first = max(standing.at, _begin(since))
    if tail(standing, since, until).unknown_s:
        standing = replace(standing, up=None)  # too long without a word is judged by the whole
    found = []
    while first < until:
        midnight = (first.astimezone(UTC) + timedelta(days=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        end = min(midnight, until)
        found.append((first.astimezone(UTC).date(), spent(standing, first, end)))
        first = end
    return found


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


async def _mark(connection: AsyncConnection) -> Watermark:
    query = select(projection.c.sequence, projection.c.through).where(projection.c.name == SERVICE)
    row = (await connection.execute(query)).one_or_none()
    return Watermark() if row is None else Watermark(row.sequence, row.through)


def _value(by: GroupBy, version: ColumnElement[Any]) -> ColumnElement[Any]:
    columns = {
        GroupBy.SITE: charger.c.site_id,
        GroupBy.VERSION: version,
        GroupBy.MODEL: charger.c.vendor + "/" + charger.c.model,
        GroupBy.OPERATOR: func.coalesce(charger.c.operator, ""),
        GroupBy.CHARGER: charger.c.charger_id,
    }
    return columns[by].label("value")


def _summed() -> list[ColumnElement[Any]]:
    sums: list[ColumnElement[Any]] = [func.sum(_DAY[name]).label(name) for name in SUMMED]
    return [*sums, func.max(_DAY.temperature_max).label("temperature_max")]


def _sums(by: GroupBy, since: date, chosen: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    value = _value(by, _DAY.version)
    names = func.array_agg(_DAY.charger_id.distinct()).label("names")
    joined = service_day.join(charger, charger.c.charger_id == _DAY.charger_id)
    return (
        select(value, names, *_summed()).select_from(joined).where(_DAY.day >= since, *chosen).group_by(value)
    )


def _standings(by: GroupBy, chosen: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    stale_s = cast(_MEMORY.memory["standing"][_STALE].astext, Double)
    current = func.coalesce(stale_s, STALE_AFTER.total_seconds()).label(_STALE)
    columns = [*(_MEMORY[name] for name in _STANDING), current]
    joined = service_memory.join(charger, charger.c.charger_id == _MEMORY.charger_id)
    query = select(_value(by, _MEMORY.version), _MEMORY.charger_id, *columns).select_from(joined)
    # Who is retired stands in no service any more; what it did before still counts.
    return query.where(charger.c.lifecycle != Lifecycle.RETIRED.value, _MEMORY.at.is_not(None), *chosen)


def _groups(sums: Rows, standing: Rows, since: date, until: datetime) -> tuple[ServiceGroup, ...]:
    totals: defaultdict[str, ServiceDay] = defaultdict(ServiceDay)
    members: defaultdict[str, set[str]] = defaultdict(set)
    failing: defaultdict[str, int] = defaultdict(int)
    for row in sums:
        totals[row.value] = _day(row)
        members[row.value] |= set(row.names)
    for row in standing:
        stands = _standing(row)
        members[row.value].add(row.charger_id)
        failing[row.value] += _fails(stands, until)
        totals[row.value] = totals[row.value].merged(tail(stands, since, until))
    return tuple(
        ServiceGroup(value, len(members[value]), failing[value], totals[value]) for value in sorted(members)
    )


def _fails(standing: Standing, at: datetime) -> bool:
    """Also one whose planned absence is over without its coming back."""
    planned = standing.planned_until is not None and at < standing.planned_until
    up = standing.up
    return standing.failing_since is not None or (
        up is not None and not planned and up + standing.parked < 1.0
    )


def _day(row: Row[*tuple[Any, ...]]) -> ServiceDay:
    return ServiceDay(
        **{name: getattr(row, name) or 0 for name in SUMMED}, temperature_max=row.temperature_max
    )


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    return Standing(**{name: getattr(row, name) for name in (*_STANDING, _STALE)})


async def _memories(driver: Any, names: Sequence[str]) -> dict[str, ServiceMemory]:
    rows = await _KNOWN.on(driver, chargers=names)
    return {name: decode_json(ServiceMemory, memory) for name, memory in rows}


async def _write(driver: Any, change: ServiceChange) -> None:
    await _COUNT.on(
        driver,
        [
            {"charger_id": name, "day": day, "version": version, **_sums_of(found)}
            for (name, day, version), found in change.days.items()
        ],
    )
    await _REMEMBER.on(
        driver,
        [
            {
                "charger_id": name,
                "memory": memory,
                **(_stands(memory.standing) if memory.standing else _NOWHERE),
            }
            for name, memory in change.memories.items()
        ],
    )


def _joined() -> dict[str, ColumnElement[Any]]:
    new = excluded(service_day)
    joined: dict[str, ColumnElement[Any]] = {name: _DAY[name] + new[name] for name in SUMMED}
    # greatest leaves null out.
    joined["temperature_max"] = func.greatest(_DAY.temperature_max, new.temperature_max)
    return joined


_KNOWN = memories_of(service_memory)
_COUNT, _REMEMBER = Upsert(service_day, _joined()), Upsert(service_memory)
_sums_of, _stands = as_row(ServiceDay), as_row(Standing)
_NOWHERE: dict[str, Any] = {
    "at": None,
    "version": "",
    "online": False,
    "up": None,
    "parked": 0.0,
    "in_use": 0.0,
    "planned_until": None,
    "failing_since": None,
}
"""Of a charger of which nothing shows yet how it stands."""
