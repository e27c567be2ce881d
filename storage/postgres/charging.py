"""Reading session records, and the one timeline of events and frames."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import Route
from storage.charging import OPEN_STATES, ChargingSession, SessionState
from storage.codec import decode
from storage.errors import InvalidInput, NotFound
from storage.events import EventKind, StoredEvent
from storage.postgres.engine import reading
from storage.postgres.tables import charger_route, charging_session
from storage.watching import DoubtfulSession, TimelineEntry

_OPEN = charging_session.c.state.in_([state.value for state in sorted(OPEN_STATES)])

# A frame stands before the events that it told: they share its instant.
_TIMELINE = text("""
    SELECT * FROM (
        (SELECT at, 0 AS place, frame_id AS number, direction, text, answer,
                NULL AS kind, NULL::jsonb AS body, NULL::timestamptz AS observed_at
         FROM frame WHERE charger_id = :charger AND at BETWEEN :since AND :until
           AND (at, 0, frame_id) > (:after, :place, :number)
         ORDER BY at, frame_id LIMIT :limit)
        UNION ALL
        (SELECT received_at, 1, sequence, NULL, NULL, NULL, kind, body, observed_at
         FROM event WHERE charger_id = :charger AND received_at BETWEEN :since AND :until
           AND (received_at, 1, sequence) > (:after, :place, :number)
         ORDER BY received_at, sequence LIMIT :limit)
    ) AS merged ORDER BY at, place, number LIMIT :limit
""")


class PostgresSessionStore:
    """See ``storage.watching.SessionStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, charger_id: str, transaction_id: str) -> ChargingSession:
        """One record. Raises NotFound."""
        table = charging_session.c
        query = select(table.record).where(
            table.charger_id == charger_id, table.transaction_id == transaction_id
        )
        async with reading(self._engine) as connection:
            record = (await connection.execute(query)).scalar_one_or_none()
        if record is None:
            raise NotFound(f"session of {charger_id}", transaction_id)
        return decode(ChargingSession, record)

    async def of_charger(
        self, charger_id: str, *, limit: int = 100, before: str | None = None
    ) -> Sequence[tuple[str, ChargingSession]]:
        """Latest first; the position names the instant and the session, as both are ordered by."""
        table = charging_session.c
        query = select(table.began_at, table.record).where(table.charger_id == charger_id)
        if before is not None:
            at, _, transaction_id = before.partition(" ")
            query = query.where(tuple_(table.began_at, table.transaction_id) < (_instant(at), transaction_id))
        query = query.order_by(table.began_at.desc(), table.transaction_id.desc()).limit(limit)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        found = [(began_at, decode(ChargingSession, record)) for began_at, record in rows]
        return [(f"{began_at.isoformat()} {each.transaction_id}", each) for began_at, each in found]

    async def doubtful(
        self, now: datetime, quiet: timedelta, *, again_after: timedelta, limit: int = 100
    ) -> Sequence[DoubtfulSession]:
        """Sessions to ask about, those first that were heard of longest ago."""
        table, route, late = charging_session.c, charger_route.c, now - quiet
        doubt = or_(table.state == SessionState.SUSPECT.value, table.heard_at < late, table.free_since < late)
        query = (
            select(
                table.record,
                route.charger_id,
                route.node_id,
                route.boot_id,
                route.session_epoch,
                route.lease_until,
                route.dialect,
            )
            .join(charger_route, route.charger_id == table.charger_id)
            .where(_OPEN, doubt, route.lease_until > func.now())
            .where(or_(table.asked_at.is_(None), table.asked_at < now - again_after))
            .order_by(table.heard_at)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return [_doubtful(row, late) for row in rows]

    async def timeline(
        self, charger_id: str, since: datetime, until: datetime, *, limit: int = 500, after: str | None = None
    ) -> Sequence[TimelineEntry]:
        """Frames and events merged, in one query."""
        at, place, number = _position(after) if after else (since, -1, 0)
        given = {"charger": charger_id, "since": since, "until": until, "limit": limit}
        async with reading(self._engine) as connection:
            rows = await connection.execute(
                _TIMELINE, {**given, "after": at, "place": place, "number": number}
            )
            return [_entry(charger_id, row) for row in rows]


def _doubtful(row: Any, late: datetime) -> DoubtfulSession:
    session = decode(ChargingSession, row.record)
    doubt = session.doubt or (
        "its connector says Available"
        if session.free_since and session.free_since < late
        else "it went quiet"
    )
    route = Route(*row[1:])
    return DoubtfulSession(session, route, doubt)


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidInput("This cursor is none of ours.", hint="Pass on `next_cursor` as it came.")
    return at


def _position(after: str) -> tuple[datetime, int, int]:
    at, _, rest = after.partition(" ")
    place, _, number = rest.partition(" ")
    if place not in ("0", "1") or not number.isdecimal() or len(number) > 18:
        raise InvalidInput("This cursor is none of ours.", hint="Pass on `next_cursor` as it came.")
    return _instant(at), int(place), int(number)


def _entry(charger_id: str, row: Any) -> TimelineEntry:
    position = f"{row.at.isoformat()} {row.place} {row.number}"
    if row.kind is None:
        return TimelineEntry(row.at, position, direction=row.direction, text=row.text, answer=row.answer)
    kind = EventKind(row.kind)
    event = StoredEvent(row.number, charger_id, kind, row.body, row.observed_at, row.at)
    return TimelineEntry(row.at, position, event=event)
