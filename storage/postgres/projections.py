"""Incremental projections of the event log; see ``storage.watching.ProjectionStore``.

They run beside the hot path, not in it: an ingest batch pays nothing for them. A step takes the
projection's row (skip locked), reads on as far as no writer is in flight (``events.settled_end``), and
writes records and watermark in one transaction.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charging import OPEN_STATES, ChargingSession
from storage.codec import decode_json
from storage.errors import Conflict
from storage.events import EventKind, StoredEvent
from storage.health import COUNTERS, HealthChange, HealthHour, HealthMemory, Watermark
from storage.health_time import REAL, SECONDS, HealthTime
from storage.postgres.engine import mixed_transaction
from storage.postgres.events import STORED, settled_end, stored_event
from storage.postgres.incidents import apply_changes
from storage.postgres.prepared import Prepared
from storage.postgres.recordset import Upsert, as_row, excluded
from storage.postgres.tables import charging_session, event, health_hour, health_memory, projection
from storage.watching import HealthFold, Progress, SessionFold, Sessions

SESSIONS, HEALTH = "sessions", "health"
UNDER_WAY = timedelta(seconds=30)
"""How long an event may be on its way from a node's clock to its commit, clocks that differ included."""
BUSY = Progress(None, Watermark())
Read = tuple[Sequence[StoredEvent], Watermark]
"""Events, and how far has been read with them."""


_NAMED = projection.c.name == bindparam("projection")
_TAKE = Prepared(select(projection.c.sequence).where(_NAMED).with_for_update(skip_locked=True))
_BEGIN = Prepared(
    insert(projection)
    .values(name=bindparam("projection"), sequence=0)
    .on_conflict_do_nothing()
    .returning(projection.c.sequence)
)
_NEXT_EVENTS = (
    select(*STORED)
    .where(event.c.sequence > bindparam("last"), event.c.sequence <= bindparam("until"))
    .order_by(event.c.sequence)
    .limit(bindparam("at_most", type_=BigInteger))
)
_NEXT = Prepared(_NEXT_EVENTS)
_NEXT_OF_KINDS = Prepared(_NEXT_EVENTS.where(event.c.kind == any_(bindparam("kinds", type_=ARRAY(Text)))))
_MOVE_ON = Prepared(
    update(projection).where(_NAMED).values(sequence=bindparam("reached"), through=bindparam("heard"))
)


class Tail:
    """The newest events as one projection has just read them, for the others of its process.

    They were settled, so no others come in between; a step that takes them reaches what the reader did.
    """

    def __init__(self) -> None:
        self._by, self._since = "", 0
        self._read: Read = ((), Watermark())

    def keep(self, by: str, since: int, read: Read) -> None:
        """Every event after ``since`` and up to a watermark; instead of what was kept before."""
        self._by, self._since, self._read = by, since, read

    def after(self, by: str, last: int, limit: int, kinds: Collection[EventKind]) -> Read | None:
        """As if it were read now; None: there may be newer ones, for which the reader itself always looks."""
        events, mark = self._read
        if by == self._by or not self._since <= last < mark.sequence:
            return None
        found = [each for each in events if each.sequence > last and (not kinds or each.kind in kinds)]
        return (found, mark) if len(found) <= limit else None


class PostgresProjectionStore:
    """Session records and health hours."""

    def __init__(self, engine: AsyncEngine, time: HealthTime = REAL, tail: Tail | None = None) -> None:
        self._engine = engine
        self._time = time
        self._tail = tail
        self._agreed = False
        """Whether the hours that are kept are known to be as long as ours."""

    async def advance_sessions(
        self, fold: SessionFold, *, limit: int = 1000, kinds: Collection[EventKind] = ()
    ) -> Progress:
        """One step of the session records."""
        async with step(self._engine, SESSIONS, limit, kinds, self._tail) as taken:
            if taken is None:
                return BUSY
            if taken.events:
                known = await _sessions(taken.connection, taken.events)
                change = fold(known, taken.events)
                await _RECORD.on(taken.driver, [_session_row(each) for each in change.sessions.values()])
                await apply_changes(taken.connection, change.incidents)
            return taken.progress

    async def advance_health(self, fold: HealthFold, *, limit: int = 1000) -> Progress:
        """One step of the health hours. Raises Conflict where hours of another length are kept."""
        async with step(self._engine, HEALTH, limit, tail=self._tail) as taken:
            if taken is None:
                return BUSY
            if not self._agreed:
                await _agree(taken.connection, self._time)
                self._agreed = True
            if taken.events:
                known = await _memories(taken.driver, taken.events)
                await _write_health(taken.driver, fold(known, taken.events))
            return taken.progress


@dataclass(frozen=True, slots=True)
class Step:
    """What was read, and how far the projection will have come."""

    connection: AsyncConnection
    driver: Any
    """Below that connection, in the same transaction."""
    events: Sequence[StoredEvent]
    progress: Progress


@asynccontextmanager
async def step(
    engine: AsyncEngine, name: str, limit: int, kinds: Collection[EventKind] = (), tail: Tail | None = None
) -> AsyncIterator[Step | None]:
    """The next events of a projection, its row locked until they are dealt with; None: another is at it."""
    async with mixed_transaction(engine) as (connection, driver):
        last = await _take(driver, name)
        if last is None:
            yield None
            return
        read = tail.after(name, last, limit, kinds) if tail else None
        if read is None:
            read = await _read_on(driver, last, limit, kinds)
            if tail and not kinds:
                tail.keep(name, last, read)
        events, mark = read
        yield Step(connection, driver, events, Progress(len(events), mark))
        await _MOVE_ON.on(driver, projection=name, reached=mark.sequence, heard=mark.through)


async def _take(driver: Any, name: str) -> int | None:
    """The last number read, its row locked; None: somebody else is at it."""
    rows = await _TAKE.on(driver, projection=name) or await _BEGIN.on(driver, projection=name)
    return rows[0].sequence if rows else None


async def _read_on(driver: Any, last: int, limit: int, kinds: Collection[EventKind]) -> Read:
    """The next events, and the watermark after them. Read to the end, nothing of before now is missing."""
    begun, end = await settled_end(driver)
    given: dict[str, Any] = {"last": last, "until": end, "at_most": limit}
    if kinds:
        rows = await _NEXT_OF_KINDS.on(driver, kinds=sorted(kinds), **given)
    else:
        rows = await _NEXT.on(driver, **given)
    events = [stored_event(row) for row in rows]
    if len(events) < limit:
        return events, Watermark(max(last, end), begun - UNDER_WAY)
    return events, Watermark(events[-1].sequence, events[-1].received_at - UNDER_WAY)


def memories_of(table: Table) -> Prepared:
    """What is remembered of some ``chargers``, as JSON text."""
    wanted = table.c.charger_id == any_(bindparam("chargers", type_=ARRAY(Text)))
    return Prepared(select(table.c.charger_id, cast(table.c.memory, Text)).where(wanted))


# Session records.


async def _sessions(connection: AsyncConnection, events: Sequence[StoredEvent]) -> Sessions:
    """Every open session of the chargers in the batch, and every one that the batch names."""
    chargers = sorted({each.charger_id for each in events})
    named = sorted(
        {
            (each.charger_id, str(each.body["transaction_id"]))
            for each in events
            if each.body.get("transaction_id") is not None
        }
    )
    table = charging_session.c
    is_open = table.state.in_([state.value for state in sorted(OPEN_STATES)]) & table.charger_id.in_(chargers)
    wanted = or_(is_open, tuple_(table.charger_id, table.transaction_id).in_(named)) if named else is_open
    rows = await connection.execute(select(cast(table.record, Text)).where(wanted))
    found = [decode_json(ChargingSession, record) for record in rows.scalars()]
    return {(each.charger_id, each.transaction_id): each for each in found}


_RECORD = Upsert(charging_session)


def _session_row(session: ChargingSession) -> dict[str, Any]:
    return {
        "charger_id": session.charger_id,
        "transaction_id": session.transaction_id,
        "state": session.state.value,
        "began_at": session.started_received_at or session.heard_at,
        "heard_at": session.heard_at,
        "free_since": session.free_since,
        "asked_at": session.asked_at,
        "record": session,
    }


# Health.


async def _agree(connection: AsyncConnection, time: HealthTime) -> None:
    """Whoever counts first says how long an hour is; hours of two lengths cannot be summed."""
    where = projection.c.name == HEALTH
    kept = await connection.scalar(select(projection.c.hour_s).where(where))
    if (kept or SECONDS) == time.seconds:
        return
    if await connection.scalar(select(exists().select_from(health_hour))):
        raise other_hours(time, kept or SECONDS)
    await connection.execute(update(projection).where(where).values(hour_s=time.seconds))


def other_hours(time: HealthTime, kept: int) -> Conflict:
    """What is kept cannot be read as it is asked for."""
    return Conflict(
        f"This process counts health by hours of {time.seconds} s, the database by hours of {kept} s.",
        hint="Give every process the AMPWAVE_HEALTH_HOUR_S that the database began with.",
    )


async def _memories(driver: Any, events: Sequence[StoredEvent]) -> dict[str, HealthMemory]:
    rows = await _KNOWN.on(driver, chargers=sorted({each.charger_id for each in events}))
    return {charger_id: decode_json(HealthMemory, memory) for charger_id, memory in rows}


async def _write_health(driver: Any, change: HealthChange) -> None:
    await _COUNT.on(
        driver,
        [
            {"charger_id": name, "hour": hour, **_counts(added)}
            for (name, hour), added in change.hours.items()
        ],
    )
    await _REMEMBER.on(
        driver,
        [
            {"charger_id": name, "left_at": memory.left_at, "memory": memory}
            for name, memory in change.memories.items()
        ],
    )


def _joined() -> dict[str, ColumnElement[Any]]:
    new, old = excluded(health_hour), health_hour.c
    joined: dict[str, ColumnElement[Any]] = {each: old[each] + new[each] for each in COUNTERS}
    joined["heard"] = old.heard.op("|")(new.heard)
    # least and greatest leave null out.
    joined["skew_min_s"] = func.least(old.skew_min_s, new.skew_min_s)
    joined["return_max_s"] = func.greatest(old.return_max_s, new.return_max_s)
    return joined


_KNOWN = memories_of(health_memory)
_COUNT, _REMEMBER = Upsert(health_hour, _joined()), Upsert(health_memory)
_counts = as_row(HealthHour)
