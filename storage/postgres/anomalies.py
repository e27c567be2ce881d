"""Reading anomalies; ``statements.NOTE_ANOMALIES`` writes them."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.anomaly import Anomaly
from storage.postgres.engine import reading
from storage.postgres.tables import anomaly

_COLUMNS = anomaly.c


class PostgresAnomalyStore:
    """See ``storage.twin_ports.AnomalyStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def anomalies(self, charger_id: str | None = None, *, limit: int = 200) -> Sequence[Anomaly]:
        """Latest first; None: of the whole fleet."""
        query = select(anomaly).order_by(_COLUMNS.last_seen.desc(), _COLUMNS.path).limit(limit)
        if charger_id is not None:
            query = query.where(_COLUMNS.charger_id == charger_id)
        async with reading(self._engine) as connection:
            return [Anomaly(**row) for row in (await connection.execute(query)).mappings()]
