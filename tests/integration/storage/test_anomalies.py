"""What a charger reports outside the schema stays out of its twin and is on record."""

from datetime import UTC, datetime, timedelta

import pytest

from csms.projection import project
from storage.events import EventRecord, VariablesReported
from storage.postgres.ingest import PostgresIngestStore
from storage.twin_schema import MAX_SECTION_BYTES

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def ingest(engine) -> PostgresIngestStore:
    return PostgresIngestStore(engine)


def told(values: dict[str, str], second: int = 0) -> EventRecord:
    at = AT + timedelta(seconds=second)
    return EventRecord("A", VariablesReported(values), at, at, 1)


@pytest.mark.requirement("F11")
async def test_a_field_outside_the_schema_is_quarantined(chargers, ingest, sql) -> None:
    odd = {"HeartbeatInterval": "300", "Long": "x" * 2501, "Bad\x07Name": "1", "Nul\x00": "1"}
    (event,) = await ingest.commit([], [told(odd)], project)
    await ingest.commit([], [told({"Long": "y" * 3000}, 1)], project)
    view = await chargers.get("A")
    assert view.twin.configuration is not None
    assert view.twin.configuration.values == {"HeartbeatInterval": "300"}
    assert event.body["values"]["Long"] == "x" * 2501, "the event keeps all of it"
    rows = await sql("SELECT kind, path, reason, cause, times FROM anomaly ORDER BY path")
    assert [(row["kind"], row["path"], row["times"]) for row in rows] == [
        ("outside_schema", "configuration.values.Bad?Name", 1),
        ("outside_schema", "configuration.values.Long", 2),
        ("outside_schema", "configuration.values.Nul?", 1),
    ]
    assert rows[0]["cause"] == f"event/{event.sequence}"
    assert rows[1]["reason"] == "its value has 3000 characters, more than 2500"


@pytest.mark.requirement("F11")
async def test_a_section_over_its_size_stays_as_it_was(chargers, ingest, sql) -> None:
    await ingest.commit([], [told({"A": "1"})], project)
    # Characters of two bytes each: what counts is bytes.
    large = {f"V{number}": "\u00e9" * 2000 for number in range(20)}
    await ingest.commit([], [told(large, 1)], project)
    view = await chargers.get("A")
    assert view.twin.configuration is not None
    assert view.twin.configuration.values == {"A": "1"}
    assert view.twin.revision == 1
    assert await sql.value("SELECT path FROM anomaly WHERE kind = 'too_large'") == "configuration"
    # What fits is taken again.
    await ingest.commit([], [told({"B": "2"}, 2)], project)
    assert await sql.value("SELECT octet_length(reported::text) FROM twin_section") < MAX_SECTION_BYTES
    assert (await chargers.get("A")).twin.configuration.values == {"A": "1", "B": "2"}  # type: ignore[union-attr]


async def test_a_charger_that_invents_names_without_end_fills_no_table(chargers, ingest, sql) -> None:
    for train in range(3):
        names = {f"{number:04d}" + "x" * 200: "1" for number in range(150 * train, 150 * train + 150)}
        await ingest.commit([], [told(names, train)], project)
    assert 150 <= int(str(await sql.value("SELECT count(*) FROM anomaly"))) <= 350
    await ingest.commit([], [told({"0000" + "x" * 200: "1"}, 9)], project)
    assert await sql.value("SELECT max(times) FROM anomaly") == 2, "a known one is still counted"
