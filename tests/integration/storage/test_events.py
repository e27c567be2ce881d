"""Reading what happened, above all the tail that must never skip anything."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from storage.events import ChargerBooted, EventKind, EventRecord, FirmwareStatus, FirmwareStatusReported
from storage.postgres import statements
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BOOT = ChargerBooted("Volt", "V2", "1.0")


def unchanged(twin, _record):
    return twin


def record(charger_id: str, event=BOOT, second: float = 0) -> EventRecord:
    at = AT + timedelta(seconds=second)
    return EventRecord(charger_id, event, at - timedelta(hours=1), at, 1)


@pytest.fixture
def ingest(engine) -> PostgresIngestStore:
    return PostgresIngestStore(engine)


@pytest.fixture
def events(engine) -> PostgresEventStore:
    return PostgresEventStore(engine)


async def test_the_timeline_pages_backwards_without_gaps(ingest, events) -> None:
    # Two share an instant; the page boundary falls between them.
    new = await ingest.commit([], [record("A", second=place // 2) for place in range(7)], unchanged)
    await ingest.commit([], [record("B")], unchanged)
    seen, before = [], None
    while page := await events.timeline("A", limit=3, before=before):
        seen += page
        before = page[-1].sequence
    assert seen == list(reversed(new))
    assert await events.timeline("nobody") == []


async def test_since_gives_the_wanted_kinds_oldest_first(ingest, events) -> None:
    status = FirmwareStatusReported(FirmwareStatus.INSTALLED, 7)
    batch = [record("A", second=1), record("A", status, 2), record("A", second=3), record("B", status, 4)]
    await ingest.commit([], batch, unchanged)
    kinds = [EventKind.FIRMWARE_STATUS_REPORTED, EventKind.CHARGER_BOOTED]
    since = AT + timedelta(seconds=2)
    assert [each.kind for each in await events.since("A", since, kinds)] == kinds
    assert [each.kind for each in await events.since("A", since, kinds[:1])] == kinds[:1]
    assert len(await events.since("A", AT, [])) == 3
    (found,) = await events.since("A", since, kinds[:1])
    assert found.body == {"status": "Installed", "request_id": 7, "detail": None}
    assert found.observed_at == AT + timedelta(seconds=2) - timedelta(hours=1)


async def test_the_tail_starts_where_it_is_told(ingest, events) -> None:
    start = await events.latest_sequence()
    new = await ingest.commit([], [record("A"), record("B"), record("A")], unchanged)
    assert await events.after(start) == list(new)
    assert await events.after(start, limit=2) == list(new)[:2]
    assert await events.after(new[0].sequence) == list(new)[1:]
    assert await events.latest_sequence() == new[-1].sequence
    assert await events.after(new[-1].sequence) == []


async def test_the_tail_waits_for_a_lower_number_that_commits_later(ingest, events, sql) -> None:
    start = await events.latest_sequence()
    slow = await asyncpg.connect(sql.url)
    await slow.execute(statements.BEGIN)
    number = await slow.fetchval("SELECT nextval('event_sequence')")
    new = await ingest.commit([], [record("A")], unchanged)
    assert new[0].sequence > number
    assert await events.after(start) == [], "a later number may not overtake one in flight"
    assert await events.latest_sequence() < number

    await slow.execute(
        "INSERT INTO event (sequence, session_epoch, observed_at, received_at, charger_id, kind, body) "
        "VALUES ($1, 1, now(), now(), 'B', 'charger_booted', '{}')",
        number,
    )
    assert await events.after(start) == []
    await slow.execute("COMMIT")
    assert [each.sequence for each in await events.after(start)] == [number, new[0].sequence]
    await slow.close()


async def test_a_number_that_was_given_up_holds_nobody_back(ingest, events, sql) -> None:
    start = await events.latest_sequence()
    slow = await asyncpg.connect(sql.url)
    await slow.execute(statements.BEGIN)
    await slow.fetchval("SELECT nextval('event_sequence')")
    new = await ingest.commit([], [record("A")], unchanged)
    await slow.execute("ROLLBACK")
    assert await events.after(start) == list(new)
    await slow.close()


async def test_a_long_transaction_that_writes_no_events_holds_nobody_back(
    ingest, events, sql, chargers
) -> None:
    """A backup, a campaign being created, another application in the same server."""
    start = await events.latest_sequence()
    slow = await asyncpg.connect(sql.url)
    await slow.execute("BEGIN; UPDATE charger SET lifecycle = 'active' WHERE charger_id = 'C'")
    new = await ingest.commit([], [record("A")], unchanged)
    assert await events.after(start) == list(new)
    await slow.execute("ROLLBACK")
    await slow.close()


async def test_a_reader_beside_many_writers_sees_everything_once_and_in_order(engine, events) -> None:
    stores = [PostgresIngestStore(engine) for _ in range(6)]
    start = await events.latest_sequence()
    written: list[int] = []
    chance = random.Random(7)

    async def write(store: PostgresIngestStore, name: str) -> None:
        for _ in range(15):
            batch = [record(f"{name}{place}") for place in range(chance.randrange(1, 12))]
            written.extend(each.sequence for each in await store.commit([], batch, unchanged))

    seen: list[int] = []
    writers = asyncio.gather(*(write(store, f"w{place}-") for place, store in enumerate(stores)))

    async def read(until: asyncio.Future) -> None:
        position = start
        while True:
            finished = until.done()
            batch = await events.after(position, limit=20)
            seen.extend(each.sequence for each in batch)
            position = seen[-1] if seen else start
            if finished and not batch:
                return

    await asyncio.gather(writers, read(writers))
    assert seen == sorted(written)


@pytest.fixture
def patient(engine) -> PostgresEventStore:
    """Its readers wait for notifications; polling would come too late for these tests."""
    events = PostgresEventStore(engine)
    events._notifications._fallback_s = 60.0
    return events


async def listening(beats) -> None:
    """The first beat comes at once, the second when the connection listens."""
    await anext(beats)
    await anext(beats)


async def test_changes_beat_after_a_commit(ingest, patient) -> None:
    async with patient.changes() as beats, asyncio.timeout(20):
        await listening(beats)
        await ingest.commit([], [record("A")], unchanged)
        await anext(beats)


async def test_everybody_who_waits_is_woken_over_one_connection(ingest, patient, sql) -> None:
    async with asyncio.timeout(20), patient.changes() as first:
        await listening(first)
        async with patient.changes() as second, patient.changes() as third:
            await anext(second)
            await anext(third)
            assert await sql.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'") == 1
            await ingest.commit([], [record("A")], unchanged)
            await asyncio.gather(*(anext(beats) for beats in (first, second, third)))


async def test_nobody_listens_when_nobody_waits(patient, sql) -> None:
    async with asyncio.timeout(20):
        async with patient.changes() as beats:
            await listening(beats)
        await sql.until("SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        async with patient.changes() as beats:
            await listening(beats)


async def test_a_cancelled_wait_misses_nothing(ingest, patient) -> None:
    async with asyncio.timeout(20), patient.changes() as beats:
        await listening(beats)
        wait = asyncio.ensure_future(anext(beats))
        await asyncio.sleep(0)
        wait.cancel()
        await asyncio.wait({wait})
        await ingest.commit([], [record("A")], unchanged)
        await anext(beats)


async def test_listening_goes_on_after_the_connection_was_cut(ingest, patient, sql) -> None:
    async with asyncio.timeout(20), patient.changes() as beats:
        await listening(beats)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert await sql.value(cut)
        await anext(beats)  # it listens again: look, something may have been missed
        await ingest.commit([], [record("A")], unchanged)
        await anext(beats)


async def test_without_any_notification_there_is_a_beat_now_and_then(engine) -> None:
    events = PostgresEventStore(engine)
    events._notifications._fallback_s = 0.02
    async with events.changes() as beats, asyncio.timeout(5):
        for _ in range(5):
            await anext(beats)
