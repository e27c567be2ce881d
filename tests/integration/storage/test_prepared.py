"""Prepared statements give and take what SQLAlchemy itself does, and leave their connection whole."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from storage.errors import Conflict, EngineUnavailable
from storage.postgres.engine import create_engine, reading
from storage.postgres.execution_tables import update_kept
from storage.postgres.prepared import Prepared
from storage.postgres.tables import site

pytestmark = pytest.mark.integration

_KEPT = {
    "campaign_id": "c1",
    "wave": 0,
    "charger_id": "A",
    "taken_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
    "values": {"WebSocketPingInterval": "60", "Größe": "ü"},
    "profile": 2,
    "roots": ["one", "two"],
    "local_list": None,
    "tries": 1,
    "next_at": None,
    "spoilt": False,
}


async def test_what_goes_in_comes_out_as_it_does_the_other_way(engine, chargers, sql) -> None:
    await sql("ALTER TABLE update_kept DISABLE TRIGGER ALL")  # no campaign is needed for this
    await Prepared(insert(update_kept)).rows(engine, **_KEPT)

    row = await Prepared(select(update_kept)).row(engine)
    async with reading(engine) as connection:
        other = (await connection.execute(select(update_kept))).one()

    assert row._asdict() == dict(other._mapping) == _KEPT
    assert tuple(row) == tuple(other)


async def test_names_that_do_not_fit_are_a_mistake_not_a_null(engine) -> None:
    statement = Prepared(select(site).where(site.c.site_id == bindparam("of")))

    with pytest.raises(TypeError, match="of"):
        await statement.row(engine)
    with pytest.raises(TypeError, match="other"):
        await statement.row(engine, of="s1", other=1)


async def test_an_array_is_one_parameter(engine, chargers) -> None:
    among = Prepared(
        select(site.c.site_id).where(site.c.site_id == func.any(bindparam("ids", type_=ARRAY(Text))))
    )

    assert [row.site_id for row in await among.rows(engine, ids=["s1", "no"])] == ["s1"]
    assert await among.rows(engine, ids=[]) == []
    assert await among.row(engine, ids=["no"]) is None


async def test_what_the_server_refuses_is_one_of_ours(engine, chargers) -> None:
    new = Prepared(insert(site).values(site_id="s1", name="twice", time_zone="UTC", max_down=1))
    with pytest.raises(Conflict):
        await new.rows(engine)


async def test_a_question_that_is_given_up_harms_no_other(database) -> None:
    engine = create_engine(database, pool_size=1)
    asking = asyncio.create_task(Prepared(select(func.pg_sleep(20))).rows(engine))
    async with asyncio.timeout(10):
        while engine.pool.checkedout() == 0:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await Prepared(select(func.upper("a"))).row(engine))[0] == "A"
    await engine.dispose()


async def test_a_connection_that_the_server_ended_is_replaced(database, sql) -> None:
    engine = create_engine(database, pool_size=1, application_name="prepared")
    who = Prepared(select(func.pg_backend_pid()))
    first = (await who.row(engine))[0]
    await sql("SELECT pg_terminate_backend($1)", first)

    second = first
    async with asyncio.timeout(10):
        while second == first:
            try:
                second = (await who.row(engine))[0]
            except EngineUnavailable:
                continue
    await engine.dispose()
