"""Reading what happened."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.chronicle import Entry, TimelineQuestion
from storage.events import EventKind, StoredEvent
from storage.ports import Page
from storage.postgres.chronicle import read_chronicle
from storage.postgres.engine import driver_of, reading
from storage.postgres.notifications import Notifications
from storage.postgres.statements import EVENTS_CHANNEL
from storage.postgres.tables import event, outbox, twin_history

_LAST_GIVEN_OUT = "SELECT clock_timestamp(), last_value - (NOT is_called)::int FROM event_sequence"
_OLDEST_IN_FLIGHT = """
    SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = x'0A00'::int
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

STORED = (
    event.c.sequence,
    event.c.charger_id,
    event.c.kind,
    event.c.body,
    event.c.observed_at,
    event.c.received_at,
)


def stored_event(row: Row[*tuple[Any, ...]]) -> StoredEvent:
    """An event from its columns, in the order of the noun."""
    sequence, charger_id, kind, body, observed_at, received_at = row[:6]
    return StoredEvent(sequence, charger_id, EventKind(kind), body, observed_at, received_at)


class PostgresEventStore:
    """Timelines, the tail of everything, and the history of twins."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._notifications = Notifications(engine, EVENTS_CHANNEL)

    async def timeline(
        self, charger_id: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[StoredEvent]:
        """Newest first by the time we received it; ``before`` is the sequence of the last one seen."""
        position = tuple_(event.c.received_at, event.c.sequence)
        query = select(*STORED).where(event.c.charger_id == charger_id)
        if before is not None:
            last_seen = select(event.c.received_at, event.c.sequence).where(event.c.sequence == before)
            query = query.where(position < last_seen.scalar_subquery())
        query = query.order_by(event.c.received_at.desc(), event.c.sequence.desc()).limit(limit)
        async with reading(self._engine) as connection:
            return [stored_event(row) for row in await connection.execute(query)]

    async def chronicle(
        self, charger_id: str, question: TimelineQuestion, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Entry]:
        """See ``storage.ports.EventStore``."""
        async with reading(self._engine) as connection:
            return await read_chronicle(connection, charger_id, question, limit, cursor)

    async def after(self, sequence: int, *, limit: int = 500) -> Sequence[StoredEvent]:
        """In order, up to the first number that is given out and not yet committed or given up."""
        async with reading(self._engine) as connection:
            _, settled = await settled_end(await driver_of(connection))
            query = (
                select(*STORED)
                .where(event.c.sequence > sequence, event.c.sequence <= settled)
                .order_by(event.c.sequence)
                .limit(limit)
            )
            return [stored_event(row) for row in await connection.execute(query)]

    async def latest_sequence(self) -> int:
        """Every event up to this number can be read now, and no other will ever get one of them."""
        async with reading(self._engine) as connection:
            return (await settled_end(await driver_of(connection)))[1]

    async def since(self, charger_id: str, instant: datetime, kinds: Sequence[str]) -> Sequence[StoredEvent]:
        """Received at or after ``instant``, oldest first; no ``kinds`` means all of them."""
        query = select(*STORED).where(event.c.charger_id == charger_id, event.c.received_at >= instant)
        if kinds:
            query = query.where(event.c.kind.in_(kinds))
        query = query.order_by(event.c.received_at, event.c.sequence)
        async with reading(self._engine) as connection:
            return [stored_event(row) for row in await connection.execute(query)]

    async def signals_late(self) -> float:
        """By the database's clock; of the outbox, whose oldest row is the first of its key."""
        late = func.extract("epoch", func.now() - event.c.received_at)
        query = select(late).join(outbox, outbox.c.sequence == event.c.sequence).order_by(outbox.c.outbox_id)
        async with reading(self._engine) as connection:
            found = (await connection.execute(query.limit(1))).scalar_one_or_none()
        return max(0.0, float(found or 0.0))

    async def history(self, charger_id: str, *, limit: int = 100) -> Sequence[dict[str, Any]]:
        """Newest first; an event that changed several sections gives several rows of one revision."""
        columns = twin_history.c
        query = (
            select(
                columns.revision,
                columns.section,
                columns.side,
                columns.patch,
                columns.actor,
                columns.cause,
                columns.observed_at,
                columns.received_at,
            )
            .where(columns.charger_id == charger_id)
            .order_by(columns.revision.desc(), columns.section)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """Beats at once, then whenever events were committed, and every few seconds regardless."""
        return self._notifications.subscribe()


async def settled_end(driver: Any) -> tuple[datetime, int]:
    """The highest number below which nothing is in flight any more, and when that was so.

    Two statements in this order and then the one that reads, each with a snapshot of its own, make it
    safe: a writer locks before it takes numbers, and lets go after its rows can be seen. Numbers up to
    ``_LAST_GIVEN_OUT`` belong to writers that hold their lock now, or ended before now.
    """
    at, given_out = await driver.fetchrow(_LAST_GIVEN_OUT)
    in_flight: int | None = await driver.fetchval(_OLDEST_IN_FLIGHT)
    return at, given_out if in_flight is None else min(given_out, in_flight)
