"""Sessions that were settled on a day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charging import ChargingSession
from storage.codec import decode
from storage.postgres.engine import reading
from storage.postgres.tables import audit

_SETTLED = text("""
    SELECT coalesce(c.site_id, '') AS site_id, s.record
    FROM charging_session s LEFT JOIN charger c USING (charger_id)
    WHERE s.state IN ('ended', 'abandoned') AND s.record->>'ended_received_at' IS NOT NULL
      AND (s.record->>'ended_received_at')::timestamptz >= :start
      AND (s.record->>'ended_received_at')::timestamptz < :end
    ORDER BY s.charger_id, s.transaction_id
""")
# Of what the projection has not read, the oldest are looked at only.
_UNREAD = text("""
    SELECT EXISTS (
        SELECT FROM event e
        WHERE e.sequence > coalesce((SELECT sequence FROM projection WHERE name = 'sessions'), 0)
          AND e.received_at < :end
    )
""")


class PostgresDailyStore:
    """See ``storage.daily.DailyStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def settled(self, start: datetime, end: datetime) -> Sequence[tuple[str, ChargingSession]]:
        """One scan a day; ordered bytewise, so that the same day gives the same file."""
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_SETTLED, {"start": start, "end": end})).all()
        return [(row.site_id, decode(ChargingSession, row.record)) for row in rows]

    async def first_day(self) -> date | None:
        """By the audit log, which is never shortened."""
        async with reading(self._engine) as connection:
            at = (
                await connection.execute(select(audit.c.at).where(audit.c.number == 1))
            ).scalar_one_or_none()
        return at.astimezone(UTC).date() if at else None

    async def has_read(self, end: datetime) -> bool:
        """Whether no event of before is still to be read."""
        async with reading(self._engine) as connection:
            return not (await connection.execute(_UNREAD, {"end": end})).scalar_one()
