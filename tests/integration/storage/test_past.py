"""Twins of the past: every revision, both axes of time, where a value comes from, and the rebuild."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.projection import project
from storage.codec import decode_event
from storage.desired import DesiredChange
from storage.errors import NotFound
from storage.events import (
    ChargerBooted,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventRecord,
    FirmwareStatus,
    FirmwareStatusReported,
    FrameRecord,
    HeartbeatReceived,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    VariablesReported,
)
from storage.past import SNAPSHOT_EVERY, PastQuestion, Repair
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.twins import PostgresTwinStore
from storage.twin import TwinState

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


@pytest.fixture
def ingest(engine) -> PostgresIngestStore:
    return PostgresIngestStore(engine)


@pytest.fixture
def twins(engine, chargers) -> PostgresTwinStore:
    return PostgresTwinStore(engine, project)


def told(event: Any, observed: float, received: float | None = None, epoch: int = 1) -> EventRecord:
    return EventRecord("A", event, at(observed), at(observed if received is None else received), epoch)


def train(chance: random.Random, length: int) -> list[EventRecord]:
    """What chargers do, also late, doubled, from replaced sockets and with absurd clocks."""
    records: list[EventRecord] = []
    minute, epoch = 0.0, 1
    for number in range(length):
        minute += chance.choice([0, 0.1, 1, 5])
        epoch += chance.random() < 0.05
        late = chance.choice([0, 0, 0, 3, 400, -30])
        record = EventRecord(
            "A",
            _event(chance, number),
            at(minute - late),
            at(minute),
            max(1, epoch - (chance.random() < 0.1)),
            None if chance.random() < 0.8 else f"key-{chance.randrange(20)}",
        )
        records += [record] * chance.choice([1, 1, 1, 2])
    return records


def _event(chance: random.Random, number: int) -> Any:
    connector = chance.choice([1, 2])
    session = f"T{chance.randrange(6)}"
    return chance.choice(
        [
            ConnectionOpened("ocpp2.0.1", chance.choice([1, 2]), "10.0.0.1", "n1"),
            ConnectionClosed(1006, ""),
            ConnectionRefused("password", "10.0.0.2"),
            ChargerBooted(
                "Volt", "V2", f"1.{chance.randrange(3)}", "S-1", chance.choice([None, "Triggered"])
            ),
            HeartbeatReceived(),
            ConnectorStatusChanged(connector, 1, chance.choice(list(ConnectorStatus)), "NoError\x00"),
            FirmwareStatusReported(chance.choice(list(FirmwareStatus)), number),
            SecurityEventReported(chance.choice(["TamperDetectionActivated", "StartupOfTheDevice"])),
            TransactionStarted(session, connector, 1),
            TransactionUpdated(session, connector, "Charging"),
            TransactionEnded(session, "Local"),
            VariablesReported({f"V{chance.randrange(4)}": "x" * chance.choice([1, 2600]), "Odd\x07": "1"}),
            VariablesReported({f"L{each}": "y" * 2400 for each in range(chance.choice([1, 40]))}),
            ReservationChanged(chance.randrange(3), chance.random() < 0.5),
        ]
    )


@pytest.mark.requirement("F16", "F21")
@pytest.mark.parametrize("seed", range(6))
async def test_every_revision_can_be_read_and_a_rebuild_gives_the_same_bytes(
    engine, chargers, ingest, twins, sql, seed: int
) -> None:
    chance = random.Random(seed)
    records = train(chance, 120)
    routes = PostgresRouteStore(engine)
    states: dict[int, TwinState] = {}
    for first in range(0, len(records), 7):
        if chance.random() < 0.2:
            await routes.claim("A", "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
        # Every event in a batch of its own half the time, so that each revision is seen.
        part = records[first : first + 7]
        for batch in [part] if chance.random() < 0.3 else [[each] for each in part]:
            await ingest.commit([], batch, project)
            view = await chargers.get("A")
            states[view.twin.revision] = view.twin
        if chance.random() < 0.1:
            sections = {each.section: each for each in await twins.desired("A")}
            body = {"values": {"A": str(first)}}
            version = sections["configuration"].version
            await twins.set_desired(DesiredChange("A", "configuration", body, version, "ada", "r/1", AT))
        if chance.random() < 0.1:
            await twins.summarise()
    await twins.summarise()
    rebuilt = await twins.rebuild("A")
    assert rebuilt.differing == ()
    assert rebuilt.same
    assert rebuilt.changes > 30
    for revision, state in states.items():
        assert (await twins.past("A", PastQuestion(revision=revision))).twin == state
    # A node that starts anew, with nothing in memory, agrees.
    await PostgresIngestStore(engine).commit([], [told(HeartbeatReceived(), 10_000)], project)
    assert (await twins.rebuild("A")).same


@pytest.mark.requirement("F21")
async def test_a_twin_that_was_meddled_with_is_found_out(ingest, twins, sql) -> None:
    boot = told(ChargerBooted("Volt", "V2", "1.0"), 0)
    await ingest.commit([], [boot], project)
    await sql("""
        UPDATE twin_section SET reported = jsonb_set(reported, '{version}', '"6.6"') WHERE name = 'firmware'
    """)
    rebuilt = await twins.rebuild("A")
    assert (rebuilt.same, rebuilt.differing) == (False, ("firmware",))
    with pytest.raises(NotFound):
        await twins.rebuild("stranger")


@pytest.mark.requirement("F21")
async def test_all_twins_come_back_with_identical_bytes_while_the_ingest_goes_on(
    engine, chargers, ingest, twins, sql
) -> None:
    records = train(random.Random(7), 90)
    for name in ("A", "B"):
        await ingest.commit([], [replace(each, charger_id=name) for each in records[:120]], project)
    before = await _reported(sql)
    for charger_id, section, value in (("A", "firmware", '{"version": "6.6"}'), ("B", "operation", "null")):
        await sql(
            "UPDATE twin_section SET reported = $3::jsonb WHERE charger_id = $1 AND name = $2",
            *(charger_id, section, value),
        )
    first = await twins.rebuild_page(limit=2)
    found = [*first.items, *(await twins.rebuild_page(limit=2, cursor=first.next_cursor)).items]
    assert [(each.charger_id, each.differing) for each in found] == [
        ("A", ("firmware",)),
        ("B", ("operation",)),
        ("C", ()),
    ]

    twins._page_seconds = 0.0
    short = await twins.rebuild_page(limit=3)
    assert [each.charger_id for each in short.items] == ["A"]
    assert [each.charger_id for each in (await twins.rebuild_page(cursor=short.next_cursor)).items] == ["B"]
    del twins._page_seconds

    async def talk() -> None:
        for minute in range(20):
            seen = ConnectorStatusChanged(2, 1, list(ConnectorStatus)[minute % 2])
            await ingest.commit([], [replace(told(seen, 900 + minute), charger_id="B")], project)

    given = Repair("A", "ada", "after the restore", AT)
    repaired, again, *_ = await asyncio.gather(
        twins.repair(given), twins.repair(given), twins.repair(replace(given, charger_id="B")), talk()
    )
    # Two at once: one of them finds nothing left to do.
    assert sorted([repaired.repaired, again.repaired]) == [(), ("firmware",)]
    assert all(each.same for each in (await twins.rebuild_page()).items)
    after = await _reported(sql)
    assert {key: text for key, text in after.items() if key[0] == "A"} == {
        key: text for key, text in before.items() if key[0] == "A"
    }
    for name in ("A", "B"):
        view = await chargers.get(name)
        assert (await twins.past(name, PastQuestion(revision=view.twin.revision))).twin == view.twin
    # A node that had remembered the wrong twin goes on from the right one.
    await ingest.commit([], [told(ChargerBooted("Volt", "V2", "9.0", "S-1"), 1000)], project)
    assert (await twins.rebuild("A")).same
    acts = await sql(
        "SELECT subject, detail::jsonb ->> 'reason' AS why FROM audit WHERE action = 'twin.repaired'"
    )
    assert ("charger/A", "after the restore") in {tuple(each) for each in acts}
    with pytest.raises(NotFound):
        await twins.repair(replace(given, charger_id="stranger"))


async def _reported(sql) -> dict[tuple[str, str], str]:
    rows = await sql("SELECT charger_id, name, reported::text AS bytes FROM twin_section")
    return {(row["charger_id"], row["name"]): row["bytes"] for row in rows}


@pytest.mark.requirement("F16", "F17", "F19")
async def test_what_was_known_and_what_was_true_at_an_instant_differ_for_a_late_report(ingest, twins) -> None:
    await ingest.commit(
        [],
        [
            told(ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE), 0),
            told(ConnectionClosed(1006, ""), 1),
        ],
        project,
    )
    # Offline from minute 1 on; at minute 60 it sends what happened at minutes 10 and 40.
    late = [
        told(TransactionStarted("T1", 1, 1), 10, 60),
        told(ConnectorStatusChanged(1, 1, ConnectorStatus.OCCUPIED), 10, 60),
        told(TransactionEnded("T1"), 40, 60),
        told(ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE), 40, 60),
    ]
    events = await ingest.commit([], late, project)

    async def asked(**question: datetime) -> tuple[str, list[str]]:
        found = await twins.past("A", PastQuestion(**question))
        assert found.twin.operation is not None
        return found.twin.operation.connectors["1.1"].status.value, list(found.twin.operation.transactions)

    assert await asked(known_at=at(30)) == ("Available", [])
    assert await asked(true_at=at(30)) == ("Occupied", ["T1"])
    assert await asked(known_at=at(61)) == ("Available", [])
    assert await asked(true_at=at(45)) == ("Available", [])
    found = await twins.past("A", PastQuestion(true_at=at(30)))
    assert found.late == (events[0].sequence, events[1].sequence)
    nothing = await twins.past("A", PastQuestion(known_at=at(-5)))
    assert (nothing.twin, nothing.received_at) == (TwinState("A"), None)


async def test_a_clock_that_stands_in_1970_rewrites_no_past(ingest, twins) -> None:
    await ingest.commit([], [told(ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE), 0)], project)
    odd = EventRecord(
        "A",
        ConnectorStatusChanged(1, 1, ConnectorStatus.FAULTED),
        datetime(1970, 1, 1, tzinfo=UTC),
        at(60),
        1,
    )
    await ingest.commit([], [odd], project)
    found = await twins.past("A", PastQuestion(true_at=at(30)))
    assert found.late == ()


async def test_reading_the_past_walks_from_the_nearest_snapshot(ingest, twins, sql) -> None:
    count = 2 * SNAPSHOT_EVERY + 30
    for first in range(0, count, 23):
        numbers = range(first, min(first + 23, count))
        await ingest.commit([], [told(VariablesReported({"N": str(n)}), n) for n in numbers], project)
    assert await twins.summarise() == 2
    assert await twins.summarise() == 0
    rows = await sql("SELECT revision, at FROM twin_snapshot ORDER BY revision")
    assert [row["revision"] for row in rows] == [SNAPSHOT_EVERY, 2 * SNAPSHOT_EVERY]
    assert rows[0]["at"] == at(SNAPSHOT_EVERY - 1)
    # Patches that a snapshot covers are no longer needed.
    await sql("DELETE FROM twin_history WHERE revision <= $1", 2 * SNAPSHOT_EVERY)
    for revision in (2 * SNAPSHOT_EVERY, count):
        found = await twins.past("A", PastQuestion(revision=revision))
        assert found.twin.configuration is not None
        assert found.twin.configuration.values == {"N": str(revision - 1)}
        assert found.received_at == at(revision - 1)
    with pytest.raises(NotFound, match="revision"):
        await twins.past("A", PastQuestion(revision=count + 1))


@pytest.mark.requirement("F16")
async def test_a_value_leads_to_its_event_and_its_frame(ingest, twins) -> None:
    text = '[2,"1","BootNotification",{"chargingStation":{"firmwareVersion":"1.1"}}]'
    moments = (at(0), at(5), at(9))
    boots = [
        EventRecord("A", ChargerBooted("Volt", "V2", version), moment, moment, 1)
        for version, moment in zip(("1.0", "1.1", "1.1"), moments, strict=True)
    ]
    frames = [FrameRecord("A", 1, "in", moments[1], text), FrameRecord("A", 1, "out", moments[1], "[3]")]
    frames.append(FrameRecord("A", 2, "in", moments[1], "of another session"))
    for place, boot in enumerate(boots):
        (event,) = await ingest.commit(frames if place == 1 else [], [boot], project)
        if place == 1:
            expected = event
    origin = await twins.origin("A", "firmware.version")
    assert (origin.value, origin.cause) == ("1.1", f"event/{expected.sequence}")
    assert origin.frames == (text,)
    assert origin.event is not None
    assert decode_event(expected.kind, origin.event["body"]) == boots[1].event
    await ingest.commit([], [told(ConnectorStatusChanged(1, 2, ConnectorStatus.FAULTED), 20)], project)
    assert (await twins.origin("A", "operation.connectors.1.2.status")).value == "Faulted"
    change = DesiredChange("A", "configuration", {"values": {"A.B": "1"}}, 0, "ada", "request/9", AT)
    await twins.set_desired(change)
    desired = await twins.origin("A", "configuration.values.A.B", side="desired")
    assert (desired.actor, desired.cause, desired.event) == ("ada", "request/9", None)
    with pytest.raises(NotFound, match="no value"):
        await twins.origin("A", "configuration.values.A.B")
