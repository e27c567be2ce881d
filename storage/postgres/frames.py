"""Reading the journal of raw frames."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import reading
from storage.postgres.tables import frame

# OCPP-J 4.1: [MessageTypeId, "UniqueId", ...]; 2 is a CALL, 6 a SEND. The journal also holds what is no JSON.
_CALL = r'^\s*\[\s*[26]\s*,\s*"([^"]*)"'


class PostgresFrameStore:
    """See ``storage.ports.FrameStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def message_ids(self, charger_id: str) -> frozenset[str]:
        """The ids of all messages that this charger sent us and that are journaled."""
        found = func.substring(frame.c.text, _CALL)
        query = select(found).where(
            frame.c.charger_id == charger_id, frame.c.direction == "in", found.is_not(None)
        )
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())
