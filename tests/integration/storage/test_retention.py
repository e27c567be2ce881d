"""What had its time goes; what a campaign, a dispute, a session or a twin needs stays, however old (F107)."""

import asyncio
import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.audit import AuditEntry, first_break
from storage.errors import EngineUnavailable
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.retention import PostgresRetentionStore
from storage.postgres.shelves import REMOVABLE, SHELVES
from storage.postgres.tables import metadata
from storage.retention import RetentionPolicy
from tests.integration.storage.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F107")]
POLICY = RetentionPolicy(
    {"events": 30, "incidents": 30, "commands": 30, "download_tickets": 30, "upload_tickets": 30},
    dispute_days=100,
)


@dataclass(frozen=True)
class Row:
    """One event and what points to it."""

    age_days: int
    kind: str
    signalled: bool
    revision: bool
    charger: str


ROWS = st.lists(
    st.builds(
        Row,
        st.sampled_from([0, 29, 31, 99, 101, 1000]),
        st.sampled_from(["heartbeat_received", "transaction_started", "meter_values_sampled"]),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["A", "B"]),
    ),
    max_size=12,
)


@st.composite
def worlds(draw: Any) -> tuple[list[Row], int | None, int | None, int]:
    """Events, the age in days of a running campaign and of an open session of A, what was projected."""
    rows = draw(ROWS)
    some = st.sampled_from([None, 1, 60, 2000])
    return rows, draw(some), draw(some), draw(st.integers(0, len(rows)))


def needed(number: int, row: Row, campaign: int | None, session: int | None, read: int) -> bool:
    """The rules once more, in Python and in other words."""
    if row.age_days <= 30 or row.signalled or row.revision or number > read:
        return True
    if campaign is not None and row.age_days <= campaign + 28:
        return True
    if session is not None and row.charger == "A" and row.age_days <= session:
        return True
    return row.kind != "heartbeat_received" and row.age_days <= 100


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds())
async def test_what_anything_needs_stays_and_all_else_goes(
    engine, sql, world: tuple[list[Row], int | None, int | None, int]
) -> None:
    rows, campaign, session, read = world
    await _empty(sql)
    await _fill(sql, rows, campaign, session, read)
    store = PostgresRetentionStore(engine)
    kept = {n for n, row in enumerate(rows, 1) if needed(n, row, campaign, session, read)}

    survey = {one.name: one for one in await store.survey(POLICY, NOW)}["events"]
    assert (survey.rows, survey.outlived) == (len(rows), len(rows) - len(kept)), "the dry run says it before"
    assert await sql.value("SELECT count(*) FROM event") == len(rows), "and removes nothing"
    removed = await store.remove(POLICY, NOW, seconds=60)
    assert removed.get("events", 0) == survey.outlived
    assert {each["sequence"] for each in await sql("SELECT sequence FROM event")} == kept
    assert await store.remove(POLICY, NOW, seconds=60) == {}, "once is enough"


async def _empty(sql: Any) -> None:
    await sql("TRUNCATE event, outbox, twin_history, projection, charging_session, campaign CASCADE")


async def _fill(sql: Any, rows: list[Row], campaign: int | None, session: int | None, read: int) -> None:
    for name in ("sessions", "health"):
        await sql("INSERT INTO projection (name, sequence) VALUES ($1, $2)", name, read)
    for number, row in enumerate(rows, start=1):
        at = NOW - timedelta(days=row.age_days)
        await sql(
            "INSERT INTO event (sequence, session_epoch, observed_at, received_at, charger_id, kind, body)"
            " VALUES ($1, 1, $2, $2, $3, $4, '{}')",
            *(number, at, row.charger, row.kind),
        )
        if row.signalled:
            await sql(
                "INSERT INTO outbox (sequence, session_epoch, charger_id, workflow_id, node_id, boot_id)"
                " VALUES ($1, 1, 'A', 'w', 'n', 'b')",
                number,
            )
        if row.revision:
            await sql(
                "INSERT INTO twin_history (charger_id, revision, observed_at, received_at, section, actor,"
                " cause, patch) VALUES ($1, $2, $3, $3, 'operation', 'charger', $4, '{}')",
                *(row.charger, number, at, f"event/{number}"),
            )
    if campaign is not None:
        await _add_campaign(sql, "c1", NOW - timedelta(days=campaign), None)
    await _add_campaign(sql, "over", NOW - timedelta(days=2000), NOW - timedelta(days=1900))
    if session is not None:
        await sql(
            "INSERT INTO charging_session (charger_id, transaction_id, state, began_at, heard_at, record)"
            " VALUES ('A', 't1', 'open', $1, $1, '{}')",
            NOW - timedelta(days=session),
        )


async def _add_campaign(sql: Any, name: str, at: datetime, finished: datetime | None) -> None:
    await sql(
        "INSERT INTO campaign (campaign_id, plan, plan_digest, phase, reason, created_by, created_at,"
        " finished_at, cohort_size) VALUES ($1, '{}', '', 'running', '', 'ann', $2, $3, 0)",
        *(name, at, finished),
    )


@pytest.mark.requirement("F23", "S65")
async def test_the_audit_log_stays_whole_whatever_else_is_removed(engine, sql) -> None:
    log = PostgresAuditLog(engine)
    for number in range(3):
        await log.append(
            AuditEntry(NOW - timedelta(days=4000), "ann", "charger.erased", f"charger/{number}", {})
        )
    everything = RetentionPolicy({shelf.name: 1 for shelf in SHELVES}, dispute_days=1)
    await PostgresRetentionStore(engine).remove(everything, NOW, seconds=60)
    rows = list(await log.rows())
    assert len(rows) == 3
    assert first_break(rows) is None


async def test_a_round_without_time_for_all_is_gone_on_with_behind_what_is_kept(engine, sql) -> None:
    """What is kept may be more than any round can pass; what lies behind it goes all the same."""
    kept = [Row(500, "heartbeat_received", signalled=True, revision=False, charger="A")] * 4
    gone = [replace(kept[0], signalled=False)] * 3
    await _fill(sql, [*kept, *gone], None, None, read=7)
    ticks = itertools.count()
    # Two looks at the clock are within a round's time: one to begin, one for a single piece.
    store = PostgresRetentionStore(engine, piece=2, monotonic=lambda: float(next(ticks)))
    policy = RetentionPolicy({"events": 30}, dispute_days=100)
    rounds = [await store.remove(policy, NOW, seconds=1.5) for _ in range(5)]
    assert rounds == [{}, {}, {"events": 2}, {"events": 1}, {}]
    assert await sql("SELECT count(*) FROM event") == [(4,)]


async def test_two_rounds_at_once_and_one_that_is_killed_remove_each_row_once(engine, sql) -> None:
    await _fill(sql, [Row(500, "heartbeat_received", False, False, "A")] * 60, None, None, read=60)
    policy = RetentionPolicy({"events": 30}, dispute_days=100)
    stores = [PostgresRetentionStore(engine, piece=7) for _ in range(3)]
    killed = asyncio.create_task(stores[2].remove(policy, NOW, seconds=60))
    both = asyncio.gather(*(store.remove(policy, NOW, seconds=60) for store in stores[:2]))
    await asyncio.sleep(0)
    killed.cancel()
    removed = sum(each.get("events", 0) for each in await both)
    assert removed <= 60
    assert await stores[0].remove(policy, NOW, seconds=60) == {}
    assert await sql("SELECT count(*) FROM event") == [(0,)]


async def test_a_class_that_cannot_be_looked_through_keeps_no_other_from_its_turn(engine, sql) -> None:
    await _fill(sql, [Row(500, "heartbeat_received", False, False, "A")] * 3, None, None, read=3)
    events = next(shelf for shelf in SHELVES if shelf.name == "events")
    broken = replace(events, name="broken", held={"nobody": "no_such_function(r.sequence)"})
    store = PostgresRetentionStore(engine, (broken, events), piece=50)
    with pytest.raises(EngineUnavailable):
        await store.remove(RetentionPolicy({"broken": 30, "events": 30}, dispute_days=100), NOW, seconds=60)
    assert await sql("SELECT count(*) FROM event") == [(0,)]


async def test_tickets_commands_and_incidents_go_and_their_living_stay(engine, sql, chargers) -> None:
    old, young = NOW - timedelta(days=90), NOW - timedelta(days=1)
    for name, charger, ends in (("t1", "A", old), ("t2", "B", old), ("t3", "A", young)):
        await sql(
            "INSERT INTO download_ticket (ticket_sha256, charger_id, artifact_sha256, not_before, expires_at)"
            " VALUES ($1, $2, 'x', $3, $3)",
            *(name, charger, ends),
        )
    await _add_campaign(sql, "c1", young, None)
    await sql(
        "INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,"
        " to_version, phase, reason, attempt) VALUES ('c1', 0, 0, 'B', 's2', 'x', '1.1', 'dispatched', '', 1)"
    )
    for number, closed in enumerate((old, None, young)):
        await sql(
            "INSERT INTO incident (kind, subject, summary, opened_at, closed_at, detail)"
            " VALUES ('site_outage', $1, '', $2, $3, '{}')",
            *(f"site/{number}", old, closed),
        )
    for name, finished in (("done", old), ("open", None)):
        await sql(
            "INSERT INTO operator_command (command_id, charger_id, command, parameters, request_sha256,"
            " actor, requested_at, deadline_at, finished_at)"
            " VALUES ($1, 'A', 'reset', '{}', '', 'ann', $2, $2, $3)",
            *(name, old, finished),
        )
    store = PostgresRetentionStore(engine)
    surveys = {one.name: one for one in await store.survey(POLICY, NOW)}
    assert surveys["download_tickets"].held == {"a campaign that is not over": 1}
    assert await store.remove(POLICY, NOW, seconds=60) == {
        "download_tickets": 1,
        "incidents": 1,
        "commands": 1,
    }
    assert [each[0] for each in await sql("SELECT ticket_sha256 FROM download_ticket ORDER BY 1")] == [
        "t2",
        "t3",
    ]
    assert await sql.value("SELECT count(*) FROM incident") == 2
    assert await sql.value("SELECT command_id FROM operator_command") == "open"


async def test_every_class_is_counted_and_names_a_table(engine) -> None:
    sizes = {one.name: one for one in await PostgresRetentionStore(engine).sizes()}
    assert set(sizes) == {shelf.name for shelf in SHELVES}
    assert sizes["frames"].bytes > 0, "partitions count"
    assert sizes["audit"].bytes > 0
    assert sizes["events"].bytes > 0
    assert {shelf.table for shelf in SHELVES} <= set(metadata.tables)
    assert "audit" not in REMOVABLE


async def test_a_class_without_days_is_never_touched(engine, sql) -> None:
    await _empty(sql)
    await _fill(sql, [Row(5000, "heartbeat_received", False, False, "A")], None, None, 1)
    assert await PostgresRetentionStore(engine).remove(RetentionPolicy(), NOW, seconds=60) == {}
    assert await sql.value("SELECT count(*) FROM event") == 1
