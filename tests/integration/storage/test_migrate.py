"""One schema, however it came about and however many start at once."""

import asyncio

import pytest
from sqlalchemy import text

from storage.errors import EngineUnavailable
from storage.postgres.engine import create_engine
from storage.postgres.migrate import (
    current_revision,
    differences,
    head_revision,
    is_current,
    upgrade,
)

pytestmark = pytest.mark.integration


async def test_an_empty_database_is_brought_up_to_date(empty_database: str) -> None:
    assert await current_revision(empty_database) is None
    assert not await is_current(empty_database)
    assert await upgrade(empty_database) == head_revision()
    assert await is_current(empty_database)
    assert await upgrade(empty_database) == head_revision(), "a second time changes nothing"


async def test_many_starters_at_once_upgrade_once(empty_database: str) -> None:
    assert set(await asyncio.gather(*(upgrade(empty_database) for _ in range(4)))) == {head_revision()}


async def test_starters_in_other_processes_wait_for_each_other(empty_database: str) -> None:
    import sys

    program = (
        "import asyncio, sys; from storage.postgres.migrate import upgrade; asyncio.run(upgrade(sys.argv[1]))"
    )
    starters = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_database) for _ in range(2)
    ]
    assert [await starter.wait() for starter in starters] == [0, 0]
    assert await is_current(empty_database)


async def test_the_migrations_make_exactly_the_tables_of_the_code(database: str) -> None:
    assert await _differences(database) == []


async def test_a_difference_would_be_seen(database: str, sql) -> None:
    await sql("ALTER TABLE site DROP COLUMN max_down")
    await sql("CREATE INDEX stray ON charger (lifecycle)")
    assert {change[0] for change in await _differences(database)} == {"add_column", "remove_index"}
    await sql("DROP INDEX stray")
    await sql("ALTER TABLE site ADD COLUMN max_down integer NOT NULL, ADD CHECK (max_down >= 0)")


async def test_a_partition_that_an_operator_cut_is_no_difference(database: str, sql) -> None:
    await sql("CREATE TABLE frame_2027 PARTITION OF frame FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")
    assert await _differences(database) == []
    await sql("DROP TABLE frame_2027")


async def test_a_database_that_does_not_answer_is_said_so_without_the_password() -> None:
    with pytest.raises(EngineUnavailable) as caught:
        await upgrade("postgresql://ampwave:hush-hush@127.0.0.1:1/none")
    assert "hush" not in caught.value.diagnostics()


async def _differences(url: str) -> list:
    engine = create_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
        await connection.execute(text("SELECT 1"))
    await engine.dispose()
    return found
