"""Cutting the journal into partitions and dropping old ones, without making the ingest wait.

Nothing here holds a lock that a commit needs for longer than a moment: a lock that is not free within
half a second is left for the next round. A frame of a day without a partition falls into
``frame_default``; it moves when its day gets one.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import AmpwaveError
from storage.journal import JournalRound, JournalRule, Partition, Span, keep_from, outlived, wanted
from storage.postgres.engine import driver_transaction

log = structlog.get_logger(__name__)

_BEGIN = "BEGIN; SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '10s'"
_ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(x'0B00000000000001'::bigint)"
"""0x0B00 in the upper bits: no key of ``statements.BEGIN``."""
_THERE = """
SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) AS bounds
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent = 'frame'::regclass AND pg_get_expr(child.relpartbound, child.oid) <> 'DEFAULT'
"""
_BOUNDS = re.compile(r"FOR VALUES FROM \((?P<start>.+)\) TO \((?P<end>.+)\)")
_COLUMNS = "at, frame_id, session_epoch, charger_id, direction, text, answer"
_FORGET = """
DELETE FROM frame_default WHERE ctid = ANY (ARRAY(SELECT ctid FROM frame_default WHERE at < $1 LIMIT 10000))
"""


def span_of(bounds: str) -> Span:
    """A partition's bounds as PostgreSQL prints them in a session whose time zone is UTC."""
    found = _BOUNDS.fullmatch(bounds)
    if found is None:
        raise ValueError(f"cannot read the bounds {bounds!r} of a partition of frame")
    return Span(_instant(found["start"]), _instant(found["end"]))


def _instant(word: str) -> datetime | None:
    if word in ("MINVALUE", "MAXVALUE"):
        return None
    return datetime.fromisoformat(word.strip("'")).astimezone(UTC)


def name_of(span: Span) -> str:
    """``frame_20261125``; with its end when it is longer than a day."""
    if span.start is None or span.end is None:
        raise ValueError("only a partition with both ends gets its name from them")
    name = f"frame_{span.start:%Y%m%d}"
    return name if (span.end - span.start).days == 1 else f"{name}_{span.end:%Y%m%d}"


class PostgresJournalStore:
    """See ``storage.ports.JournalStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def partitions(self) -> tuple[Partition, ...]:
        """Those that are there, without the one that catches the rest."""
        async with driver_transaction(self._engine, "BEGIN READ ONLY") as connection:
            rows = await connection.fetch(_THERE)
        return tuple(Partition(row["relname"], span_of(row["bounds"])) for row in rows)

    async def keep(self, rule: JournalRule, now: datetime) -> JournalRound:
        """Make the partitions that are due, drop those that have had their time."""
        there = await self.partitions()
        made: list[str] = []
        dropped: list[str] = []
        put_off: list[str] = []
        for span in wanted(there, rule, now):
            name = name_of(span)
            (made if await self._in_a_moment(name, _make(name, span)) else put_off).append(name)
        for partition in outlived(there, rule, now):
            done = await self._in_a_moment(partition.name, _drop(partition.name))
            (dropped if done else put_off).append(partition.name)
        await self._forget(keep_from(rule, now))
        return JournalRound(tuple(made), tuple(dropped), tuple(put_off))

    async def _in_a_moment(self, name: str, work: Callable[[Any], Awaitable[None]]) -> bool:
        """Do it in one transaction, unless somebody else is at it or a lock is not free at once."""
        try:
            async with driver_transaction(self._engine, _BEGIN) as connection:
                if not await connection.fetchval(_ONE_AT_A_TIME):
                    return False
                await work(connection)
        except AmpwaveError as error:
            log.warning("a partition of the journal has to wait", partition=name, error=str(error))
            return False
        return True

    async def _forget(self, limit: datetime) -> None:
        """What fell into the default partition is kept no longer than the rest."""
        while True:
            async with driver_transaction(self._engine, _BEGIN) as connection:
                done: str = await connection.execute(_FORGET, limit)
            if done == "DELETE 0":
                return


def _make(name: str, span: Span) -> Callable[[Any], Awaitable[None]]:
    """Made beside the journal, filled with what waits for it in the default partition, then attached.

    ``CREATE TABLE ... PARTITION OF`` would lock out all writers; attaching locks the default partition only.
    """
    # Most of what waits moves while others write; the rest moves under the lock, in a moment.
    start, end = f"'{span.start:%Y-%m-%d %H:%M:%S%z}'", f"'{span.end:%Y-%m-%d %H:%M:%S%z}'"
    within = f"at >= {start} AND at < {end}"
    move = f"""
        WITH moved AS (DELETE FROM frame_default WHERE {within} RETURNING {_COLUMNS})
        INSERT INTO {name} ({_COLUMNS}) SELECT {_COLUMNS} FROM moved
    """  # noqa: S608 - names and times are made here

    async def work(connection: Any) -> None:
        await connection.execute(f"""
            CREATE TABLE {name} (LIKE frame INCLUDING DEFAULTS, CONSTRAINT fits CHECK ({within}));
            {move};
            LOCK TABLE frame_default IN ACCESS EXCLUSIVE MODE;
            {move};
            ALTER TABLE frame ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end});
            ALTER TABLE {name} DROP CONSTRAINT fits
        """)

    return work


def _drop(name: str) -> Callable[[Any], Awaitable[None]]:
    quoted = name.replace('"', '""')

    async def work(connection: Any) -> None:
        # The partition first, at once or not at all: whoever reads it for long must not make writers of the
        # others wait, as they would behind DROP TABLE, which locks the journal before it waits for its part.
        await connection.execute(
            f'LOCK TABLE "{quoted}" IN ACCESS EXCLUSIVE MODE NOWAIT; DROP TABLE "{quoted}"'
        )

    return work
