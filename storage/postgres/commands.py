"""Commands of people to single chargers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.codec import decode, to_json
from storage.command import CommandEnd, CommandRecord
from storage.errors import NotFound
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import operator_command

_COLUMNS = operator_command.c


class PostgresCommandStore:
    """One row per command; the first end stands."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self, record: CommandRecord) -> CommandRecord:
        """Write it down; if this id is there already, what is there stands and is returned."""
        statement = insert(operator_command).values(
            command_id=record.command_id,
            charger_id=record.charger_id,
            command=record.command,
            parameters=to_json(record.parameters),
            request_sha256=record.request_sha256,
            actor=record.actor,
            requested_at=record.requested_at,
            deadline_at=record.deadline_at,
        )
        query = select(operator_command).where(_COLUMNS.command_id == record.command_id)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing())
            return _record((await connection.execute(query)).one())

    async def get(self, command_id: str) -> CommandRecord:
        """Raise NotFound."""
        query = select(operator_command).where(_COLUMNS.command_id == command_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound("command", command_id)
        return _record(row)

    async def latest(self, charger_id: str, *, limit: int = 20) -> Sequence[CommandRecord]:
        """Newest first."""
        query = (
            select(operator_command)
            .where(_COLUMNS.charger_id == charger_id)
            .order_by(_COLUMNS.requested_at.desc(), _COLUMNS.command_id)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [_record(row) for row in await connection.execute(query)]

    async def close(self, command_id: str, end: CommandEnd, at: datetime) -> bool:
        """The first end stands; whether this was it."""
        statement = (
            update(operator_command)
            .where(_COLUMNS.command_id == command_id, _COLUMNS.finished_at.is_(None))
            .values(outcome=to_json(end), finished_at=at)
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1


def _record(row: Row[*tuple[Any, ...]]) -> CommandRecord:
    return CommandRecord(
        command_id=row.command_id,
        charger_id=row.charger_id,
        command=row.command,
        parameters=row.parameters,
        request_sha256=row.request_sha256,
        actor=row.actor,
        requested_at=row.requested_at,
        deadline_at=row.deadline_at,
        end=decode(CommandEnd, row.outcome) if row.outcome is not None else None,
        finished_at=row.finished_at,
    )
