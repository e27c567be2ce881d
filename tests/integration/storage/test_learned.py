"""Trails of past updates, read out of the events."""

from datetime import UTC, datetime, timedelta

import pytest

from storage.capability import CertificateForm, Declared
from storage.charger import ModelProfile
from storage.events import (
    RECONNECTED,
    ChargerBooted,
    CommandAnswered,
    ConnectionClosed,
    EventRecord,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
)
from storage.findings import FirmwareVersionRead
from storage.learned import Step, learn
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.learned import PostgresLearnedStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SENT = CommandAnswered("SignedUpdateFirmware", "m1", "Accepted", 1)


def record(charger_id: str, event, second: float) -> EventRecord:
    at = AT + timedelta(seconds=second)
    return EventRecord(charger_id, event, at, at, 1)


def booted(version: str, reason: str | None = None) -> ChargerBooted:
    return ChargerBooted("Volt", "V2", version, reason=reason)


def update(charger_id: str, at: float, version: str = "2.0") -> list[EventRecord]:
    said = [
        (0, SENT),
        (5, FirmwareStatusReported(FirmwareStatus.DOWNLOADING, 1)),
        (6, HeartbeatReceived()),
        (60, FirmwareStatusReported(FirmwareStatus.INSTALLING, 1)),
        (70, ConnectionClosed(1006, "")),
        (71, booted("1.0", RECONNECTED)),
        (75, ConnectionClosed(1006, "")),
        (100, booted(version)),
    ]
    return [record(charger_id, event, at + second) for second, event in said]


@pytest.mark.requirement("F74")
async def test_trails_hold_what_followed_the_command_and_nothing_else(engine, chargers) -> None:
    ingest, learned = PostgresIngestStore(engine), PostgresLearnedStore(engine)
    rejected = CommandAnswered("UpdateFirmware", "m2", "CallError:NotImplemented")
    view = await chargers.get("A")
    events = [
        record("A", booted("1.0"), -50),
        *update("A", 0),
        *update("A", 20_000, "3.0"),
        record("A", rejected, 30_000),
        record("A", booted("9"), 60_000),
        record("B", booted("0.9"), -10),
        *update("B", 10),
    ]
    events.sort(key=lambda each: each.received_at)
    await ingest.commit([], events, lambda twin, _: twin)
    vendor, model = view.charger.vendor, view.charger.model
    trails = await learned.trails(vendor, model, since=AT)
    assert [(trail.charger_id, trail.from_version) for trail in trails] == [
        ("A", "2.0"),
        ("B", "0.9"),
        ("A", "1.0"),
    ]
    assert list(trails[2].firsts()) == [
        Step.COMMANDED,
        Step.DOWNLOADING,
        Step.INSTALLING,
        Step.GONE,
        Step.BOOTED,
    ]
    assert trails[2].reboot_s() == 25
    profile = learn(vendor, model, trails)
    assert (profile.attempts, profile.succeeded) == (3, 3)
    only = await learned.trails(vendor, model, since=AT, from_version="0.9")
    assert [trail.charger_id for trail in only] == ["B"]
    assert len(await learned.trails(vendor, model, since=AT, limit=1)) == 1
    assert await learned.trails(vendor, "other", since=AT) == []
    assert await learned.trails(vendor, model, since=AT + timedelta(days=1)) == []


async def test_a_second_command_ends_the_trail_of_the_first(engine, chargers) -> None:
    ingest, learned = PostgresIngestStore(engine), PostgresLearnedStore(engine)
    view = await chargers.get("A")
    events = [record("A", SENT, 0), *update("A", 30)]
    await ingest.commit([], events, lambda twin, _: twin)
    second, first = await learned.trails(view.charger.vendor, view.charger.model, since=AT)
    assert first.marks == ()
    assert second.succeeded


async def test_what_is_declared_of_a_model_is_kept(chargers) -> None:
    declared = Declared(False, True, ("FTP", "HTTPS"), CertificateForm.DER_HEX, 4000, 10, 5, 1 << 16)
    profile = ModelProfile("Volt", "V9", declared=declared)
    await chargers.put_model(profile)
    assert await chargers.model("Volt", "V9") == profile
    await chargers.put_model(ModelProfile("Volt", "V9"))
    assert await chargers.model("Volt", "V9") == ModelProfile("Volt", "V9")


async def test_a_version_that_was_read_after_its_boot_counts_for_that_boot(engine, chargers) -> None:
    """A charger whose boots tell none updates like any other."""

    def unversioned(second: float, version: str) -> list[EventRecord]:
        boot = record("A", ChargerBooted("Volt", "V2", None), second)
        read = record("A", FirmwareVersionRead(version, boot.received_at), second + 6)
        return [boot, read]

    events = [*unversioned(-50, "1.0"), record("A", SENT, 0), *unversioned(100, "2.0")]
    await PostgresIngestStore(engine).commit([], events, lambda twin, _: twin)
    charger = (await chargers.get("A")).charger
    (trail,) = await PostgresLearnedStore(engine).trails(charger.vendor, charger.model, since=AT)
    assert (trail.from_version, trail.succeeded) == ("1.0", True)
    assert [mark.version for mark in trail.marks] == ["2.0"]
