"""Allotting the integer session ids of OCPP 1.6."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import EngineUnavailable
from storage.postgres.engine import driver_transaction
from storage.postgres.grouped import Grouped

# Need not wait for the disk: an id leaves the node only after the session's own record is committed, which
# comes later in the same log. An id that a crash of the server took back was never told to anybody.
_BEGIN = "BEGIN; SET LOCAL synchronous_commit = off"

_ADD = """
INSERT INTO transaction_id (charger_id, start_key)
SELECT charger_id, start_key FROM unnest($1::text[], $2::text[]) AS given (charger_id, start_key)
WHERE NOT EXISTS (SELECT FROM transaction_id known
                  WHERE known.charger_id = given.charger_id AND known.start_key = given.start_key)
ORDER BY charger_id, start_key
ON CONFLICT DO NOTHING
"""
# A statement of its own: what another transaction allotted while the one above waited for it is seen here.
_READ = """
SELECT charger_id, start_key, known.transaction_id
FROM unnest($1::text[], $2::text[]) AS given (charger_id, start_key)
JOIN transaction_id known USING (charger_id, start_key)
"""

_Start = tuple[str, str]


class PostgresTransactionIds:
    """The same start gets the same id, also from two nodes at once.

    Sessions that start while a statement runs share the next one: a depot that starts its whole
    night shift at once takes one connection, not one for each charger.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._starts: Grouped[_Start, int] = Grouped(self._allot)

    async def allot(self, charger_id: str, start_key: str) -> int:
        """See ``storage.ports.TransactionIds``."""
        allotted = await self._starts.ask((charger_id, start_key))
        if allotted is None:
            raise EngineUnavailable("A transaction id was not allotted.", hint="It is safe to try again.")
        return allotted

    async def _allot(self, starts: Sequence[_Start]) -> dict[_Start, int]:
        chargers, keys = [start[0] for start in starts], [start[1] for start in starts]
        async with driver_transaction(self._engine, _BEGIN) as connection:
            await connection.execute(_ADD, chargers, keys)
            rows = await connection.fetch(_READ, chargers, keys)
        return {(charger_id, start_key): number for charger_id, start_key, number in rows}
