"""``ampwave db stats``: what the database holds, for people and for machines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from api.cli.output import Column, Screen, ago, size
from storage.statistics import PartitionStatistics, TableStatistics

_COLUMNS = (
    Column("TABLE", fold=True),
    Column("ROWS", right=True),
    Column("SIZE", right=True),
    Column("OLDEST ROW"),
    Column("KEPT"),
    Column("PARTITIONS", right=True, optional=True),
)


def draw_statistics(
    screen: Screen, tables: Sequence[TableStatistics], kept: Mapping[str, int], now: datetime
) -> None:
    """The tables, the largest first, and the partitions of those that have some."""
    rows = [_row(table, kept, now) for table in tables]
    screen.table(_COLUMNS, rows, empty="There are no tables yet: ampwave db upgrade.")
    if not tables:
        return
    for table in tables:
        if table.partitions:
            _draw_partitions(screen, table, now)
    screen.line()
    total = size(sum(table.bytes for table in tables))
    screen.line(f"{total} in {len(tables)} tables, indexes included. ~ marks an estimate of PostgreSQL's.")
    screen.line("KEPT: rows go after so many days (of log_upload the bytes in the object store).")


def _row(table: TableStatistics, kept: Mapping[str, int], now: datetime) -> tuple[str, ...]:
    days = kept.get(table.name)
    return (
        table.name,
        f"{table.rows}" if table.exact else f"~{table.rows}",
        size(table.bytes),
        ago(table.oldest, now),
        "-" if days is None else f"{days} d",
        str(len(table.partitions) or "-"),
    )


def _draw_partitions(screen: Screen, table: TableStatistics, now: datetime) -> None:
    columns = (
        Column(f"PARTITION OF {table.name.upper()}", fold=True),
        Column("ROWS", right=True),
        Column("SIZE", right=True),
        Column("BEGINS"),
    )
    rows = [
        (part.name, f"~{part.rows}", size(part.bytes), ago(part.oldest, now)) for part in table.partitions
    ]
    screen.line()
    screen.table(columns, rows, empty="")


def statistics_json(tables: Sequence[TableStatistics], kept: Mapping[str, int]) -> dict[str, Any]:
    """The same for machines; ``kept_days`` is null for what does not go for its age."""
    return {
        "bytes": sum(table.bytes for table in tables),
        "tables": [
            {
                "name": table.name,
                "rows": table.rows,
                "rows_exact": table.exact,
                "bytes": table.bytes,
                "oldest": _text(table.oldest),
                "kept_days": kept.get(table.name),
                "partitions": [_partition(part) for part in table.partitions],
            }
            for table in tables
        ],
    }


def _partition(part: PartitionStatistics) -> dict[str, Any]:
    return {"name": part.name, "rows": part.rows, "bytes": part.bytes, "begins": _text(part.oldest)}


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
