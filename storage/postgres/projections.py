"""Incremental projections of the event log; see ``storage.watching.ProjectionStore``.

They run beside the hot path, not in it: an ingest batch pays nothing for them. A step takes the
projection's row (skip locked), reads on as far as no writer is in flight (``events.settled_end``), and
writes records and watermark in one transaction.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.charging import OPEN_STATES, ChargingSession
from storage.codec import decode, to_json
from storage.errors import Conflict
from storage.events import EventKind, StoredEvent
from storage.health import COUNTERS, HealthChange, HealthMemory, Watermark
from storage.health_time import REAL, SECONDS, HealthTime
from storage.postgres.engine import transaction
from storage.postgres.events import settled_end, stored_event
from storage.postgres.incidents import apply_changes
from storage.postgres.tables import charging_session, event, health_hour, health_memory, projection
from storage.watching import HealthFold, Progress, SessionChange, SessionFold, Sessions

SESSIONS, HEALTH = "sessions", "health"
UNDER_WAY = timedelta(seconds=30)
"""How long an event may be on its way from a node's clock to its commit, clocks that differ included."""
BUSY = Progress(None, Watermark())


class PostgresProjectionStore:
    """Session records and health hours."""

    def __init__(self, engine: AsyncEngine, time: HealthTime = REAL) -> None:
        self._engine = engine
        self._time = time
        self._agreed = False
        """Whether the hours that are kept are known to be as long as ours."""

    async def advance_sessions(
        self, fold: SessionFold, *, limit: int = 1000, kinds: Collection[EventKind] = ()
    ) -> Progress:
        """One step of the session records."""
        async with step(self._engine, SESSIONS, limit, kinds) as taken:
            if taken is None:
                return BUSY
            if taken.events:
                known = await _sessions(taken.connection, taken.events)
                await _write_sessions(taken.connection, fold(known, taken.events))
            return taken.progress

    async def advance_health(self, fold: HealthFold, *, limit: int = 1000) -> Progress:
        """One step of the health hours. Raises Conflict where hours of another length are kept."""
        async with step(self._engine, HEALTH, limit) as taken:
            if taken is None:
                return BUSY
            if not self._agreed:
                await _agree(taken.connection, self._time)
                self._agreed = True
            if taken.events:
                known = await _memories(taken.connection, taken.events)
                await _write_health(taken.connection, fold(known, taken.events))
            return taken.progress


class Step:
    """What was read, and how far the projection will have come."""

    def __init__(self, connection: AsyncConnection, events: Sequence[StoredEvent], mark: Watermark) -> None:
        self.connection = connection
        self.events = events
        self.progress = Progress(len(events), mark)


@asynccontextmanager
async def step(
    engine: AsyncEngine, name: str, limit: int, kinds: Collection[EventKind] = ()
) -> AsyncIterator[Step | None]:
    """The next events of a projection, its row locked until they are dealt with; None: another is at it."""
    async with transaction(engine) as connection:
        last = await _take(connection, name)
        if last is None:
            yield None
            return
        events, mark = await _read_on(connection, last, limit, kinds)
        yield Step(connection, events, mark)
        where = projection.c.name == name
        await connection.execute(
            update(projection).where(where).values(sequence=mark.sequence, through=mark.through)
        )


async def _take(connection: AsyncConnection, name: str) -> int | None:
    """The last number read, its row locked; None: somebody else is at it."""
    query = select(projection.c.sequence).where(projection.c.name == name).with_for_update(skip_locked=True)
    last: int | None = (await connection.execute(query)).scalar_one_or_none()
    if last is not None:
        return last
    first = insert(projection).values(name=name, sequence=0).on_conflict_do_nothing()
    return 0 if (await connection.execute(first)).rowcount else None


async def _read_on(
    connection: AsyncConnection, last: int, limit: int, kinds: Collection[EventKind]
) -> tuple[list[StoredEvent], Watermark]:
    """The next events, and the watermark after them. Read to the end, nothing of before now is missing."""
    begun: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
    end = await settled_end(connection)
    query = (
        select(
            event.c.sequence,
            event.c.charger_id,
            event.c.kind,
            event.c.body,
            event.c.observed_at,
            event.c.received_at,
        )
        .where(event.c.sequence > last, event.c.sequence <= end)
        .order_by(event.c.sequence)
        .limit(limit)
    )
    if kinds:
        query = query.where(event.c.kind.in_(sorted(kind.value for kind in kinds)))
    events = [stored_event(row) for row in await connection.execute(query)]
    if len(events) < limit:
        return events, Watermark(max(last, end), begun - UNDER_WAY)
    return events, Watermark(events[-1].sequence, events[-1].received_at - UNDER_WAY)


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
    rows = await connection.execute(select(table.record).where(wanted))
    found = [decode(ChargingSession, record) for record in rows.scalars()]
    return {(each.charger_id, each.transaction_id): each for each in found}


async def _write_sessions(connection: AsyncConnection, change: SessionChange) -> None:
    if change.sessions:
        query = insert(charging_session)
        new = query.excluded
        changed = {
            each: new[each] for each in ("state", "began_at", "heard_at", "free_since", "asked_at", "record")
        }
        rows = [_session_row(each) for each in change.sessions.values()]
        await connection.execute(
            query.on_conflict_do_update(index_elements=["charger_id", "transaction_id"], set_=changed), rows
        )
    await apply_changes(connection, change.incidents)


def _session_row(session: ChargingSession) -> dict[str, Any]:
    return {
        "charger_id": session.charger_id,
        "transaction_id": session.transaction_id,
        "state": session.state.value,
        "began_at": session.started_received_at or session.heard_at,
        "heard_at": session.heard_at,
        "free_since": session.free_since,
        "asked_at": session.asked_at,
        "record": to_json(session),
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


async def _memories(connection: AsyncConnection, events: Sequence[StoredEvent]) -> dict[str, HealthMemory]:
    chargers = sorted({each.charger_id for each in events})
    table = health_memory.c
    rows = await connection.execute(
        select(table.charger_id, table.memory).where(table.charger_id.in_(chargers))
    )
    return {charger_id: decode(HealthMemory, memory) for charger_id, memory in rows}


async def _write_health(connection: AsyncConnection, change: HealthChange) -> None:
    if change.hours:
        query = insert(health_hour)
        new, old = query.excluded, health_hour.c
        joined: dict[str, Any] = {each: old[each] + new[each] for each in COUNTERS}
        joined["heard"] = old.heard.op("|")(new.heard)
        # least and greatest leave null out.
        joined["skew_min_s"] = func.least(old.skew_min_s, new.skew_min_s)
        joined["return_max_s"] = func.greatest(old.return_max_s, new.return_max_s)
        rows = [
            {"charger_id": charger_id, "hour": hour, **to_json(counts)}
            for (charger_id, hour), counts in change.hours.items()
        ]
        await connection.execute(
            query.on_conflict_do_update(index_elements=["charger_id", "hour"], set_=joined), rows
        )
    if change.memories:
        remember = insert(health_memory)
        both = {each: remember.excluded[each] for each in ("left_at", "memory")}
        await connection.execute(
            remember.on_conflict_do_update(index_elements=["charger_id"], set_=both),
            [
                {"charger_id": charger_id, "left_at": memory.left_at, "memory": to_json(memory)}
                for charger_id, memory in change.memories.items()
            ],
        )
