"""Row ``timeline``: one charger with a year of events among others, asked by page and by what happened."""

import random
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import asyncpg

from storage.chronicle import question_of
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World

EVENTS = 52_560
"""A year with one every ten minutes."""
OTHERS = 100
EVENTS_OF_OTHERS = 3_000
ROUNDS = 40
PAGE = 100
TARGET_MS = 100.0
BEGIN = datetime(2025, 11, 25, tzinfo=UTC)

_EVENTS = """
INSERT INTO event (sequence, session_epoch, observed_at, received_at, charger_id, kind, body)
SELECT $4::bigint + n, 1, at, at, $1::text,
       CASE WHEN n % 1000 = 7 THEN 'charger_booted' WHEN n % 700 = 3 THEN 'security_event_reported'
            WHEN n % 5 = 0 THEN 'connector_status_changed' ELSE 'meter_values_sampled' END,
       jsonb_build_object('evse_id', 1, 'connector_id', 1, 'n', n, 'status',
                          CASE WHEN n % 900 = 5 THEN 'Faulted' WHEN n % 2 = 0 THEN 'Occupied'
                               ELSE 'Available' END)
FROM (SELECT n, $2::timestamptz + make_interval(mins => 10 * n) AS at
      FROM generate_series(0, $3::int - 1) AS n) AS given
"""
_CHANGES = """
INSERT INTO twin_history (charger_id, revision, observed_at, received_at, section, actor, cause, patch)
SELECT charger_id, row_number() OVER (ORDER BY sequence), observed_at, received_at, 'operation', 'charger',
       'event/' || sequence, jsonb_build_object('connectors', jsonb_build_object('1.1', body))
FROM event WHERE charger_id = 'ONE' AND kind = 'connector_status_changed'
"""
_BY_HAND = """
SELECT sequence, charger_id, kind, body, observed_at, received_at FROM event
WHERE charger_id = 'ONE' AND received_at < $1 ORDER BY received_at DESC, sequence DESC LIMIT 100
"""


async def measure_timeline(world: World) -> list[Row]:
    """A page of all entries anywhere in the year, the rare ones, and the history; beside SQL by hand."""
    count = world.sized(EVENTS, 500)
    async with world.database(0) as database:
        connection = await asyncpg.connect(database, command_timeout=300)
        engine = create_engine(database, pool_size=2)
        try:
            await _load(connection, count, world.sized(OTHERS, 2), world.sized(EVENTS_OF_OTHERS, 50))
            store = PostgresEventStore(engine)
            await store.history("ONE", limit=1)  # so that opening a connection is not timed
            ours, by_hand = await _measure(store, connection, world, count)
        finally:
            await engine.dispose()
            await connection.close()
    value, theirs = (quantiles(each, n=20, method="inclusive")[-1] for each in (ours, by_hand))
    unit = f"ms over {count:,} events of one charger"
    comparator = "one page of its events in SQL by hand"
    target = f"<= {TARGET_MS:g} ms"
    return [Row("timeline p95", value, unit, comparator, theirs, value / theirs, target, value <= TARGET_MS)]


async def _load(connection: asyncpg.Connection, count: int, others: int, of_others: int) -> None:
    began = time.monotonic()
    await connection.execute(_EVENTS, "ONE", BEGIN, count, 1)
    for number in range(others):
        await connection.execute(_EVENTS, f"O{number}", BEGIN, of_others, 10**7 * (number + 1))
    await connection.execute(_CHANGES)
    await connection.execute("VACUUM (ANALYZE)")
    say(f"timeline: loaded in {time.monotonic() - began:.0f} s")


async def _measure(
    store: PostgresEventStore, connection: asyncpg.Connection, world: World, count: int
) -> tuple[list[float], list[float]]:
    chance = random.Random(world.seed)
    ours: list[float] = []
    by_hand: list[float] = []
    for _ in range(world.sized(ROUNDS, 2)):
        until = BEGIN + timedelta(minutes=10 * chance.randrange(count // 2, count + 1))
        for what in (["event", "act"], ["event", "act", "change"], ["alarm"], ["reset", "act"]):
            took, page = await _timed(store.chronicle("ONE", question_of(what, until=until), limit=PAGE))
            ours.append(took)
            if "event" in what and len(page.items) < min(PAGE, count // 2):
                raise AssertionError(f"{what}: {len(page.items)} entries")
        took, history = await _timed(store.history("ONE", limit=PAGE))
        ours.append(took)
        took, rows = await _timed(connection.fetch(_BY_HAND, until))
        by_hand.append(took)
        whole = await store.chronicle("ONE", question_of([], until=until), limit=PAGE)
        if [row["sequence"] for row in rows] != [entry.sequence for entry in whole.items] or not history:
            raise AssertionError("the timeline and the events by hand differ")
    return ours, by_hand


async def _timed(asked: Awaitable[Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = await asked
    return (time.perf_counter() - began) * 1000, answer
