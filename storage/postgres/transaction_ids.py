"""Allotting the integer session ids of OCPP 1.6."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import transaction
from storage.postgres.tables import transaction_id


class PostgresTransactionIds:
    """The same start gets the same id, also from two nodes at once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def allot(self, charger_id: str, start_key: str) -> int:
        """See ``storage.ports.TransactionIds``."""
        columns = transaction_id.c
        known = select(columns.transaction_id).where(
            columns.charger_id == charger_id, columns.start_key == start_key
        )
        new = (
            insert(transaction_id)
            .values(charger_id=charger_id, start_key=start_key)
            .on_conflict_do_nothing()
            .returning(columns.transaction_id)
        )
        async with transaction(self._engine) as connection:
            for statement in (known, new):
                found: int | None = (await connection.execute(statement)).scalar_one_or_none()
                if found is not None:
                    return found
            # Another transaction allotted it while we tried; it is committed now.
            allotted: int = (await connection.execute(known)).scalar_one()
            return allotted
