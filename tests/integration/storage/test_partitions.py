"""The journal is cut ahead of time, old days go whole, and the ingest waits for neither."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from storage.errors import EngineUnavailable
from storage.events import FrameRecord
from storage.journal import JournalRule, Span
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.partitions import PostgresJournalStore, name_of, span_of

pytestmark = pytest.mark.integration
NOW = datetime(2031, 5, 20, 12, 0, tzinfo=UTC)
RULE = JournalRule(partition_days=1, ahead_days=2, kept_days=3)
DAY = timedelta(days=1)
AHEAD = ("frame_20310520", "frame_20310521", "frame_20310522")


@pytest.fixture
async def journal(engine, chargers, sql) -> PostgresJournalStore:
    """A journal whose only partitions are those that a test makes."""
    store = PostgresJournalStore(engine)
    for partition in await store.partitions():
        await sql(f'DROP TABLE "{partition.name}"')
    return store


async def journaled(engine, *moments: datetime) -> None:
    frames = [FrameRecord("A", 1, "in", at, f"[{at:%d}]", "[3]") for at in moments]
    await PostgresIngestStore(engine).commit(frames, [], lambda twin, _: twin)


async def where(sql) -> dict[str, str]:
    """The partition of each frame, by its text."""
    return {
        row["text"]: row["part"]
        for row in await sql("SELECT text, tableoid::regclass::text AS part FROM frame")
    }


async def test_a_new_database_has_todays_partition_and_the_next_ones(database, sql) -> None:
    today = datetime.now(UTC)
    for number in range(7):
        name = f"frame_{today + number * DAY:%Y%m%d}"
        assert await sql.value("SELECT to_regclass($1) IS NOT NULL", name), name


async def test_partitions_are_made_ahead_once(journal, engine, sql) -> None:
    assert (await journal.keep(RULE, NOW)).made == AHEAD
    assert (await journal.keep(RULE, NOW)).made == ()
    assert (await journal.keep(RULE, NOW + DAY)).made == ("frame_20310523",)
    await journaled(engine, NOW, NOW + DAY)
    assert await where(sql) == {"[20]": AHEAD[0], "[21]": AHEAD[1]}


@pytest.mark.requirement("F107")
async def test_old_days_are_dropped_whole_and_younger_ones_stay(journal, engine, sql) -> None:
    await journal.keep(RULE, NOW)
    await journaled(engine, NOW, NOW + DAY)
    later = datetime(2031, 5, 24, 0, 0, tzinfo=UTC)
    assert (await journal.keep(RULE, later - timedelta(seconds=1))).dropped == ()
    assert (await journal.keep(RULE, later)).dropped == AHEAD[:1]
    assert await where(sql) == {"[21]": AHEAD[1]}


async def test_a_node_ahead_of_the_partitions_loses_nothing(journal, engine, sql) -> None:
    await journaled(engine, NOW, NOW + DAY, NOW + 9 * DAY)
    assert set((await where(sql)).values()) == {"frame_default"}
    assert (await journal.keep(RULE, NOW)).made == AHEAD
    assert await where(sql) == {"[20]": AHEAD[0], "[21]": AHEAD[1], "[29]": "frame_default"}


@pytest.mark.requirement("F101")
async def test_a_commit_that_meets_the_new_partition_may_simply_be_repeated(
    journal, engine, database
) -> None:
    """While the day is cut, a frame is on its way into the default partition, where it belongs no more."""
    cutting = await asyncpg.connect(database)
    try:
        await cutting.execute("BEGIN")
        await cutting.execute("CREATE TABLE frame_20310520 (LIKE frame INCLUDING DEFAULTS)")
        bounds = "FOR VALUES FROM ('2031-05-20 00:00:00+00') TO ('2031-05-21 00:00:00+00')"
        await cutting.execute(f"ALTER TABLE frame ATTACH PARTITION frame_20310520 {bounds}")
        writing = asyncio.create_task(journaled(engine, NOW))
        async with asyncio.timeout(20):
            while not await cutting.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                await asyncio.sleep(0)
        await cutting.execute("COMMIT")
        with pytest.raises(EngineUnavailable, match="partition"):
            await writing
    finally:
        await cutting.close()
    await journaled(engine, NOW)
    assert [each.name for each in await journal.partitions()] == ["frame_20310520"]


async def test_what_fell_into_the_default_partition_is_not_kept_longer(journal, engine, sql) -> None:
    await journaled(engine, NOW - 5 * DAY, NOW - 2 * DAY)
    await journal.keep(RULE, NOW)
    assert list(await where(sql)) == ["[18]"]


async def test_the_ingest_goes_on_while_a_partition_cannot_be_had(journal, engine, database, sql) -> None:
    """Somebody reads an old day for long: dropping it waits for the next round, commits do not wait."""
    await journal.keep(RULE, NOW)
    await journaled(engine, NOW)
    reader = await asyncpg.connect(database)
    try:
        await reader.execute("BEGIN")
        await reader.fetch(f"SELECT * FROM {AHEAD[0]}")
        later = NOW + 10 * DAY
        keeping = asyncio.create_task(journal.keep(JournalRule(ahead_days=1, kept_days=3), later))
        async with asyncio.timeout(20):
            while not keeping.done():
                with contextlib.suppress(EngineUnavailable):  # a day was just cut: the ingest tries again
                    await journaled(engine, later)
        round_ = await keeping
        assert round_.put_off == AHEAD[:1]
        assert set(AHEAD[1:]) <= set(round_.dropped)
        await reader.execute("ROLLBACK")
    finally:
        await reader.close()
    assert (await journal.keep(JournalRule(ahead_days=1, kept_days=3), later)).dropped == AHEAD[:1]


async def test_two_workers_at_once_do_it_once(journal) -> None:
    rounds = await asyncio.gather(*(journal.keep(RULE, NOW) for _ in range(3)))
    # What they took from each other's hands is for the next round.
    rounds.append(await journal.keep(RULE, NOW))
    assert sorted(name for each in rounds for name in each.made) == sorted(AHEAD)
    assert sorted(each.name for each in await journal.partitions()) == sorted(AHEAD)


async def test_partitions_of_an_operator_are_left_alone(journal, sql) -> None:
    await sql("CREATE TABLE frame_2031 PARTITION OF frame FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')")
    assert (await journal.keep(RULE, NOW)).made == ()
    assert [each.name for each in await journal.partitions()] == ["frame_2031"]


def test_bounds_are_read_as_they_are_printed() -> None:
    printed = "FOR VALUES FROM (MINVALUE) TO ('2031-05-20 00:00:00+00')"
    assert span_of(printed) == Span(None, datetime(2031, 5, 20, tzinfo=UTC))
    week = Span(datetime(2031, 5, 20, tzinfo=UTC), datetime(2031, 5, 27, tzinfo=UTC))
    assert name_of(week) == "frame_20310520_20310527"
    with pytest.raises(ValueError, match="bounds"):
        span_of("DEFAULT")
