"""Health signals of any set of chargers, in one query together with how far the projection has read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.campaign import Outcome
from storage.health import (
    COUNTERS,
    ChargerSignals,
    ChargerSpan,
    FleetSignals,
    FleetSpans,
    HealthHour,
    SpanQuery,
    Watermark,
)
from storage.health_time import REAL, SECONDS, HealthTime
from storage.postgres.batch import SEPARATOR
from storage.postgres.engine import reading, transaction
from storage.postgres.projections import HEALTH, UNDER_WAY, other_hours
from storage.postgres.tables import health_hour
from storage.watching import Updated

_NEW, _OLD = "h.hour >= :since", "h.hour < :since"


def _sums(prefix: str, condition: str) -> str:
    """Every aggregate of one side, window or baseline."""
    parts = [f"coalesce(sum(h.{each}) FILTER (WHERE {condition}), 0) AS {prefix}_{each}" for each in COUNTERS]
    parts += [
        f"min(h.skew_min_s) FILTER (WHERE {condition}) AS {prefix}_skew_min_s",
        f"max(h.return_max_s) FILTER (WHERE {condition}) AS {prefix}_return_max_s",
        f"coalesce(sum(bit_count(h.heard::bit(64))) FILTER (WHERE {condition}), 0) AS {prefix}_minutes",
    ]
    return ",\n               ".join(parts)


# Only names of ours and bound parameters are in it.
_SIGNALS = text(f"""
    WITH wanted AS (
        SELECT c.charger_id, c.site_id FROM unnest(unpacked(:chargers)) AS given (charger_id)
        JOIN charger c USING (charger_id)
    ), mine AS (
        SELECT w.charger_id,
               max(h.hour) FILTER (WHERE h.attempts > 0) AS last_session_at,
               coalesce(max(h.connects) FILTER (WHERE {_NEW}), 0) AS most_connects,
               {_sums("new", _NEW)},
               count(*) FILTER (WHERE {_NEW} AND h.heard <> 0) AS new_hours,
               count(*) FILTER (WHERE {_OLD} AND h.heard <> 0) AS old_hours,
               {_sums("old", _OLD)}
        FROM wanted w
        LEFT JOIN health_hour h
          ON h.charger_id = w.charger_id AND h.hour >= :before AND h.hour < :until
        GROUP BY w.charger_id
    ), site_attempts AS (
        SELECT c.site_id, sum(h.attempts) AS attempts
        FROM charger c JOIN health_hour h ON h.charger_id = c.charger_id
        WHERE h.hour >= :since AND h.hour < :until AND c.site_id IN (SELECT site_id FROM wanted)
        GROUP BY c.site_id
    )
    SELECT mine.*, mark.sequence, mark.through, memory.left_at, t.online,
           coalesce((link.reported->>'silent')::bool, false) AS silent,
           coalesce(site_attempts.attempts, 0) - mine.new_attempts AS peer_attempts
    FROM (SELECT) AS always
    LEFT JOIN projection mark ON mark.name = :projection
    LEFT JOIN (mine JOIN wanted USING (charger_id)) ON true
    LEFT JOIN site_attempts ON site_attempts.site_id = wanted.site_id
    LEFT JOIN health_memory memory ON memory.charger_id = wanted.charger_id
    LEFT JOIN twin t ON t.charger_id = wanted.charger_id
    LEFT JOIN twin_section link ON link.charger_id = wanted.charger_id AND link.name = 'connectivity'
    ORDER BY wanted.charger_id
""")  # noqa: S608


_IN, _OUT = "h.hour >= w.since", "h.hour < w.before"
_SPANS = text(f"""
    WITH wanted AS (
        SELECT c.charger_id, c.vendor, c.model, c.hardware_revision, c.site_id, given.since, given.before
        FROM unnest(unpacked(:chargers), unpacked(:since)::timestamptz[], unpacked(:before)::timestamptz[])
          AS given (charger_id, since, before)
        JOIN charger c USING (charger_id)
    ), mine AS (
        SELECT w.charger_id,
               count(*) FILTER (WHERE {_IN} AND h.heard <> 0) AS new_heard,
               count(*) FILTER (WHERE {_OUT} AND h.heard <> 0) AS old_heard,
               min(h.hour) FILTER (WHERE {_OUT}) AS old_first,
               coalesce(bool_or(h.heard <> 0) FILTER (
                   WHERE {_OUT} AND h.hour >= w.before - make_interval(secs => :day)), false) AS lately,
               {_sums("new", _IN)},
               {_sums("old", _OUT)}
        FROM wanted w
        LEFT JOIN health_hour h ON h.charger_id = w.charger_id AND h.hour < :until
          AND h.hour >= w.before - make_interval(secs => :baseline)
        GROUP BY w.charger_id
    )
    SELECT *, mark.sequence, mark.through
    FROM (SELECT) AS always
    LEFT JOIN projection mark ON mark.name = :projection
    LEFT JOIN (mine JOIN wanted USING (charger_id)) ON true
""")  # noqa: S608
_READ_TO = text("SELECT through, hour_s FROM projection WHERE name = :projection")
_UPDATED = text("""
    SELECT DISTINCT ON (charger_id) charger_id, campaign_id, to_version, finished_at FROM campaign_target
    WHERE outcome = :outcome AND finished_at >= :since ORDER BY charger_id, finished_at DESC
""")


class PostgresHealthStore:
    """See ``storage.watching.HealthStore``."""

    def __init__(self, engine: AsyncEngine, time: HealthTime = REAL) -> None:
        self._engine = engine
        self._time = time

    @property
    def time(self) -> HealthTime:
        """How long the hours are that are kept."""
        return self._time

    async def signals(
        self, charger_ids: Sequence[str], since: datetime, until: datetime, baseline: timedelta
    ) -> FleetSignals:
        """Sums over the window and the baseline before it, in hours of the server's clock."""
        begin = self._time.begin(since)
        given = {
            "chargers": SEPARATOR.join(charger_ids),
            "since": begin,
            "until": until,
            "before": begin - baseline,
            "projection": HEALTH,
        }
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_SIGNALS, given)).all()
        mark = Watermark(rows[0].sequence or 0, rows[0].through)
        found = tuple(_signals(row) for row in rows if row.charger_id is not None)
        return FleetSignals(mark, begin, until, begin - baseline, found, self._time.hour)

    async def spans(self, queries: Sequence[SpanQuery], until: datetime, baseline: timedelta) -> FleetSpans:
        """In the order of ``queries``. Raises Conflict where hours of another length are kept."""
        async with reading(self._engine) as connection:
            mark = (await connection.execute(_READ_TO, {"projection": HEALTH})).one_or_none()
        if mark and (mark.hour_s or SECONDS) != self._time.seconds:
            raise other_hours(self._time, mark.hour_s or SECONDS)
        # An hour that was not read to its end would pass for one in which little was heard.
        end = self._time.begin(min(until, mark.through + UNDER_WAY) if mark and mark.through else until)
        given = {
            "chargers": SEPARATOR.join(each.charger_id for each in queries),
            "since": SEPARATOR.join(each.since.isoformat() for each in queries),
            "before": SEPARATOR.join(each.before.isoformat() for each in queries),
            "until": end,
            "baseline": baseline.total_seconds(),
            "day": self._time.span(24).total_seconds(),
            "projection": HEALTH,
        }
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_SPANS, given)).all()
        found = {row.charger_id: row for row in rows if row.charger_id is not None}
        spans = tuple(
            _span(found[each.charger_id], each, end, self._time)
            for each in queries
            if each.charger_id in found
        )
        return FleetSpans(Watermark(rows[0].sequence or 0, rows[0].through), spans)

    async def updated(self, since: datetime) -> Sequence[Updated]:
        """The latest one of each charger."""
        async with reading(self._engine) as connection:
            rows = await connection.execute(_UPDATED, {"outcome": Outcome.UPDATED.value, "since": since})
            return [Updated(*row) for row in rows]

    async def forget(self, before: datetime) -> int:
        """Remove hours that no window or baseline needs any more."""
        async with transaction(self._engine) as connection:
            return (await connection.execute(delete(health_hour).where(health_hour.c.hour < before))).rowcount


def _signals(row: Any) -> ChargerSignals:
    return ChargerSignals(
        charger_id=row.charger_id,
        window=_hour(row, "new"),
        baseline=_hour(row, "old"),
        heard_minutes=int(row.new_minutes),
        baseline_heard_minutes=int(row.old_minutes),
        most_connects=row.most_connects,
        last_session_at=row.last_session_at,
        peer_attempts=int(row.peer_attempts),
        awaiting_return_since=row.left_at,
        online=bool(row.online),
        silent=row.silent,
        heard_hours=row.new_hours,
        baseline_heard_hours=row.old_hours,
    )


def _span(row: Any, query: SpanQuery, until: datetime, time: HealthTime) -> ChargerSpan:
    return ChargerSpan(
        charger_id=row.charger_id,
        vendor=row.vendor,
        model=row.model,
        hardware_revision=row.hardware_revision,
        site_id=row.site_id,
        hours=time.whole(query.since, until),
        heard_hours=row.new_heard,
        window=_hour(row, "new"),
        base_hours=time.whole(row.old_first, query.before) if row.old_first else 0,
        base_heard_hours=row.old_heard,
        baseline=_hour(row, "old"),
        lately=row.lately,
    )


def _hour(row: Any, prefix: str) -> HealthHour:
    values: dict[str, Any] = {each: int(getattr(row, f"{prefix}_{each}")) for each in COUNTERS}
    values["skew_min_s"] = getattr(row, f"{prefix}_skew_min_s")
    values["return_max_s"] = getattr(row, f"{prefix}_return_max_s")
    return HealthHour(**values)
