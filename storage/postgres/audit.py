"""The audit log: appended under the lock of its head row, so that the chain has one end, never two."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from itertools import count
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry, AuditRow, chain_hash
from storage.canonical import canonical_json
from storage.codec import to_json
from storage.errors import InvalidInput
from storage.postgres.engine import driver_alone, driver_transaction, reading
from storage.postgres.grouped import Grouped
from storage.postgres.tables import audit, audit_head

_BEGIN = "BEGIN; SET LOCAL lock_timeout = '10s'"
_HEAD = "SELECT number, row_hash FROM audit_head FOR UPDATE"
_APPEND = """
WITH moved AS (
    UPDATE audit_head SET number = $9, row_hash = $10 WHERE number = $11 AND row_hash = $12 RETURNING number
)
INSERT INTO audit (number, at, actor, action, subject, detail, previous_hash, row_hash)
SELECT number, at, actor, action, subject, detail::json, previous_hash, row_hash
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[]) AS new (number, at, actor, action, subject, detail, previous_hash, row_hash)
WHERE EXISTS (SELECT FROM moved)
"""
"""Only behind the head that was hashed: where another process has appended since, nothing is written."""


class PostgresAuditLog:
    """A row read again hashes to the same value: its detail is kept as text, its time in UTC.

    What is appended while a group of rows is being written goes into the next one, in the order asked: a
    burst costs one lock and one commit. Who appends has its row, durable, when ``append`` returns. As long
    as nobody else appends, a group is one statement: behind the head that this process left.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: dict[int, AuditEntry] = {}
        self._tickets = count()
        self._groups: Grouped[int, AuditRow] = Grouped(self._append_group)
        self._head: tuple[int, str] | None = None
        """The last row that this process wrote: number and hash."""

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Add one act at the end of the chain. It is written also when the caller is cancelled meanwhile."""
        ticket = next(self._tickets)
        self._waiting[ticket] = _as_stored(entry)
        row = await self._groups.ask(ticket)
        if row is None:
            raise InvalidInput(f"The act {entry.action} cannot be recorded as given.")
        return row

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

    async def _append_group(self, tickets: Sequence[int]) -> Mapping[int, AuditRow]:
        entries = [self._waiting.pop(ticket) for ticket in tickets]
        try:
            rows = await self._write(entries)
        except InvalidInput:
            # One of them cannot be stored; the acts of others must not go unrecorded for it.
            if len(entries) == 1:
                raise
            alone = [await self._write_alone(entry) for entry in entries]
            return {ticket: row for ticket, row in zip(tickets, alone, strict=True) if row is not None}
        return dict(zip(tickets, rows, strict=True))

    async def _write_alone(self, entry: AuditEntry) -> AuditRow | None:
        try:
            return (await self._write([entry]))[0]
        except InvalidInput:
            return None

    async def _write(self, entries: Sequence[AuditEntry]) -> list[AuditRow]:
        rows = await self._write_behind_ours(entries) or await self._write_locked(entries)
        self._head = rows[-1].number, rows[-1].row_hash
        return rows

    async def _write_behind_ours(self, entries: Sequence[AuditEntry]) -> list[AuditRow] | None:
        """In one statement, behind the row that we wrote last; None: it is not the last any more."""
        head, self._head = self._head, None
        if head is None:
            return None
        rows = _chained(entries, *head)
        async with driver_alone(self._engine) as connection:
            done = await connection.execute(_APPEND, *_appended(rows, head))
        return rows if done == f"INSERT 0 {len(rows)}" else None

    async def _write_locked(self, entries: Sequence[AuditEntry]) -> list[AuditRow]:
        async with driver_transaction(self._engine, _BEGIN) as connection:
            number, row_hash = await connection.fetchrow(_HEAD)
            rows = _chained(entries, number, row_hash)
            await connection.execute(_APPEND, *_appended(rows, (number, row_hash)))
        return rows


def _chained(entries: Sequence[AuditEntry], number: int, previous: str) -> list[AuditRow]:
    rows = []
    for place, entry in enumerate(entries, start=number + 1):
        rows.append(AuditRow(place, entry, previous, chain_hash(place, previous, entry)))
        previous = rows[-1].row_hash
    return rows


def _appended(rows: Sequence[AuditRow], head: tuple[int, str]) -> list[Any]:
    """The parameters of ``_APPEND``."""
    return [
        [row.number for row in rows],
        [row.entry.at for row in rows],
        [row.entry.actor for row in rows],
        [row.entry.action for row in rows],
        [row.entry.subject for row in rows],
        [canonical_json(row.entry.detail).decode() for row in rows],
        [row.previous_hash for row in rows],
        [row.row_hash for row in rows],
        rows[-1].number,
        rows[-1].row_hash,
        *head,
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
    """The entry exactly as it will be read again; only that may be hashed.

    Raises InvalidInput for what cannot be written, here, where it is nobody else's trouble.
    """
    try:
        return _stored(entry)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"The act {entry.action} cannot be recorded as given: {error}.") from error


def _stored(entry: AuditEntry) -> AuditEntry:
    made = AuditEntry(
        at=entry.at.astimezone(UTC),
        actor=_storable(entry.actor),
        action=_storable(entry.action),
        subject=_storable(entry.subject),
        detail=to_json(entry.detail),
    )
    canonical_json(made)
    return made


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd")
