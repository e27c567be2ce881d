"""How large the database is: every table once, partitions apart, few rows counted, many estimated."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.postgres.statistics import TIMES, PostgresStatistics
from storage.postgres.tables import metadata
from storage.statistics import TableStatistics

pytestmark = pytest.mark.integration

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def read(engine: AsyncEngine) -> dict[str, TableStatistics]:
    return {table.name: table for table in await PostgresStatistics(engine).tables()}


@pytest.mark.requirement("F107")
async def test_every_table_is_told_of_with_its_rows_and_its_oldest(engine: AsyncEngine, sql: Any) -> None:
    await sql("INSERT INTO site VALUES ('s', 'S', 'UTC', 1)")
    for at in ("2026-11-20T12:00Z", "2026-11-21T12:00Z"):
        await sql(
            "INSERT INTO frame (at, session_epoch, charger_id, direction, text)"
            f" VALUES ('{at}', 1, 'CP-1', 'in', 'x')"
        )
    found = await read(engine)
    assert set(found) == set(metadata.tables)
    assert (found["site"].rows, found["site"].exact, found["site"].oldest) == (1, True, None)
    frames = found["frame"]
    assert (frames.rows, frames.exact, frames.oldest) == (2, True, AT)
    assert "frame_default" in {part.name for part in frames.partitions}
    assert frames.bytes >= sum(part.bytes for part in frames.partitions) > 0
    sizes = [table.bytes for table in await PostgresStatistics(engine).tables()]
    assert sizes == sorted(sizes, reverse=True)


async def test_the_rows_of_a_large_table_are_not_read_one_by_one(
    engine: AsyncEngine, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = "2026-11-20"
    await sql(f"CREATE TABLE frame_x PARTITION OF frame FOR VALUES FROM ('{day}') TO ('2026-11-21')")
    await sql(
        "INSERT INTO frame (at, session_epoch, charger_id, direction, text)"
        f" SELECT '{day}T12:00Z', 1, 'CP-1', 'in', 'x' FROM generate_series(1, 50)"
    )
    await sql("ANALYZE frame_x")
    monkeypatch.setattr("storage.postgres.statistics.SMALL", 0)
    found = await read(engine)
    assert [part.rows for part in found["frame"].partitions if part.name == "frame_x"] == [50]
    assert (found["frame"].rows >= 50, found["frame"].exact) == (True, False)
    assert found["frame"].oldest == datetime(2026, 11, 20, tzinfo=UTC), "its partition's beginning"
    assert found["charging_session"].oldest is None
    await sql("DROP TABLE frame_x")


def test_every_time_that_is_looked_for_is_a_column() -> None:
    for table, (column, order) in TIMES.items():
        columns = metadata.tables[table].c
        assert column in columns
        assert order is None or order in columns
