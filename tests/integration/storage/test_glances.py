"""Small questions about one charger: never another answer than its view gives, and planned once."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from storage.capability import Declared
from storage.charger import ModelProfile
from storage.errors import NotFound
from storage.events import ConnectorStatus, EventRecord, HeartbeatReceived
from storage.glances import Glance, Manner
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.ingest import PostgresIngestStore
from storage.twin import (
    ConfigurationSection,
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    Lifecycle,
    OperationSection,
    SecuritySection,
)
from tests.support.memory_glances import MemoryGlances

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECTIONS = {
    "firmware": FirmwareSection("1.0", booted_at=AT),
    "security": SecuritySection(2, AT, tampered=True),
    "connectivity": ConnectivitySection(True, "ocpp2.1", AT, "n1", "192.0.2.1", 4),
    "operation": OperationSection(connectors={"1.1": ConnectorState(1, 1, ConnectorStatus.OCCUPIED, AT)}),
    "configuration": ConfigurationSection({"Key": "käse"}, AT),
}


class ByView(MemoryGlances):
    """The same answers, out of the whole view."""

    def __init__(self, chargers: PostgresChargerStore) -> None:
        self.get = chargers.get  # type: ignore[method-assign]
        self.model = chargers.model  # type: ignore[method-assign]


async def become(engine, charger_id: str, **sections: object) -> None:
    record = EventRecord(charger_id, HeartbeatReceived(), AT, AT, 1)
    await PostgresIngestStore(engine).commit([], [record], lambda twin, _: replace(twin, **sections))


async def agrees(chargers, charger_id: str) -> None:
    view = ByView(chargers)
    assert await chargers.registered(charger_id) == await view.registered(charger_id)
    assert await chargers.glance(charger_id) == await view.glance(charger_id)
    assert await chargers.manner(charger_id) == await view.manner(charger_id)


async def test_they_say_what_the_view_says(chargers, engine) -> None:
    await agrees(chargers, "A")
    assert await chargers.glance("A") == Glance(Lifecycle.REGISTERED)
    assert await chargers.manner("A") == Manner("Volt", "V2")
    await become(engine, "A", **SECTIONS)
    await chargers.put_model(ModelProfile("Volt", "V2", declared=Declared(items_per_get=7)))
    await agrees(chargers, "A")
    declared = Declared(items_per_get=7)
    assert await chargers.manner("A") == Manner("Volt", "V2", "ocpp2.1", "1.0", {"Key": "käse"}, declared)


@pytest.mark.parametrize("left_out", SECTIONS)
async def test_a_section_that_was_never_told_is_missing_in_both(chargers, engine, left_out) -> None:
    await become(engine, "A", **{name: body for name, body in SECTIONS.items() if name != left_out})
    await agrees(chargers, "A")


async def test_a_change_is_seen_by_the_next_question(chargers, engine) -> None:
    await become(engine, "A", **SECTIONS)
    await agrees(chargers, "A")
    await chargers.set_lifecycle("A", Lifecycle.QUARANTINED)
    await chargers.put_model(ModelProfile("Volt", "V2", declared=Declared(items_per_set=1)))
    await become(engine, "A", operation=OperationSection())
    assert (await chargers.glance("A")).lifecycle is Lifecycle.QUARANTINED
    assert (await chargers.manner("A")).declared.items_per_set == 1
    await agrees(chargers, "A")


async def test_many_at_once_get_their_own_answers(chargers, engine) -> None:
    await become(engine, "B", **SECTIONS)
    names = ["A", "B", "C"]
    assert [each.charger_id for each in await asyncio.gather(*map(chargers.registered, names))] == names
    await asyncio.gather(*(agrees(chargers, name) for name in names))


@pytest.mark.parametrize("question", ["registered", "glance", "manner", "get"])
async def test_an_unknown_one_is_said_to_be_unknown(chargers, question) -> None:
    with pytest.raises(NotFound, match="Z"):
        await getattr(chargers, question)("Z")


@pytest.mark.parametrize("question", ["registered", "glance", "manner", "get", "credential"])
async def test_the_server_plans_once_however_often_it_is_asked(chargers, database, question) -> None:
    alone = create_engine(database, pool_size=1)
    store, plans = PostgresChargerStore(alone), "SELECT statement, generic_plans FROM pg_prepared_statements"
    try:
        for _ in range(9):
            await getattr(store, question)("A")
        async with alone.connect() as connection:
            rows = (await connection.exec_driver_sql(plans)).all()
    finally:
        await alone.dispose()
    by_key = re.compile(r"charger_id = \$\d")
    kept = {row.statement: row.generic_plans for row in rows if by_key.search(row.statement)}
    assert list(kept.values()) == [4], rows  # PostgreSQL plans the first five for their values.
