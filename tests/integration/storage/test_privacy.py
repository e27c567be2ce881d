"""What is kept of people goes in time or when they ask, and the audit chain stays whole."""

from datetime import timedelta

import pytest

from csms import session_records
from csms.projection import project
from storage.audit import first_break
from storage.events import EventRecord, TransactionEnded, TransactionStarted
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.privacy import PostgresPrivacyStore
from storage.postgres.watching import watch_stores
from storage.privacy import Erased, Erasure
from tests.integration.storage.conftest import NOW

ADA, BOB = "hash of ada", "hash of bob"


@pytest.fixture
async def privacy(engine, chargers) -> PostgresPrivacyStore:
    """Three sessions: Ada's long ago, Ada's and Bob's of now, the last of which goes on."""
    records = []
    for number, (who, days) in enumerate(((ADA, 100), (ADA, 0), (BOB, 0))):
        at = NOW - timedelta(days=days) + timedelta(minutes=number)
        started = TransactionStarted(f"T{number}", 1, 1, who)
        records.append(EventRecord("A", started, at, at, 1))
        if number < 2:
            records.append(EventRecord("A", TransactionEnded(f"T{number}", "Local"), at, at, 1))
    await PostgresIngestStore(engine).commit([], records, project)
    await watch_stores(engine).projections.advance_sessions(session_records.fold)
    return PostgresPrivacyStore(engine)


HASHES = """
    SELECT coalesce(string_agg(told, ',' ORDER BY told), '') FROM (
        SELECT 's ' || (record->>'id_token_hash') AS told FROM charging_session
        UNION ALL SELECT 'e ' || (body->>'id_token_hash') FROM event WHERE kind = 'transaction_started'
    ) AS all_of_them WHERE told IS NOT NULL
"""


@pytest.mark.requirement("F23")
async def test_hashes_of_tokens_have_their_time_and_what_happened_stays(privacy, sql) -> None:
    while await privacy.forget_tokens(NOW - timedelta(days=90), limit=2):
        pass
    assert await sql.value(HASHES) == f"e {ADA},e {BOB},s {ADA},s {BOB}"
    assert await sql.value("SELECT count(*) FROM event WHERE kind = 'transaction_started'") == 3
    assert await privacy.forget_tokens(NOW - timedelta(days=90)) == 0, (
        "what was looked at is not looked at again"
    )
    while await privacy.forget_tokens(NOW + timedelta(days=1), limit=2):
        pass
    assert await sql.value(HASHES) == ""


@pytest.mark.requirement("F23")
async def test_records_of_sessions_have_their_time_unless_they_go_on(privacy, sql) -> None:
    assert await privacy.forget_sessions(NOW - timedelta(days=50)) == 1
    assert await privacy.forget_sessions(NOW + timedelta(days=1), limit=1) == 1
    assert await privacy.forget_sessions(NOW + timedelta(days=1)) == 0
    assert [row["transaction_id"] for row in await sql("SELECT transaction_id FROM charging_session")] == [
        "T2"
    ]


@pytest.mark.requirement("F23")
async def test_a_person_who_asks_is_erased_everywhere_and_the_audit_chain_holds(engine, privacy, sql) -> None:
    given = Erasure(ADA, "dpo", "asked by letter", NOW)
    assert await privacy.erase(given) == Erased(sessions=2, events=2)
    assert await sql.value(HASHES) == f"e {BOB},s {BOB}"
    assert await privacy.erase(given) == Erased(0, 0)
    rows = list(await PostgresAuditLog(engine).rows())
    assert first_break(rows) is None
    assert [row.entry.action for row in rows] == ["privacy.erased"] * 2
    assert ADA not in str(rows)
    sessions = await watch_stores(engine).sessions.of_charger("A")
    assert {each.transaction_id: each.id_token_hash for _, each in sessions} == {
        "T0": None,
        "T1": None,
        "T2": BOB,
    }
