"""Daily files for finance: complete, written once, with a digest that the audit log knows (F100)."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from activities.daily import DailyActivities
from storage.audit import AuditEntry
from storage.canonical import canonical_json, sha256_hex
from storage.charging import ChargingSession, SessionState
from storage.daily import COLUMNS, count_rows, days_over, file_key, manifest_key, session_file
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.daily import PostgresDailyStore
from tests.support.memory import MemoryBlobs

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F100")]
DAY = datetime(2026, 11, 24, tzinfo=UTC)


def session(name: str, ended: datetime | None, charger: str = "A", **changes: Any) -> ChargingSession:
    state = SessionState.ENDED if ended else SessionState.OPEN
    given = {"meter_start_wh": 100.0, "meter_stop_wh": 7100.5, "id_token_hash": "hash-of-a-token", **changes}
    return ChargingSession(charger, name, state, DAY, DAY, ended_received_at=ended, **given)


class Stores:
    """What the activity asks of all stores."""

    def __init__(self, audit: PostgresAuditLog, now: datetime) -> None:
        self.audit = audit
        self.now = now
        self.clock = lambda: self.now

    async def record(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        await self.audit.append(AuditEntry(self.now, actor, action, subject, detail))


async def put(sql: Any, *sessions: ChargingSession) -> None:
    for one in sessions:
        await sql(
            "INSERT INTO charging_session (charger_id, transaction_id, state, began_at, heard_at, record)"
            " VALUES ($1, $2, $3, $4, $4, $5)",
            *(
                one.charger_id,
                one.transaction_id,
                one.state.value,
                DAY,
                canonical_json(one).decode(),
            ),
        )


async def test_a_day_is_written_once_whole_and_on_record(engine, sql, chargers) -> None:
    audit = PostgresAuditLog(engine)
    await audit.append(AuditEntry(DAY, "ann", "x.y", "z", {}))
    inside = [session("t1", DAY), session("t2", DAY + timedelta(hours=23, minutes=59), "C")]
    outside = [
        session("t3", DAY + timedelta(days=1)),
        session("t4", None),
        session("t0", DAY - timedelta(seconds=1)),
    ]
    await put(sql, *inside, *outside)
    stores, blobs = Stores(audit, DAY + timedelta(days=1, minutes=59)), MemoryBlobs()
    daily = DailyActivities(stores, PostgresDailyStore(engine), blobs)  # type: ignore[arg-type]
    assert await daily.export_days() == 0, "an hour after it is over"
    stores.now += timedelta(minutes=2)
    assert await daily.export_days() == 1
    assert await daily.export_days() == 0
    data = blobs.objects[file_key("2026-11-24", "sessions.csv")]
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert [(row["charger_id"], row["site_id"], row["transaction_id"], row["energy_wh"]) for row in rows] == [
        ("A", "s1", "t1", "7000.5"),
        ("C", "s2", "t2", "7000.5"),
    ]
    assert b"hash-of-a-token" not in data
    document = blobs.objects[manifest_key("2026-11-24")]
    [file] = json.loads(document)["files"]
    assert (file["rows"], file["bytes"], file["sha256"]) == (2, len(data), sha256_hex(data))
    entry = (await audit.rows())[-1].entry
    assert (entry.action, entry.detail["manifest_sha256"]) == ("export.made", sha256_hex(document))


async def test_one_who_died_before_the_manifest_is_taken_over(engine, sql, chargers) -> None:
    audit = PostgresAuditLog(engine)
    await audit.append(AuditEntry(DAY, "ann", "x.y", "z", {}))
    await put(sql, session("t1", DAY))
    stores, blobs = Stores(audit, DAY + timedelta(days=1, hours=2)), MemoryBlobs()
    half = session_file([("s1", session("t1", DAY)), ("s1", session("t9", DAY))])[0]
    blobs.objects[file_key("2026-11-24", "sessions.csv")] = half
    daily = DailyActivities(stores, PostgresDailyStore(engine), blobs)  # type: ignore[arg-type]
    assert await daily.export_days() == 1
    [file] = json.loads(blobs.objects[manifest_key("2026-11-24")])["files"]
    assert (file["rows"], file["sha256"]) == (2, sha256_hex(half)), "the manifest speaks of what is there"


async def test_a_day_waits_for_sessions_that_are_still_to_be_read(engine, sql, chargers) -> None:
    audit = PostgresAuditLog(engine)
    await audit.append(AuditEntry(DAY, "ann", "x.y", "z", {}))
    await sql(
        "INSERT INTO event (sequence, session_epoch, observed_at, received_at, charger_id, kind, body)"
        " VALUES (7, 1, $1, $1, 'A', 'transaction_ended', '{}')",
        DAY + timedelta(hours=5),
    )
    stores = Stores(audit, DAY + timedelta(days=1, hours=2))
    daily = DailyActivities(stores, PostgresDailyStore(engine), MemoryBlobs())  # type: ignore[arg-type]
    assert await daily.export_days() == 0
    await sql("INSERT INTO projection (name, sequence) VALUES ('sessions', 7)")
    assert await daily.export_days() == 1


def test_days_and_cells() -> None:
    now = DAY + timedelta(hours=9)
    assert days_over(date(2026, 11, 22), now) == [date(2026, 11, 22), date(2026, 11, 23)]
    assert len(days_over(date(2020, 1, 1), now)) == 92, "whoever was away for a month catches up"
    data, rows = session_file(
        [("s1", session("=cmd|' /C calc'!A0", DAY, charger="@x", stop_reason='a"b\r\nc'))]
    )
    [row] = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert (rows, tuple(row)) == (1, COLUMNS)
    assert row["transaction_id"].startswith("'=")
    assert (row["charger_id"], row["stop_reason"]) == ("'@x", 'a"b\r\nc')
    assert count_rows(data) == 1
