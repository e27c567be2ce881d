"""Daily files for finance: what was settled on a day of UTC, with a manifest of digests (F100). Pure.

A session is in the file of the day on which its end reached us, so a day that is over stays as it is. One
that was held to be over and came back is in a later file again; the later one counts. No token is in them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from storage.canonical import sha256_hex
from storage.charging import ChargingSession

SESSIONS = "sessions.csv"
COLUMNS = (
    "charger_id",
    "site_id",
    "transaction_id",
    "state",
    "started_at",
    "ended_at",
    "ended_received_at",
    "meter_start_wh",
    "meter_stop_wh",
    "energy_wh",
    "stop_reason",
    "stop_cause",
    "discrepancies",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class DayFile:
    """One file of a day."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DayManifest:
    """What belongs to a day. Its own digest is in the audit log."""

    day: str
    """As in 2026-11-24; UTC."""
    made_at: datetime
    files: tuple[DayFile, ...]


class DailyStore(Protocol):
    """What a day's files are made of."""

    async def settled(self, start: datetime, end: datetime) -> Sequence[tuple[str, ChargingSession]]:
        """(site, session) whose end was received in the span, by charger and transaction."""

    async def first_day(self) -> date | None:
        """The day of the first act on record; None: nothing was ever done here."""

    async def has_read(self, end: datetime) -> bool:
        """Whether the session records know of every event received before ``end``."""


def span_of(day: date) -> tuple[datetime, datetime]:
    """From midnight to midnight, UTC."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def days_over(first: date, now: datetime, *, most: int = 92) -> list[date]:
    """The days that are over, from ``first`` on, the latest ``most`` of them, oldest first."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in range(most, 0, -1)]
    return [day for day in days if day >= first]


def file_key(day: str, name: str) -> str:
    """Where a file of a day lies in the bucket."""
    return f"export/{day}/{name}"


def manifest_key(day: str) -> str:
    """Where the manifest of a day lies; it is written last."""
    return file_key(day, "manifest.json")


def session_file(rows: Iterable[tuple[str, ChargingSession]]) -> tuple[bytes, int]:
    """CSV (RFC 4180, UTF-8) and how many sessions are in it."""
    text, count = io.StringIO(), 0
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for site_id, session in rows:
        writer.writerow([_cell(value) for value in _values(site_id, session)])
        count += 1
    return text.getvalue().encode(), count


def count_rows(data: bytes) -> int:
    """How many sessions a file that is there has."""
    return sum(1 for _ in csv.reader(io.StringIO(data.decode(), newline=""))) - 1


def day_file(name: str, data: bytes, rows: int) -> DayFile:
    """A file as the manifest names it."""
    return DayFile(name, rows, len(data), sha256_hex(data))


def _values(site_id: str, session: ChargingSession) -> tuple[object, ...]:
    return (
        session.charger_id,
        site_id,
        session.transaction_id,
        session.state.value,
        session.started_at,
        session.ended_at,
        session.ended_received_at,
        session.meter_start_wh,
        session.meter_stop_wh,
        session.energy_wh,
        session.stop_reason,
        session.stop_cause.value if session.stop_cause else None,
        "; ".join(session.discrepancies),
    )


def _cell(value: object) -> object:
    """A value as text; what a spreadsheet would take for a formula begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
