"""Driver errors become ours, broken connections are replaced, secrets stay out of messages."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from storage.errors import Conflict, EngineUnavailable, InvalidInput, NotFound
from storage.events import FrameRecord
from storage.postgres.engine import create_engine, transaction
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.outbox import PostgresOutboxStore

pytestmark = pytest.mark.integration


async def run(engine, statement: str, **values: object) -> object:
    async with transaction(engine) as connection:
        return (await connection.execute(text(statement), values)).scalar()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("INSERT INTO site VALUES ('s1', 'twice', 'UTC', 1)", Conflict),
        ("INSERT INTO site VALUES ('s9', 'negative', 'UTC', -1)", Conflict),
        ("SELECT 'no number'::int", InvalidInput),
        ("SELECT * FROM no_such_table", EngineUnavailable),
        (
            "INSERT INTO site SELECT string_agg(md5(n::text),''), '', 'UTC', 1 FROM generate_series(1,200) n",
            InvalidInput,
        ),
    ],
)
async def test_what_the_server_refuses_is_one_of_ours(engine, chargers, statement, expected) -> None:
    with pytest.raises(expected):
        await run(engine, statement)


async def test_a_value_the_driver_cannot_encode_is_invalid_not_unavailable(engine) -> None:
    with pytest.raises(InvalidInput):
        await run(engine, "SELECT CAST(:value AS bigint)", value=2**80)


async def test_a_missing_schema_says_what_to_do(empty_database) -> None:
    engine = create_engine(empty_database)
    with pytest.raises(EngineUnavailable, match="schema") as caught:
        await PostgresEventStore(engine).latest_sequence()
    assert "ampwave db upgrade" in caught.value.hint
    await engine.dispose()


async def test_a_statement_that_takes_too_long_is_ended(database) -> None:
    engine = create_engine(database, statement_timeout_s=0.05)
    with pytest.raises(EngineUnavailable):
        await run(engine, "SELECT pg_sleep(20)")
    assert await run(engine, "SELECT 1") == 1
    await engine.dispose()


async def test_connections_that_the_server_closed_are_replaced_unnoticed(engine, sql) -> None:
    await run(engine, "SELECT 1")
    ours = "FROM pg_stat_activity WHERE application_name = 'ampwave'"
    assert await sql.value(f"SELECT count(pg_terminate_backend(pid, 5000)) {ours}")
    for _ in range(3):
        assert await run(engine, "SELECT 1") == 1


async def test_a_server_that_is_not_there_is_unavailable_for_every_kind_of_store() -> None:
    engine = create_engine("postgresql://ampwave:hush-hush@127.0.0.1:1/none")
    stores = PostgresEventStore(engine), PostgresOutboxStore(engine), PostgresIngestStore(engine)
    with pytest.raises(EngineUnavailable) as caught:
        await stores[0].latest_sequence()
    assert "hush" not in repr(caught.value)
    assert caught.value.retryable
    with pytest.raises(EngineUnavailable):
        async with stores[1].claim(1):
            pass
    frame = FrameRecord("A", 1, "in", datetime.now(UTC), "[]")
    with pytest.raises(EngineUnavailable):
        await stores[2].commit([frame], [], lambda twin, _: twin)


async def test_our_own_errors_pass_through_unchanged(engine) -> None:
    error = NotFound("thing", "x")
    with pytest.raises(NotFound) as caught:
        async with transaction(engine):
            raise error
    assert caught.value is error
