"""Recordings of fleets and forecasts from them, in PostgreSQL."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.health import COUNTERS, HealthHour
from storage.postgres.batch import SEPARATOR
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import campaign_forecast
from storage.recording import Forecast, Recorded

_KEPT = timedelta(days=30)
_BEGUN = sa.text("SELECT min(hour) FROM health_hour WHERE hour >= :since AND heard <> 0")
_SESSIONS = sa.text("""
    SELECT s.charger_id,
           floor(extract(epoch FROM s.began_at - :since) / 60)::int AS begin,
           ceil(extract(epoch FROM coalesce((s.record->>'ended_received_at')::timestamptz, s.heard_at)
                - :since) / 60)::int AS end,
           coalesce((s.record->>'meter_stop_wh')::float8, (s.record->>'register_wh')::float8)
             - (s.record->>'meter_start_wh')::float8 AS energy
    FROM unnest(unpacked(:chargers)) AS given (charger_id) JOIN charging_session s USING (charger_id)
    WHERE s.began_at >= :since AND s.began_at < :until
    ORDER BY s.charger_id, s.began_at, s.transaction_id
""")
_HEARD = sa.text("""
    SELECT h.charger_id,
           string_agg((extract(epoch FROM h.hour - :since) / 3600)::int::text, ' ' ORDER BY h.hour) AS hours
    FROM unnest(unpacked(:chargers)) AS given (charger_id) JOIN health_hour h USING (charger_id)
    WHERE h.hour >= :since AND h.hour < :until AND h.heard <> 0
    GROUP BY h.charger_id
""")
_HOURS = sa.text(f"""
    SELECT h.charger_id, (extract(epoch FROM h.hour - :since) / 3600)::int AS place,
           h.heard, h.skew_min_s, h.return_max_s, {", ".join(f"h.{each}" for each in COUNTERS)}
    FROM unnest(unpacked(:chargers)) AS given (charger_id) JOIN health_hour h USING (charger_id)
    WHERE h.hour >= :since AND h.hour < :until
""")  # noqa: S608 - only names of ours and bound parameters are in it
_FORGET = sa.text("""
    DELETE FROM campaign_forecast f WHERE f.made_at < :before
    AND NOT EXISTS (SELECT FROM campaign c WHERE c.plan_digest = f.plan_digest)
""")


class PostgresRecordingStore:
    """See ``storage.recording.RecordingStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begun(self, since: datetime) -> datetime | None:
        """By the index of hours of one charger after the other: a scan, made once for a forecast."""
        async with reading(self._engine) as connection:
            found: datetime | None = await connection.scalar(_BEGUN, {"since": since})
            return found

    async def read(self, charger_ids: Sequence[str], since: datetime, until: datetime) -> Sequence[Recorded]:
        """Two queries for all of them."""
        given = {"chargers": SEPARATOR.join(charger_ids), "since": since, "until": until}
        sessions: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        async with reading(self._engine) as connection:
            for row in await connection.execute(_SESSIONS, given):
                energy = max(0, round(row.energy)) if row.energy is not None else 0
                sessions[row.charger_id].append((row.begin, max(row.end, row.begin), energy))
            heard = {row.charger_id: row.hours for row in await connection.execute(_HEARD, given)}
        return [_recorded(name, sessions[name], heard.get(name, "")) for name in charger_ids]

    async def hours(
        self, charger_ids: Sequence[str], since: datetime, until: datetime
    ) -> Mapping[str, Mapping[int, HealthHour]]:
        """Every row of theirs."""
        given = {"chargers": SEPARATOR.join(charger_ids), "since": since, "until": until}
        found: defaultdict[str, dict[int, HealthHour]] = defaultdict(dict)
        async with reading(self._engine) as connection:
            for row in (await connection.execute(_HOURS, given)).mappings():
                values: dict[str, Any] = {
                    name: value for name, value in row.items() if name not in ("charger_id", "place")
                }
                found[row["charger_id"]][row["place"]] = HealthHour(**values)
        return found

    async def keep(self, forecast: Forecast) -> None:
        """The later one stays."""
        query = insert(campaign_forecast).values(
            plan_digest=forecast.plan_digest, made_at=forecast.made_at, body=forecast.body
        )
        newer = {"made_at": query.excluded.made_at, "body": query.excluded.body}
        async with transaction(self._engine) as connection:
            await connection.execute(query.on_conflict_do_update(index_elements=["plan_digest"], set_=newer))
            await connection.execute(_FORGET, {"before": forecast.made_at - _KEPT})

    async def forecast(self, plan_digest: str) -> Forecast | None:
        """By its key."""
        table = campaign_forecast.c
        query = sa.select(table.plan_digest, table.made_at, table.body).where(
            table.plan_digest == plan_digest
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
            return Forecast(*row) if row else None


def _recorded(name: str, sessions: Sequence[tuple[int, int, int]], heard: str) -> Recorded:
    return Recorded(
        name,
        [begin for begin, _, _ in sessions],
        [end for _, end, _ in sessions],
        [energy for _, _, energy in sessions],
        [int(hour) for hour in heard.split()],
    )
