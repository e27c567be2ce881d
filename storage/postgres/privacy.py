"""What is kept of people, and for how long: hashes of id tokens, and the records of their sessions (F23).

Nothing of a person is in the audit log, so that erasing leaves its chain as it is.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.charging import OPEN_STATES
from storage.events import EventKind
from storage.postgres.audit import append_entry
from storage.postgres.engine import transaction
from storage.postgres.tables import charging_session, event, projection
from storage.privacy import Erased, Erasure

NAME = "id_tokens"
"""How far events were stripped is kept like the progress of a projection."""
_HASH = "id_token_hash"
_STARTED = EventKind.TRANSACTION_STARTED.value
_STRIP = text("""
    WITH next AS (
        SELECT sequence, kind, received_at < :before AS due FROM event
        WHERE sequence > :last AND received_at < :before + interval '1 hour'
        ORDER BY sequence LIMIT :limit
    ), stripped AS (
        UPDATE event e SET body = e.body - 'id_token_hash' FROM next
        WHERE e.sequence = next.sequence AND next.kind = 'transaction_started' AND e.body ? 'id_token_hash'
    )
    SELECT count(*) FILTER (WHERE due) AS read, max(sequence) FILTER (WHERE due) AS last FROM next
""")
"""Numbers and times of events are not in the very same order: what is nearly due goes with what is due."""


class PostgresPrivacyStore:
    """See ``storage.registry_ports.PrivacyStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def forget_sessions(self, before: datetime, *, limit: int = 5000) -> int:
        """Remove records of sessions that ended and were last heard of before then; how many."""
        table = charging_session.c
        closed = table.state.not_in([state.value for state in sorted(OPEN_STATES)])
        old = (
            select(table.charger_id, table.transaction_id)
            .where(closed, table.heard_at < before)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("old")
        )
        statement = delete(charging_session).where(
            table.charger_id == old.c.charger_id, table.transaction_id == old.c.transaction_id
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount

    async def forget_tokens(self, before: datetime, *, limit: int = 5000) -> int:
        """Take the hash of the id token out of what is older; how many events were looked at."""
        table = charging_session.c
        async with transaction(self._engine) as connection:
            last = await _progress(connection)
            if last is None:
                return 0
            found = (await connection.execute(_STRIP, {"last": last, "before": before, "limit": limit})).one()
            if found.read:
                mine = projection.c.name == NAME
                await connection.execute(update(projection).where(mine).values(sequence=found.last))
            old = (table.record[_HASH].astext.is_not(None), table.heard_at < before)
            await connection.execute(
                update(charging_session).where(*old).values(record=_without(table.record))
            )
        return int(found.read)

    async def erase(self, given: Erasure) -> Erased:
        """Everywhere, now, and audited in the same transaction; the log gets no trace of the token."""
        table, body = charging_session.c, event.c.body
        async with transaction(self._engine) as connection:
            mine = table.record[_HASH].astext == given.id_token_hash
            records = await connection.execute(
                update(charging_session).where(mine).values(record=_without(table.record))
            )
            told = (event.c.kind == _STARTED, body[_HASH].astext == given.id_token_hash)
            events = await connection.execute(update(event).where(*told).values(body=_without(body)))
            erased = Erased(records.rowcount, events.rowcount)
            detail = {"sessions": erased.sessions, "events": erased.events, "reason": given.reason}
            await append_entry(
                connection, AuditEntry(given.at, given.actor, "privacy.erased", "person", detail)
            )
        return erased


def _without(column: Any) -> Any:
    return column.op("-")(_HASH)


async def _progress(connection: AsyncConnection) -> int | None:
    """The last event that was looked at, its row locked; None: somebody else is at it."""
    query = select(projection.c.sequence).where(projection.c.name == NAME).with_for_update(skip_locked=True)
    await connection.execute(
        insert(projection).values(name=NAME, sequence=0, through=func.now()).on_conflict_do_nothing()
    )
    last: int | None = (await connection.execute(query)).scalar_one_or_none()
    return last
