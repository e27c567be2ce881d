"""What the Idempotency-Keys of people's acts were used for."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import transaction
from storage.postgres.tables import request_key

_COLUMNS = request_key.c


class PostgresRequestKeyStore:
    """See ``storage.operator_ports.RequestKeyStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, act_id: str, request_sha256: str, at: datetime) -> str:
        """The first claim stands, also of two at once."""
        statement = insert(request_key).values(act_id=act_id, request_sha256=request_sha256, at=at)
        query = select(_COLUMNS.request_sha256).where(_COLUMNS.act_id == act_id)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing())
            return str((await connection.execute(query)).scalar_one())
