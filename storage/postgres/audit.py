"""The audit log: appended under the lock of its head row, so that the chain has one end, never two."""

from collections.abc import Sequence
from datetime import UTC

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry, AuditRow, chain_hash
from storage.codec import to_json
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import audit, audit_head


class PostgresAuditLog:
    """A row read again hashes to the same value: its detail is kept as text, its time in UTC."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Add one act at the end of the chain."""
        async with transaction(self._engine) as connection:
            return await append_entry(connection, entry)

    async def rows(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditRow]:
        """By number."""
        query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
        async with reading(self._engine) as connection:
            return [
                AuditRow(
                    number=row.number,
                    entry=AuditEntry(row.at, row.actor, row.action, row.subject, row.detail),
                    previous_hash=row.previous_hash,
                    row_hash=row.row_hash,
                )
                for row in await connection.execute(query)
            ]


async def append_entry(connection: AsyncConnection, entry: AuditEntry) -> AuditRow:
    """Within a transaction that does what is told: neither without the other. Near its end, as it queues."""
    entry = _as_stored(entry)
    head = (await connection.execute(select(audit_head).with_for_update())).one()
    number = head.number + 1
    row = AuditRow(number, entry, head.row_hash, chain_hash(number, head.row_hash, entry))
    await connection.execute(
        insert(audit).values(
            number=number,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
            previous_hash=row.previous_hash,
            row_hash=row.row_hash,
        )
    )
    await connection.execute(update(audit_head).values(number=number, row_hash=row.row_hash))
    return row


def _as_stored(entry: AuditEntry) -> AuditEntry:
    """The entry exactly as it will be read again; only that may be hashed."""
    return AuditEntry(
        at=entry.at.astimezone(UTC),
        actor=_storable(entry.actor),
        action=_storable(entry.action),
        subject=_storable(entry.subject),
        detail=to_json(entry.detail),
    )


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd")
