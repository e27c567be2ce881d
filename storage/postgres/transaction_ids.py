"""Allotting the integer session ids of OCPP 1.6."""

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import AmpwaveError
from storage.postgres.engine import driver_transaction

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
SELECT known.transaction_id
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS given (charger_id, start_key, place)
JOIN transaction_id known USING (charger_id, start_key) ORDER BY place
"""

_Start = tuple[str, str]


class PostgresTransactionIds:
    """The same start gets the same id, also from two nodes at once.

    Sessions that start while a statement runs share the next one: a depot that starts its whole
    night shift at once takes one connection, not one for each charger.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._asked: dict[_Start, asyncio.Future[int]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def allot(self, charger_id: str, start_key: str) -> int:
        """See ``storage.ports.TransactionIds``."""
        start = (charger_id, start_key)
        if start not in self._asked:
            self._asked[start] = asyncio.get_running_loop().create_future()
        answer = self._asked[start]
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="allot transaction ids")
        # Shielded: somebody else may wait for the same id.
        return await asyncio.shield(answer)

    async def _work(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                await self._answer(asked)
        finally:
            self._worker = None

    async def _answer(self, asked: dict[_Start, asyncio.Future[int]]) -> None:
        try:
            allotted = await self._allot_all(list(asked))
        except BaseException as error:
            for answer in asked.values():
                if isinstance(error, AmpwaveError):
                    answer.set_exception(error)
                else:
                    answer.cancel()
            if not isinstance(error, AmpwaveError):
                raise
            return
        for answer, number in zip(asked.values(), allotted, strict=True):
            answer.set_result(number)

    async def _allot_all(self, starts: Sequence[_Start]) -> list[int]:
        chargers, keys = [start[0] for start in starts], [start[1] for start in starts]
        async with driver_transaction(self._engine, _BEGIN) as connection:
            await connection.execute(_ADD, chargers, keys)
            return [number for (number,) in await connection.fetch(_READ, chargers, keys)]
