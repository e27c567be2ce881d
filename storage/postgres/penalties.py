"""Which chargers are set apart: the latest penalty of each (R27)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import NotFound
from storage.penalty import Penalty
from storage.postgres.engine import reading, transaction
from storage.postgres.execution_tables import charger_penalty

_COLUMNS = charger_penalty.c
PENALTY_COLUMNS = (
    _COLUMNS.charger_id,
    _COLUMNS.since,
    _COLUMNS.until,
    _COLUMNS.failures,
    _COLUMNS.times,
    _COLUMNS.reason,
    _COLUMNS.released_at,
    _COLUMNS.released_by,
)
STANDING = (_COLUMNS.until > func.now()) & _COLUMNS.released_at.is_(None)


def penalty_of(row: Sequence[Any]) -> Penalty:
    """A penalty from its columns, in the order of the noun."""
    return Penalty(*row[:8])


class PostgresPenaltyStore:
    """See ``storage.penalty.PenaltyStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, charger_id: str) -> Penalty | None:
        """The latest one, in force or not."""
        query = select(*PENALTY_COLUMNS).where(_COLUMNS.charger_id == charger_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return penalty_of(row) if row else None

    async def impose(self, penalty: Penalty) -> bool:
        """The same failures weighed twice at once make one penalty."""
        statement = insert(charger_penalty).values(
            charger_id=penalty.charger_id,
            since=penalty.since,
            until=penalty.until,
            failures=penalty.failures,
            times=penalty.times,
            reason=penalty.reason,
        )
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["charger_id"],
            set_={
                "since": new.since,
                "until": new.until,
                "failures": new.failures,
                "times": new.times,
                "reason": new.reason,
                "released_at": None,
                "released_by": "",
            },
            where=_COLUMNS.times < new.times,
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def release(self, charger_id: str, actor: str, at: datetime) -> Penalty:
        """Raise NotFound if none holds."""
        statement = (
            update(charger_penalty)
            .where(_COLUMNS.charger_id == charger_id, _COLUMNS.until > at, _COLUMNS.released_at.is_(None))
            .values(released_at=at, released_by=actor)
            .returning(*PENALTY_COLUMNS)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise NotFound(
                "charger that is set apart", charger_id, hint="See them: ampwave charger set-apart."
            )
        return penalty_of(row)

    async def in_force(self, now: datetime, *, limit: int = 500) -> Sequence[Penalty]:
        """Those that end first come first."""
        query = (
            select(*PENALTY_COLUMNS)
            .where(_COLUMNS.until > now, _COLUMNS.released_at.is_(None))
            .order_by(_COLUMNS.until, _COLUMNS.charger_id)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [penalty_of(row) for row in await connection.execute(query)]
