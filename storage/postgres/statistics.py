"""How large the tables are and how far they reach back: catalogue first, rows only where they are few."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.postgres.engine import reading
from storage.postgres.partitions import span_of
from storage.postgres.tables import metadata
from storage.statistics import PartitionStatistics, TableStatistics

SMALL = 32 * 1024 * 1024
"""Bytes up to which rows are counted and their times read one by one; above, the index or nothing."""

_SIZES = text("""
SELECT relation.relname AS name, parent.relname AS parent,
       pg_total_relation_size(relation.oid) AS bytes,
       GREATEST(relation.reltuples, stat.n_live_tup, 0)::bigint AS rows,
       pg_get_expr(relation.relpartbound, relation.oid) AS bounds
FROM pg_class relation
LEFT JOIN pg_inherits ON inhrelid = relation.oid
LEFT JOIN pg_class parent ON parent.oid = inhparent
LEFT JOIN pg_stat_user_tables stat ON stat.relid = relation.oid
WHERE relation.relkind IN ('r', 'p') AND relation.relnamespace = current_schema()::regnamespace
ORDER BY relation.relname
""")

TIMES: dict[str, tuple[str, str | None]] = {
    "anomaly": ("first_seen", None),
    "artifact": ("uploaded_at", None),
    "audit": ("at", "number"),
    "campaign": ("created_at", None),
    "charger": ("registered_at", None),
    "charging_session": ("began_at", None),
    "drift": ("first_seen", None),
    "event": ("received_at", "sequence"),
    "frame": ("at", None),
    "health_hour": ("hour", None),
    "incident": ("opened_at", None),
    "log_request": ("requested_at", "request_id"),
    "log_upload": ("received_at", "received_at"),
    "operator_command": ("requested_at", None),
    "twin_history": ("received_at", None),
}
"""Which time of a row says how old it is, and the head of an index by which the oldest row is the first."""


class PostgresStatistics:
    """Reads what is there; changes nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def tables(self) -> tuple[TableStatistics, ...]:
        """Our tables, the largest first."""
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_SIZES)).all()
            parts: dict[str, list[Any]] = defaultdict(list)
            for row in rows:
                if row.parent is not None:
                    parts[row.parent].append(row)
            found = [
                await self._table(connection, row, parts[row.name])
                for row in rows
                if row.parent is None and row.name in metadata.tables
            ]
        return tuple(sorted(found, key=lambda each: (-each.bytes, each.name)))

    async def _table(self, connection: AsyncConnection, row: Any, parts: list[Any]) -> TableStatistics:
        total = row.bytes + sum(part.bytes for part in parts)
        few = total <= SMALL
        rows = row.rows + sum(part.rows for part in parts)
        partitions = tuple(sorted(map(_partition, parts), key=lambda part: part.name))
        if few:
            count = await connection.execute(text(f'SELECT count(*) FROM "{row.name}"'))  # noqa: S608 - ours
            rows = count.scalar_one()
        return TableStatistics(
            name=row.name,
            rows=rows,
            exact=few,
            bytes=total,
            oldest=await self._oldest(connection, row.name, few=few) or _begin(partitions),
            partitions=partitions,
        )

    async def _oldest(self, connection: AsyncConnection, name: str, *, few: bool) -> datetime | None:
        column, order = TIMES.get(name, (None, None))
        if column is None or not (few or order):
            return None
        first = (
            f'min("{column}") FROM "{name}"'
            if few
            else f'"{column}" FROM "{name}" ORDER BY "{order}" LIMIT 1'
        )
        oldest: datetime | None = (await connection.execute(text(f"SELECT {first}"))).scalar()
        return oldest


def _partition(row: Any) -> PartitionStatistics:
    start = None if row.bounds == "DEFAULT" else span_of(row.bounds).start
    return PartitionStatistics(row.name, row.rows, row.bytes, start)


def _begin(partitions: tuple[PartitionStatistics, ...]) -> datetime | None:
    """A large table's oldest row is no older than its oldest partition with rows."""
    return min((part.oldest for part in partitions if part.rows and part.oldest), default=None)
