"""Row ``twin-writes``: changes of twins per second, with their history and the signals of some."""

import asyncio
import itertools
import time
from datetime import timedelta

from csms.projection import project
from storage.clock import system_clock
from storage.events import ChargerBooted, ConnectorStatus, ConnectorStatusChanged, EventRecord
from storage.postgres.engine import create_ingest_engine
from storage.postgres.ingest import PostgresIngestStore
from tests.benchmarks.fleet import name_of
from tests.benchmarks.messages import FIRMWARE, MODEL, VENDOR
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World, execute, value

CHARGERS = 5000
BATCH = 250
SECONDS = 12.0
TARGET = 3000.0
DITTO = 800.0
"""Updates of things per second that Eclipse Ditto publishes for one set of instances."""

_LEASES = """
INSERT INTO site_lease (charger_id, site_id, workflow_id, kind, expires_at, wake_on)
SELECT charger_id, 'bench', 'charger/' || charger_id, 'update', now() + interval '1 hour', '{booted}'
FROM charger
"""
_BOOT = ChargerBooted(VENDOR, MODEL, FIRMWARE)
_STATUS = (
    ConnectorStatusChanged(1, 1, ConnectorStatus.OCCUPIED),
    ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE),
)


async def measure_twin_writes(world: World) -> list[Row]:
    """The store alone, in this process: one in ten is a boot of a charger that is under maintenance."""
    count = world.sized(CHARGERS, 50)
    seconds = 0.5 if world.quick else SECONDS
    async with world.database(count) as database:
        await execute(database, _LEASES)
        engine = create_ingest_engine(database)
        try:
            store = PostgresIngestStore(engine)
            began = time.monotonic()
            written = await asyncio.gather(*(_write(store, lane, count, began + seconds) for lane in (0, 1)))
            per_s = sum(written) / (time.monotonic() - began)
        finally:
            await engine.dispose()
        histories = await value(database, "SELECT count(DISTINCT (charger_id, revision)) FROM twin_history")
        signals = await value(database, "SELECT count(*) FROM outbox")
        boots = await value(database, "SELECT count(*) FROM event WHERE kind = 'charger_booted'")
    if histories != sum(written) or signals != boots:
        found = f"{histories} revisions, {boots} boots, {signals} signals"
        raise AssertionError(f"{sum(written)} changes, but {found}")
    say(f"twin-writes: {per_s:,.0f}/s, {histories} revisions, {signals} signals")
    return [
        Row(
            *("twin-writes", per_s, "changes/s", "Eclipse Ditto, as published", DITTO, per_s / DITTO),
            target=f">= {TARGET:,.0f}",
            met=per_s >= TARGET,
        )
    ]


async def _write(store: PostgresIngestStore, lane: int, count: int, until: float) -> int:
    """Batches of changes over this lane's half of the chargers, as the ingest keeps lanes apart."""
    names = [name_of(number) for number in range(lane, count, 2)]
    written = 0
    batch = min(BATCH, len(names))
    turns = itertools.takewhile(lambda _: time.monotonic() < until, itertools.count())
    for turn in turns:
        now = system_clock() + timedelta(microseconds=turn)
        chosen = [names[(turn * batch + place) % len(names)] for place in range(batch)]
        events = [
            EventRecord(name, _change(turn, place, batch, len(names)), now, now, 1)
            for place, name in enumerate(chosen)
        ]
        written += len(await store.commit([], events, project))
    return written


def _change(turn: int, place: int, batch: int, chargers: int) -> ChargerBooted | ConnectorStatusChanged:
    if place % 10 == 0:
        return _BOOT
    rounds = (turn * batch + place) // chargers
    return _STATUS[rounds % 2]
