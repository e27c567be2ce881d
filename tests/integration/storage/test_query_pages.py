"""Pages of a query while the fleet changes, queries without an end, and what stands beside the twins."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import Charger, ChargerFilter, GroupQuestion
from storage.errors import InvalidInput
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.query import asking
from storage.query.errors import QueryTooBroad
from tests.support.query_fleet import NOW

pytestmark = pytest.mark.integration

AWAY = ChargerFilter(query="last_message_at < -1h")


@pytest.fixture
async def store(engine: AsyncEngine, chargers: PostgresChargerStore, sql: Callable) -> PostgresChargerStore:
    """A, B and C of ``chargers``, and D; heard two hours ago. Its clock goes on by an hour at each look."""
    await chargers.register(Charger("D", "s2", "Volt", "V3", hardware_revision="B"), None)
    await sql("UPDATE twin SET last_message_at = $1", NOW - timedelta(hours=2))
    looks = iter(range(1000))
    return PostgresChargerStore(engine, lambda: NOW + timedelta(hours=next(looks)))


async def test_everybody_who_matches_throughout_comes_exactly_once(
    store: PostgresChargerStore, sql: Callable
) -> None:
    first = await store.find(AWAY, limit=2)
    await sql("DELETE FROM twin WHERE charger_id = 'A'")
    await store.register(Charger("A0", "s1", "Volt", "V2"), None)
    await sql("UPDATE twin SET last_message_at = now() WHERE charger_id = 'C'")
    second = await store.find(AWAY, limit=2, cursor=first.next_cursor)
    assert [view.charger.charger_id for view in (*first.items, *second.items)] == ["A", "B", "D"]
    assert second.next_cursor is None


async def test_all_pages_have_the_now_of_the_first(store: PostgresChargerStore, sql: Callable) -> None:
    """Else who was heard 50 minutes ago would match on the second page, and not on the first."""
    await sql("UPDATE twin SET last_message_at = $1", NOW - timedelta(minutes=50))
    await sql("UPDATE twin SET last_message_at = $1 WHERE charger_id < 'C'", NOW - timedelta(hours=2))
    first = await store.find(AWAY, limit=1)
    second = await store.find(AWAY, limit=5, cursor=first.next_cursor)
    assert [view.charger.charger_id for view in (*first.items, *second.items)] == ["A", "B"]


@pytest.mark.parametrize("cursor", ["", "x", "WyJBIl0", "WyJBIiwiMjAyNi0xMS0yNVQxMjowMDowMCJd", "WzEsMl0"])
async def test_a_cursor_of_others_is_refused(store: PostgresChargerStore, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await store.find(AWAY, cursor=cursor)


async def test_a_query_without_an_end_is_stopped(engine: AsyncEngine) -> None:
    with pytest.raises(QueryTooBroad, match="longer than"):
        async with asking(engine, seconds=0.05) as connection:
            await connection.exec_driver_sql("SELECT pg_sleep(60)")
    async with asking(engine) as connection:
        assert (await connection.exec_driver_sql("SHOW statement_timeout")).scalar_one() == "10s"


@pytest.mark.requirement("F27")
async def test_drift_incidents_anomalies_and_updates_can_be_asked_for(
    store: PostgresChargerStore, sql: Callable
) -> None:
    for severity in ("critical", "warning"):
        await sql(
            """INSERT INTO drift (desired_version, differing_s, first_seen, judged_at, charger_id, path,
                   severity, state, suspicion, reason)
               VALUES (1, 1, now(), now(), 'A', $1, $1, 'open', '', '')""",
            severity,
        )
    await sql("INSERT INTO anomaly VALUES ('B', 'k', 'p', 'r', 'c', now(), now(), 1)")
    for kind, subject in (("session_stuck", "session/C/t1"), ("site_outage", "site/s2")):
        await sql(
            """INSERT INTO incident (kind, subject, summary, opened_at, detail)
               VALUES ($1, $2, '', now(), '{}')""",
            kind,
            subject,
        )
    await _updates(sql)

    async def found(query: str) -> str:
        page = await store.find(ChargerFilter(query=query))
        return "".join(view.charger.charger_id for view in page.items)

    assert await found("drift.open = 2 and drift.critical = 1") == "A"
    assert await found("drift.open = 0") == "BCD"
    assert await found("anomalies > 0") == "B"
    assert await found("incidents.open > 0") == "C"
    assert await found("site.outage") == "CD"
    assert await found("updates.attempted > 0") == "ABD"
    assert await found("updates.failed >= 1") == "BD"

    groups = await store.count_by(ChargerFilter(), GroupQuestion(("model", "hardware"), rates=True))
    rates = {each.values: (each.attempted, each.failed) for each in groups.groups}
    assert rates == {("V2", None): (3, 1), ("V3", "B"): (1, 1)}


async def _updates(sql: Callable) -> None:
    """Of two waves: A went well, B failed and then went well, D never came back; C was skipped."""
    await sql(
        """INSERT INTO campaign
               (campaign_id, plan, plan_digest, phase, reason, created_by, created_at, cohort_size)
           VALUES ('k', '{}', '', 'running', '', '', now(), 4)"""
    )
    ends = [
        (0, "A", "updated"),
        (0, "B", "failed"),
        (1, "B", "updated"),
        (0, "C", "skipped"),
        (0, "D", "silent"),
    ]
    for ordinal, (wave, charger_id, outcome) in enumerate(ends):
        await sql(
            """INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,
                   to_version, phase, outcome, reason, attempt, finished_at)
               VALUES ('k', $1, $2, $3, 's1', 'a', '2', 'done', $4, '', 1, now())""",
            wave,
            ordinal,
            charger_id,
            outcome,
        )


async def test_many_queries_at_once_leave_the_pool_to_others(store: PostgresChargerStore) -> None:
    found = await asyncio.gather(*(store.find(AWAY, limit=1) for _ in range(40)))
    assert {len(page.items) for page in found} == {1}
