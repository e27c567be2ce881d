"""Row ``audit``: acts per second that eight writers put into one chain, beside inserts without a chain."""

import asyncio
import time

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.audit import AuditEntry, first_break
from storage.canonical import canonical_json
from storage.clock import system_clock
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.engine import create_engine, driver_dsn
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World, execute, value

WRITERS = 8
AT_ONCE = 16
"""Acts that one writer has under way, as a node has while it sends a wave."""
SECONDS = 6.0
TARGET = 500.0
_PLAIN = "CREATE TABLE audit_plain (LIKE audit INCLUDING DEFAULTS INCLUDING INDEXES)"
_INSERT = """
INSERT INTO audit_plain (number, at, actor, action, subject, detail, previous_hash, row_hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_DETAIL = {"wave": 3, "attempt": 1, "artifact": "f" * 64, "evidence": {"root_version": 1, "keyid": "e" * 64}}


async def measure_audit(world: World) -> list[Row]:
    """Eight writers with connections of their own, one act at a time each; then sixteen at a time each."""
    seconds = 0.3 if world.quick else SECONDS
    async with world.database(1) as database:
        engines = [create_engine(database, pool_size=1) for _ in range(WRITERS)]
        try:
            single = await _rate(engines, seconds, 1)
            burst = await _rate(engines, seconds, AT_ONCE)
        finally:
            for engine in engines:
                await engine.dispose()
        rows = await _unforked(database)
        plain = await _plain_rate(database, seconds)
    say(f"audit: {single:,.0f}/s one by one, {burst:,.0f}/s in bursts, {rows} rows in one chain")
    return [
        Row(
            *(
                "audit",
                single,
                "acts/s",
                f"{WRITERS} writers, inserts without a chain",
                plain,
                single / plain,
            ),
            target=f">= {TARGET:,.0f}, no fork",
            met=single >= TARGET,
        ),
        Row(
            *("audit-burst", burst, "acts/s", f"{WRITERS} writers, inserts without a chain", plain),
            burst / plain,
            target=">= 0.5x the inserts, no fork",
            met=burst >= plain / 2,
        ),
    ]


async def _rate(engines: list[AsyncEngine], seconds: float, at_once: int) -> float:
    logs = [PostgresAuditLog(engine) for engine in engines]
    began = time.monotonic()
    lanes = [_append(log, began + seconds) for log in logs for _ in range(at_once)]
    written = await asyncio.gather(*lanes)
    return sum(written) / (time.monotonic() - began)


async def _append(log: PostgresAuditLog, until: float) -> int:
    count = 0
    while time.monotonic() < until:
        entry = AuditEntry(system_clock(), "campaign/c1", "update.dispatched", f"charger/{count}", _DETAIL)
        await log.append(entry)
        count += 1
    return count


async def _unforked(database: str) -> int:
    """Every number once, each row following from the one before; how many there are."""
    engine = create_engine(database)
    try:
        log, after, previous = PostgresAuditLog(engine), 0, "0" * 64
        while rows := list(await log.rows(after=after, limit=5000)):
            numbers = [row.number for row in rows]
            if numbers != list(range(after + 1, after + 1 + len(rows))) or first_break(rows, previous):
                raise AssertionError(f"the chain is broken after row {after}")
            after, previous = rows[-1].number, rows[-1].row_hash
    finally:
        await engine.dispose()
    if after != await value(database, "SELECT number FROM audit_head"):
        raise AssertionError("the head is not the last row")
    return after


async def _plain_rate(database: str, seconds: float) -> float:
    await execute(database, _PLAIN)
    began = time.monotonic()
    lanes = (_insert(database, lane, began + seconds) for lane in range(WRITERS))
    written = await asyncio.gather(*lanes)
    return sum(written) / (time.monotonic() - began)


async def _insert(database: str, lane: int, until: float) -> int:
    """The same rows, each in a transaction of its own, with nothing that ties them together."""
    connection = await asyncpg.connect(driver_dsn(database))
    count = 0
    try:
        while time.monotonic() < until:
            number = count * WRITERS + lane
            words = ("campaign/c1", "update.dispatched", f"charger/{count}")
            detail = canonical_json(_DETAIL).decode()
            await connection.execute(
                _INSERT, number, system_clock(), *words, detail, f"{number:064x}", f"{number:064x}"
            )
            count += 1
    finally:
        await connection.close()
    return count
