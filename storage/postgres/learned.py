"""Reading the trails of past updates out of the events."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.events import NO_RESTART, EventKind, FirmwareStatus
from storage.learned import Mark, Step, Trail, status_mark
from storage.postgres.engine import reading

_WINDOW = timedelta(hours=3)
"""What comes later than this after a command is not of it."""
_MARKS = 200
"""Of one trail: a boot loop of days is cut off here."""

# The commands of the model's chargers first, newest first, so that the rest of the work is bounded by
# their number: each trail reads one piece of one charger's timeline, along its index.
_TRAILS = text("""
    SELECT sent.charger_id, sent.received_at AS commanded_at, before.version, heard.kind, heard.body,
           heard.received_at
    FROM (
        SELECT told.charger_id, told.received_at, told.sequence
        FROM charger AS one
        CROSS JOIN LATERAL (
            SELECT event.charger_id, event.received_at, event.sequence FROM event
            WHERE event.charger_id = one.charger_id AND event.kind = 'command_answered'
              AND event.received_at >= :since
              AND event.body->>'action' IN ('UpdateFirmware', 'SignedUpdateFirmware')
              AND event.body->>'status' IN ('Accepted', 'AcceptedCanceled')
            ORDER BY event.received_at DESC, event.sequence DESC LIMIT :each
        ) AS told
        WHERE one.vendor = :vendor AND one.model = :model
        ORDER BY told.received_at DESC, told.sequence DESC LIMIT :attempts
    ) AS sent
    LEFT JOIN LATERAL (
        SELECT coalesce(event.body->>'firmware_version', event.body->>'version') AS version FROM event
        WHERE event.charger_id = sent.charger_id
          AND event.kind IN ('charger_booted', 'firmware_version_read')
          AND (event.received_at, event.sequence) < (sent.received_at, sent.sequence)
        ORDER BY event.received_at DESC, event.sequence DESC LIMIT 1
    ) AS before ON true
    LEFT JOIN LATERAL (
        SELECT event.kind, event.body, event.received_at, event.sequence FROM event
        WHERE event.charger_id = sent.charger_id
          AND (event.received_at, event.sequence) > (sent.received_at, sent.sequence)
          AND event.received_at <= sent.received_at + :window
          AND event.kind IN ('charger_booted', 'firmware_version_read', 'firmware_status_reported',
                             'connection_closed', 'command_answered')
        ORDER BY event.received_at, event.sequence LIMIT :marks
    ) AS heard ON true
    ORDER BY sent.received_at DESC, sent.sequence DESC, heard.received_at, heard.sequence
""")
_UPDATES = ("UpdateFirmware", "SignedUpdateFirmware")


class PostgresLearnedStore:
    """Past updates of a model."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def trails(
        self, vendor: str, model: str, *, since: datetime, from_version: str | None = None, limit: int = 200
    ) -> Sequence[Trail]:
        """The newest ``limit`` accepted updates of a model's chargers, newest first."""
        given: dict[str, Any] = {
            "vendor": vendor,
            "model": model,
            "since": since,
            "attempts": limit,
            "each": limit,
            "window": _WINDOW,
            "marks": _MARKS,
        }
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_TRAILS, given)).all()
        trails = [
            Trail(charger_id, commanded_at, version, _marks(list(heard)))
            for (charger_id, commanded_at, version), heard in groupby(rows, key=lambda row: tuple(row[:3]))
        ]
        return [trail for trail in trails if from_version in (None, trail.from_version)]


def _marks(rows: Sequence[Any]) -> tuple[Mark, ...]:
    """Up to the next update command: what follows is of that."""
    marks: list[Mark] = []
    for _, _, _, kind, body, at in rows:
        if kind == EventKind.COMMAND_ANSWERED.value:
            if body.get("action") in _UPDATES:
                break
        elif kind == EventKind.FIRMWARE_STATUS_REPORTED.value:
            marks.append(status_mark(at, FirmwareStatus(body["status"])))
        elif kind == EventKind.CONNECTION_CLOSED.value:
            marks.append(Mark(at, Step.GONE))
        elif kind == EventKind.CHARGER_BOOTED.value and body.get("reason") not in NO_RESTART:
            marks.append(Mark(at, Step.BOOTED, version=body.get("firmware_version")))
        elif kind == EventKind.FIRMWARE_VERSION_READ.value:
            # It belongs to the boot that told none, and it is that boot which counts.
            boots = [place for place, mark in enumerate(marks) if mark.step is Step.BOOTED]
            if boots and marks[boots[-1]].version is None:
                marks[boots[-1]] = replace(marks[boots[-1]], version=body["version"])
    return tuple(marks)
