"""Counting and removing what had its time, class by class, without making anybody wait for long."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.engine import driver_transaction
from storage.postgres.shelves import SHELVES, Shelf
from storage.retention import ClassSize, ClassSurvey, RetentionPolicy

_PIECE = 5000
_REMOVING = "BEGIN; SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '20s'"
_COUNTING = "BEGIN READ ONLY; SET LOCAL statement_timeout = '15min'"
_SIZES = """
SELECT parent.relname AS name, sum(greatest(part.reltuples, 0))::bigint AS rows,
       sum(pg_total_relation_size(part.oid))::bigint AS bytes
FROM pg_class parent
LEFT JOIN LATERAL pg_partition_tree(parent.oid) AS tree ON parent.relkind = 'p'
JOIN pg_class part ON part.oid = coalesce(tree.relid, parent.oid)
WHERE parent.relname = ANY ($1) AND parent.relkind IN ('r', 'p')
  AND parent.relnamespace = current_schema()::regnamespace
GROUP BY parent.relname
"""


class PostgresRetentionStore:
    """See ``storage.retention.RetentionStore``."""

    def __init__(self, engine: AsyncEngine, shelves: Sequence[Shelf] = SHELVES) -> None:
        self._engine = engine
        self._shelves = tuple(shelves)

    async def sizes(self) -> Sequence[ClassSize]:
        """From the server's books; bytes in the object store are added up from the rows that point there."""
        async with driver_transaction(self._engine, _COUNTING) as connection:
            found = await self._books(connection)
            return [
                ClassSize(
                    shelf.name,
                    found.get(shelf.table, (0, 0))[0],
                    found.get(shelf.table, (0, 0))[1] + await _pointed_to(connection, shelf),
                )
                for shelf in self._shelves
            ]

    async def survey(self, policy: RetentionPolicy, now: datetime) -> Sequence[ClassSurvey]:
        """One scan of each table."""
        async with driver_transaction(self._engine, _COUNTING) as connection:
            books = await self._books(connection)
            return [
                await _survey(connection, shelf, policy, now, books.get(shelf.table, (0, 0))[1])
                for shelf in self._shelves
            ]

    async def remove(self, policy: RetentionPolicy, now: datetime, *, seconds: float) -> Mapping[str, int]:
        """A transaction for each piece; classes that time did not reach are for the next round."""
        until = time.monotonic() + seconds
        removed: dict[str, int] = {}
        for shelf in self._shelves:
            cut = policy.cut(shelf.name, now)
            if cut is None or not shelf.key or not shelf.ages_by:
                continue
            removed[shelf.name] = await self._empty(shelf, (cut, policy.dispute_cut(now)), until)
        return {name: count for name, count in removed.items() if count}

    async def _empty(self, shelf: Shelf, cuts: tuple[datetime, datetime], until: float) -> int:
        last: Any = None
        removed = 0
        while time.monotonic() < until:
            async with driver_transaction(self._engine, _REMOVING) as connection:
                piece = await connection.fetchrow(
                    _next_piece(shelf, first=last is None), cuts[0], *_some(last)
                )
                if piece is None or piece["last"] is None:
                    return removed
                if piece["old"] or not shelf.in_order:
                    bounds = [piece["first"], piece["last"]]
                    done: str = await connection.execute(_delete(shelf), *cuts, *bounds)
                    removed += int(done.rpartition(" ")[2])
                elif shelf.in_order:
                    return removed
            last = piece["last"]
        return removed

    async def _books(self, connection: Any) -> dict[str, tuple[int, int]]:
        rows = await connection.fetch(_SIZES, [shelf.table for shelf in self._shelves])
        return {row["name"]: (row["rows"], row["bytes"]) for row in rows}


# All names below are those of ``shelves``, never of a caller.


def _next_piece(shelf: Shelf, *, first: bool) -> str:
    after = "" if first else f"WHERE {shelf.key} > $2"
    return f"""
        SELECT min({shelf.key}) AS first, max({shelf.key}) AS last, bool_or({shelf.ages_by} < $1) AS old
        FROM (SELECT {shelf.key}, {shelf.ages_by} FROM {shelf.table} {after}
              ORDER BY {shelf.key} LIMIT {_PIECE}) piece
    """  # noqa: S608


def _delete(shelf: Shelf) -> str:
    return f"""
        DELETE FROM {shelf.table} r
        WHERE r.{shelf.key} >= $3 AND r.{shelf.key} <= $4 AND {_outlived(shelf)}
    """  # noqa: S608


def _outlived(shelf: Shelf) -> str:
    """Old, and nothing needs it. ``$2`` is named so that every statement has the same parameters."""
    free = "".join(f" AND NOT coalesce(({condition}), false)" for condition in shelf.held.values())
    return f"$2::timestamptz IS NOT NULL AND coalesce(r.{shelf.ages_by} < $1, false){free}"


async def _survey(
    connection: Any, shelf: Shelf, policy: RetentionPolicy, now: datetime, size: int
) -> ClassSurvey:
    cut = policy.cut(shelf.name, now) if shelf.ages_by else None
    reasons = list(shelf.held) if cut else []
    wanted = ["count(*)"]
    if cut:
        wanted.append(f"count(*) FILTER (WHERE {_outlived(shelf)})")
        wanted += [
            f"count(*) FILTER (WHERE coalesce(r.{shelf.ages_by} < $1, false) AND ({shelf.held[reason]}))"
            for reason in reasons
        ]
    query = f"SELECT {', '.join(wanted)} FROM {shelf.table} r"  # noqa: S608
    found = await connection.fetchrow(query, *([cut, policy.dispute_cut(now)] if cut else []))
    return ClassSurvey(
        name=shelf.name,
        what=shelf.what,
        rows=found[0],
        bytes=size + await _pointed_to(connection, shelf),
        kept_days=policy.days.get(shelf.name) if shelf.ages_by else None,
        outlived=found[1] if cut else 0,
        held={reason: count for reason, count in zip(reasons, list(found)[2:], strict=True) if count},
    )


async def _pointed_to(connection: Any, shelf: Shelf) -> int:
    if not shelf.bytes_of:
        return 0
    query = f"SELECT coalesce(sum({shelf.bytes_of}), 0)::bigint FROM {shelf.table}"  # noqa: S608
    return int(await connection.fetchval(query))


def _some(last: Any) -> tuple[Any, ...]:
    return () if last is None else (last,)
