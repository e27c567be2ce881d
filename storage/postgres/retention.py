"""Counting and removing what had its time, class by class, without making anybody wait for long."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import EngineUnavailable
from storage.postgres.engine import driver_transaction
from storage.postgres.shelves import SHELVES, Shelf
from storage.retention import ClassSize, ClassSurvey, RetentionPolicy

_SMALLEST = 50
_EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
_REMOVING = "BEGIN; SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '20s'"
_COUNTING = "BEGIN READ ONLY; SET LOCAL statement_timeout = '15min'"
_PATIENCE_S = 16 * 60.0
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


@dataclass(frozen=True, slots=True)
class _Piece:
    """What became of the rows up to a key."""

    last: Any
    removed: int


class PostgresRetentionStore:
    """See ``storage.retention.RetentionStore``."""

    def __init__(
        self,
        engine: AsyncEngine,
        shelves: Sequence[Shelf] = SHELVES,
        *,
        piece: int = 5000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._shelves = tuple(shelves)
        self._size = piece
        self._monotonic = monotonic
        self._places: dict[str, Any] = {}
        """The last key that was looked at, by class, where a round did not come to the end."""

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
        """Some scans of each table."""
        async with driver_transaction(self._engine, _COUNTING) as connection:
            books = await self._books(connection)
            return [
                await _survey(connection, shelf, policy, now, books.get(shelf.table, (0, 0))[1])
                for shelf in self._shelves
            ]

    async def remove(self, policy: RetentionPolicy, now: datetime, *, seconds: float) -> Mapping[str, int]:
        """A transaction for each piece; what time did not reach is where the next round goes on.

        One class that cannot be looked through keeps no other from its turn; it is raised at the end.
        """
        until = self._monotonic() + seconds
        removed: dict[str, int] = {}
        failed: EngineUnavailable | None = None
        for shelf in self._shelves:
            cut = policy.cut(shelf.name, now)
            if cut is None or not shelf.key or not shelf.ages_by:
                continue
            try:
                removed[shelf.name] = await self._empty(shelf, (cut, policy.dispute_cut(now)), until)
            except EngineUnavailable as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return {name: count for name, count in removed.items() if count}

    async def _empty(self, shelf: Shelf, cuts: tuple[datetime, datetime], until: float) -> int:
        removed, size = 0, self._size
        # Behind what is kept there may be more rows than one round can pass: go on where the last one ended.
        last = self._places.pop(shelf.name, None)
        while self._monotonic() < until:
            try:
                piece = await self._piece(shelf, cuts, last, size)
            except EngineUnavailable:
                if size <= _SMALLEST:
                    raise
                size //= 10
                continue
            if piece is None:
                return removed
            removed += piece.removed
            last = self._places[shelf.name] = piece.last
        return removed

    async def _piece(
        self, shelf: Shelf, cuts: tuple[datetime, datetime], last: Any, size: int
    ) -> _Piece | None:
        """The rows behind ``last``; None where there is no more to look for."""
        async with driver_transaction(self._engine, _REMOVING) as connection:
            query = _next_piece(shelf, size, first=last is None)
            piece = await connection.fetchrow(query, cuts[0], *_some(last))
            if piece is None or piece["last"] is None or (shelf.in_order and not piece["old"]):
                self._places.pop(shelf.name, None)
                return None
            if not piece["old"]:
                return _Piece(piece["last"], 0)
            bounds = [piece["oldest"], piece["youngest"], piece["first"], piece["last"]]
            done: str = await connection.execute(_delete(shelf), *cuts, *bounds)
            return _Piece(piece["last"], int(done.rpartition(" ")[2]))

    async def _books(self, connection: Any) -> dict[str, tuple[int, int]]:
        rows = await connection.fetch(_SIZES, [shelf.table for shelf in self._shelves])
        return {row["name"]: (row["rows"], row["bytes"]) for row in rows}


# All names below are those of ``shelves``, never of a caller.


def _next_piece(shelf: Shelf, size: int, *, first: bool) -> str:
    after = "" if first else f"WHERE {shelf.key} > $2"
    return f"""
        SELECT min({shelf.key}) AS first, max({shelf.key}) AS last, bool_or({shelf.ages_by} < $1) AS old,
               min({shelf.ages_by}) AS oldest, max({shelf.ages_by}) AS youngest
        FROM (SELECT {shelf.key}, {shelf.ages_by} FROM {shelf.table} {after}
              ORDER BY {shelf.key} LIMIT {size}) piece
    """  # noqa: S608


def _delete(shelf: Shelf) -> str:
    return f"""
        DELETE FROM {shelf.table} r
        WHERE r.{shelf.key} >= $5 AND r.{shelf.key} <= $6 AND {_outlived(shelf)}
    """  # noqa: S608


def _outlived(shelf: Shelf) -> str:
    """Old, and nothing needs it."""
    # Each condition stands alone, so that the server joins what is needed instead of looking for every row.
    free = "".join(f" AND NOT ({condition})" for condition in shelf.held.values())
    return f"{_old(shelf)}{free}"


def _old(shelf: Shelf) -> str:
    """All parameters are named, so that every statement has the same ones."""
    named = "".join(f" AND ${number}::timestamptz IS NOT NULL" for number in (2, 3, 4))
    return f"r.{shelf.ages_by} < $1{named}"


async def _survey(
    connection: Any, shelf: Shelf, policy: RetentionPolicy, now: datetime, size: int
) -> ClassSurvey:
    async def count(condition: str = "", *given: datetime) -> int:
        where = f"WHERE {condition}" if condition else ""
        query = f"SELECT count(*) FROM {shelf.table} r {where}"  # noqa: S608
        # The driver's own limit is that of a request, and gives up long before the server does.
        return int(await connection.fetchval(query, *given, timeout=_PATIENCE_S))

    cut = policy.cut(shelf.name, now) if shelf.ages_by else None
    outlived, held = 0, {}
    if cut is not None:
        given = (cut, policy.dispute_cut(now), *_EVER)
        outlived = await count(_outlived(shelf), *given)
        held = {
            why: await count(f"{_old(shelf)} AND ({condition})", *given)
            for why, condition in shelf.held.items()
        }
    return ClassSurvey(
        name=shelf.name,
        what=shelf.what,
        rows=await count(),
        bytes=size + await _pointed_to(connection, shelf),
        kept_days=policy.days.get(shelf.name) if shelf.ages_by else None,
        outlived=outlived,
        held={why: number for why, number in held.items() if number},
    )


async def _pointed_to(connection: Any, shelf: Shelf) -> int:
    if not shelf.bytes_of:
        return 0
    query = f"SELECT coalesce(sum({shelf.bytes_of}), 0)::bigint FROM {shelf.table}"  # noqa: S608
    return int(await connection.fetchval(query, timeout=_PATIENCE_S))


def _some(last: Any) -> tuple[Any, ...]:
    return () if last is None else (last,)
