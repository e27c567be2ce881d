"""Halts: pulled by one, lifted by two."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.errors import Conflict, NotFound
from storage.halt import EVERYTHING, Halt, OnRecord, Vote, enough
from storage.postgres.audit import append_entry
from storage.postgres.engine import reading, transaction
from storage.postgres.prepared import Prepared
from storage.postgres.record_tables import halt, halt_vote

_IN_FORCE = halt.c.lifted_at.is_(None)


def not_halted() -> ColumnElement[bool]:
    """True in a statement while nobody halted everything."""
    return ~exists(select(halt.c.halt_id).where(_IN_FORCE, halt.c.scope == EVERYTHING))


_STANDING = Prepared(select(halt.c.halt_id).where(_IN_FORCE, halt.c.scope == EVERYTHING))


class PostgresHaltStore:
    """See ``storage.halt.HaltStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def pull(self, scope: str, actor: str, reason: str, at: datetime) -> Halt:
        """In force when this returns; one that is in force already stands, without the votes for its end."""
        values = {"scope": scope, "actor": actor, "reason": reason, "at": at}
        statement = insert(halt).values(**values)
        statement = statement.on_conflict_do_nothing(index_elements=["scope"], index_where=_IN_FORCE)
        standing = select(halt).where(halt.c.scope == scope, _IN_FORCE)
        while True:
            async with transaction(self._engine) as connection:
                await connection.execute(statement)
                locked = (await connection.execute(standing.with_for_update())).one_or_none()
                if locked is None:
                    continue  # Two people lifted the one that stood, in this very moment.
                mine = halt_vote.c.halt_id == locked.halt_id
                await connection.execute(delete(halt_vote).where(mine))
                return (await _read(connection, standing))[0]

    async def restore(self, halt_id: int, vote: Vote, on_record: OnRecord) -> Halt:
        """The row is locked, so that two who vote at once are counted one after the other."""
        query = select(halt).where(halt.c.halt_id == halt_id)
        async with transaction(self._engine) as connection:
            locked = (await connection.execute(query.with_for_update())).one_or_none()
            if locked is None:
                raise NotFound("halt", str(halt_id), hint="See them: ampwave halt list.")
            if locked.lifted_at is not None:
                raise Conflict(f"Halt {halt_id} was lifted at {locked.lifted_at:%Y-%m-%d %H:%M}Z.")
            values = {"halt_id": halt_id, "actor": vote.actor, "reason": vote.reason, "at": vote.at}
            await connection.execute(insert(halt_vote).values(**values).on_conflict_do_nothing())
            found = (await _read(connection, query))[0]
            if enough(found.votes):
                lifted = update(halt).where(halt.c.halt_id == halt_id).values(lifted_at=vote.at)
                await connection.execute(lifted)
                found = (await _read(connection, query))[0]
            await append_entry(connection, on_record(found))
        return found

    async def in_force(self) -> Sequence[Halt]:
        """Oldest first."""
        return await self._select(select(halt).where(_IN_FORCE).order_by(halt.c.halt_id))

    async def recent(self, *, limit: int = 100) -> Sequence[Halt]:
        """Latest first."""
        return await self._select(select(halt).order_by(halt.c.halt_id.desc()).limit(limit))

    async def standing(self) -> Halt | None:
        """The halt in force that stops everything."""
        if not await _STANDING.rows(self._engine):
            return None
        found = await self._select(select(halt).where(_IN_FORCE, halt.c.scope == EVERYTHING))
        return found[0] if found else None

    async def unrecorded(self) -> Sequence[Halt]:
        """Oldest first."""
        return await self._select(select(halt).where(~halt.c.recorded).order_by(halt.c.halt_id))

    async def mark_recorded(self, halt_id: int) -> None:
        """Idempotent."""
        async with transaction(self._engine) as connection:
            await connection.execute(update(halt).where(halt.c.halt_id == halt_id).values(recorded=True))

    async def _select(self, query: Select[tuple[object, ...]]) -> list[Halt]:
        async with reading(self._engine) as connection:
            return await _read(connection, query)


async def _read(connection: AsyncConnection, query: Select[tuple[object, ...]]) -> list[Halt]:
    rows = (await connection.execute(query)).all()
    if not rows:
        return []
    of_these = halt_vote.c.halt_id.in_([row.halt_id for row in rows])
    votes: dict[int, list[Vote]] = {row.halt_id: [] for row in rows}
    for row in await connection.execute(select(halt_vote).where(of_these).order_by(halt_vote.c.at)):
        votes[row.halt_id].append(Vote(row.actor, row.reason, row.at))
    return [
        Halt(row.halt_id, row.scope, row.actor, row.reason, row.at, tuple(votes[row.halt_id]), row.lifted_at)
        for row in rows
    ]
