"""Doubts: found by the projection, on record once, closed when they no longer hold."""

from dataclasses import replace
from datetime import timedelta

import pytest

from csms.projection import project
from storage.audit import AuditEntry
from storage.drift import DriftState
from storage.errors import Conflict, InvalidInput, NotFound
from storage.events import (
    ChargerBooted,
    ConnectionOpened,
    ConnectionRefused,
    EventRecord,
    SecurityEventReported,
)
from storage.identifiers import Reidentification
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.trust import PostgresTrustStore
from storage.postgres.twins import PostgresTwinStore
from storage.postgres.upkeep import PostgresUpkeepStore
from storage.trust import Acceptance
from storage.twin import Lifecycle
from storage.upkeep import Claimant
from tests.integration.storage.conftest import NOW

OPENED = ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "n1", security_floor=2)
BOOT = ChargerBooted("Volt", "V2", "1.0", "SN-1")


class World:
    def __init__(self, engine, *, quarantine: bool = False) -> None:
        self.ingest = PostgresIngestStore(engine)
        self.trust = PostgresTrustStore(engine, quarantine=quarantine)
        self.twins = PostgresTwinStore(engine, project)
        self.incidents = PostgresIncidentStore(engine)
        self.registry = PostgresRegistryStore(engine)
        self.audit = PostgresAuditLog(engine)
        self._ticks = 0

    async def tell(self, *events, charger_id: str = "A") -> None:
        records = []
        for event in events:
            self._ticks += 1
            at = NOW + timedelta(seconds=self._ticks)
            records.append(EventRecord(charger_id, event, at, at, 1))
        await self.ingest.commit([], records, project)
        await self.look()

    async def look(self) -> None:
        while (await self.trust.advance_trust(limit=3)).read:
            pass

    async def open(self, charger_id: str = "A") -> list[str]:
        return [drift.path for drift in (await self.twins.drifts(charger_id=charger_id)).items]

    async def acts(self) -> list[str]:
        return [row.entry.action for row in await self.audit.rows()]


@pytest.fixture
async def world(engine, chargers) -> World:
    return World(engine)


TAMPER = SecurityEventReported("TamperDetectionActivated", "lid")


@pytest.mark.requirement("F15", "F34")
async def test_a_tamper_signal_is_critical_and_alerts_though_nobody_desired_anything(world) -> None:
    await world.tell(OPENED, BOOT)
    assert await world.open() == []
    await world.tell(TAMPER)
    (drift,) = (await world.twins.drifts(charger_id="A")).items
    assert (drift.path, drift.severity, drift.desired_version) == ("security.tampered", "critical", 0)
    (incident,) = await world.incidents.find()
    assert (incident.kind, incident.subject) == ("suspected_intrusion", "charger/A")
    await world.tell(TAMPER, OPENED)
    assert len(await world.incidents.find(open_only=False)) == 1, "one alert, however often it is told"
    facts = await world.twins.drift_facts()
    assert facts == [], "the drift of desired values leaves it alone"
    assert await world.acts() == ["charger.drift_opened"]


async def test_a_person_who_looked_ends_the_doubt_on_record(world) -> None:
    given = Acceptance("A", ("security.tampered",), "ada", "it was our own technician", NOW)
    await world.tell(OPENED, BOOT)
    with pytest.raises(Conflict, match="in doubt"):
        await world.registry.accept(given)
    await world.tell(TAMPER)
    with pytest.raises(InvalidInput, match="cannot be accepted"):
        await world.registry.accept(replace(given, paths=("identity.vendor",)))
    with pytest.raises(NotFound):
        await world.registry.accept(replace(given, charger_id="Z"))
    assert await world.registry.accept(replace(given, at=NOW + timedelta(days=1))) == ["security.tampered"]
    assert (await world.open(), await world.incidents.find()) == ([], [])
    assert await world.acts() == ["charger.drift_opened", "charger.accepted", "charger.drift_closed"]
    (closed,) = (await world.twins.drifts(charger_id="A", states=(DriftState.CLOSED,))).items
    assert "our own technician" in closed.reason


@pytest.mark.requirement("F2", "F20")
async def test_two_chargers_with_one_serial_are_found_out_and_neither_twin_is_wrong(world, chargers) -> None:
    await world.tell(OPENED, BOOT)
    await world.tell(OPENED, BOOT, charger_id="B")
    assert (await world.open("A"), await world.open("B")) == ([], ["identity.serial_number"])
    (drift,) = (await world.twins.drifts(charger_id="B")).items
    assert "serial number of A" in drift.suspicion
    (anomaly,) = await world.twins.anomalies("B")
    assert (anomaly.kind, anomaly.path, anomaly.times) == ("serial_elsewhere", "identity.serial_number", 1)
    assert anomaly.cause.startswith("event/")
    view = await chargers.get("B")
    assert (view.charger.serial_number, view.twin.identity.serial_number) == (None, "SN-1")
    await world.tell(replace(BOOT, serial_number="SN-2"), charger_id="B")
    assert await world.open("B") == []


@pytest.mark.requirement("F2")
async def test_another_identity_than_registered_is_doubted_until_it_is_registered(world, chargers) -> None:
    await world.tell(OPENED, replace(BOOT, vendor="Amp", model="V9"))
    assert sorted(await world.open()) == ["identity.model", "identity.vendor"]
    assert await world.incidents.find() == [], "a name is no intrusion"
    values = {"vendor": "Amp", "model": "V9"}
    await world.registry.reidentify(Reidentification("A", 1, values, "ada", "it was entered wrongly", NOW))
    assert await world.open() == [], "at once, not at its next boot"
    wrong = Reidentification("A", 2, {"serial_number": "SN-9"}, "ada", "a typing error", NOW)
    await world.registry.reidentify(wrong)
    assert await world.open() == ["identity.serial_number"]
    assert await world.trust.recheck() == 0
    assert (await chargers.get("A")).twin.identity.vendor == "Amp"


@pytest.mark.requirement("F34", "R20")
async def test_one_that_does_not_wait_with_what_it_fetched_is_no_intruder(engine, chargers, sql) -> None:
    world = World(engine, quarantine=True)
    await sql(
        "INSERT INTO campaign"
        " (campaign_id, plan, plan_digest, phase, reason, created_by, created_at, cohort_size)"
        " VALUES ('c1', '{}', 'd', 'running', '', 'ada', $1, 1)",
        NOW,
    )
    target = (
        "INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,"
        " to_version, phase, outcome, reason, attempt, finished_at) VALUES ('c1', $1, 0, 'A', 's1', 'x', $2,"
        " 'done', $3, '', 0, $4)"
    )
    await sql(target, 0, "1.0", "already_current", NOW)
    await world.tell(OPENED, BOOT)
    await sql(
        "INSERT INTO parked_image (charger_id, campaign_id, wave, request_id, directive_id, artifact_id,"
        " version, since, state) VALUES ('A', 'c1', 1, 9, 'd.1', 'x', '1.1', $1, 'fetched')",
        NOW + timedelta(seconds=1),
    )
    await world.tell(replace(BOOT, firmware_version="1.1"))
    assert await world.open() == [], "it was told to wait, and its image came from us"
    await sql("UPDATE parked_image SET since = $1", NOW - timedelta(days=1))
    await world.tell(replace(BOOT, firmware_version="1.1"))
    assert await world.open() == ["firmware.version"], "it has proved another version since"
    await sql(target, 1, "1.1", "updated", NOW + timedelta(seconds=2))
    await world.tell(replace(BOOT, firmware_version="1.1"))
    assert await world.open() == [], "it proved this one, though no order to install it left us"


@pytest.mark.requirement("F34")
async def test_a_firmware_that_nobody_rolled_out_sets_a_charger_aside_where_that_is_wanted(
    engine, chargers, sql
) -> None:
    world = World(engine, quarantine=True)
    await sql(
        "INSERT INTO campaign"
        " (campaign_id, plan, plan_digest, phase, reason, created_by, created_at, cohort_size)"
        " VALUES ('c1', '{}', 'd', 'completed', '', 'ada', $1, 1)",
        NOW,
    )
    await sql(
        "INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,"
        " to_version, phase, outcome, reason, attempt, dispatched_at, finished_at)"
        " VALUES ('c1', 0, 0, 'A', 's1', 'x', '1.1', 'done', 'updated', '', 1, $1, $1)",
        NOW,
    )
    await world.tell(OPENED, replace(BOOT, firmware_version="1.1"))
    assert await world.open() == []
    await world.tell(replace(BOOT, firmware_version="6.6"))
    assert await world.open() == ["firmware.version"]
    assert (await chargers.get("A")).charger.lifecycle is Lifecycle.QUARANTINED
    assert await world.acts() == ["charger.drift_opened", "charger.quarantined"]
    await world.tell(replace(BOOT, firmware_version="1.1"))
    assert (await world.open(), await world.incidents.find()) == ([], [])
    await sql(
        "INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,"
        " to_version, phase, reason, attempt, dispatched_at)"
        " VALUES ('c1', 1, 0, 'A', 's1', 'x', '1.2', 'waiting', '', 1, $1)",
        NOW,
    )
    await world.tell(replace(BOOT, firmware_version="1.2"))
    assert await world.open() == [], "sent, and not over: it waits for its next try"


@pytest.mark.requirement("F34")
async def test_a_profile_is_lowered_only_by_who_proved_to_be_the_charger(world) -> None:
    await world.tell(OPENED, BOOT)
    await world.tell(ConnectionRefused("wrong password", "10.6.6.6"))
    assert await world.open() == []
    await world.tell(ConnectionRefused("security profile 1 is below", "10.0.0.1", 1))
    assert await world.open() == ["security.profile"]


async def test_strangers_and_retired_chargers_are_in_no_doubt(world, chargers) -> None:
    await chargers.set_lifecycle("A", Lifecycle.RETIRED)
    await world.tell(TAMPER)
    await world.tell(ConnectionRefused("unknown", "10.6.6.6"), charger_id="nobody")
    assert (await world.open(), await world.incidents.find()) == ([], [])


async def updated_by_c1(sql, world) -> None:
    """It proved 1.1, which campaign c1 sent it while it ran 1.0, and boots with it twice more."""
    await sql(
        "INSERT INTO campaign"
        " (campaign_id, plan, plan_digest, phase, reason, created_by, created_at, cohort_size)"
        " VALUES ('c1', '{}', 'd', 'running', '', 'ada', $1, 1)",
        NOW,
    )
    await world.tell(OPENED, BOOT)
    await world.tell(*(replace(BOOT, firmware_version="1.1"),) * 3)
    await sql(
        "INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,"
        " from_version, to_version, phase, outcome, reason, attempt, dispatched_at, finished_at)"
        " VALUES ('c1', 0, 0, 'A', 's1', 'x', '1.0', '1.1', 'done', 'updated', '', 1, $1, $1)",
        NOW + timedelta(seconds=2, milliseconds=500),
    )


CAUSE = (
    "restarts after an update by campaign c1: boot loop: it came back 3 times with 1.1, "
    "and fell back to 1.0 by itself"
)


@pytest.mark.requirement("R29", "F34")
async def test_one_that_an_update_made_fall_back_is_no_intruder_and_blocks_no_release(
    engine, chargers, sql
) -> None:
    world = World(engine, quarantine=True)
    await updated_by_c1(sql, world)
    await world.tell(BOOT)
    (drift,) = (await world.twins.drifts(charger_id="A")).items
    assert (drift.severity, drift.desired, drift.reported) == ("warning", "1.1", "1.0")
    assert (drift.suspicion, drift.reason) == ("", CAUSE)
    (incident,) = await world.incidents.find()
    assert (incident.kind, incident.summary) == ("update_fell_back", f"A: {CAUSE}")
    assert (await chargers.get("A")).charger.lifecycle is Lifecycle.REGISTERED, "it was not set aside"
    assert await world.trust.recheck() == 0
    await world.tell(OPENED)
    assert [each.kind for each in await world.incidents.find(open_only=False)] == ["update_fell_back"]
    next_one = Claimant("c2", 500, NOW)
    around = await PostgresUpkeepStore(engine).surrounding(next_one, ["A"], downtime_since=None)
    assert around.doubts == {}

    target = await PostgresCampaignStore(engine).target("c1", 0, "A")
    campaigns = PostgresCampaignStore(engine)
    told = AuditEntry(NOW, "campaign/c1", "campaign.charger_fell_back", "campaign/c1", {"charger_id": "A"})
    assert await campaigns.note_fall_back(target, "1.0", "boot loop", told)
    assert await world.trust.recheck() == 1
    assert (await world.open(), await world.incidents.find()) == ([], [])
    (closed,) = (await world.twins.drifts(charger_id="A", states=(DriftState.CLOSED,))).items
    assert closed.reason == "campaign c1 ended with it: boot loop"
    await world.tell(replace(BOOT, firmware_version="6.6"))
    assert [each.kind for each in await world.incidents.find()] == ["suspected_intrusion"], "1.0 is desired"


@pytest.mark.requirement("F34")
async def test_one_that_was_opened_before_it_fell_back_is_looked_at_by_a_person(
    engine, chargers, sql
) -> None:
    world = World(engine)
    await updated_by_c1(sql, world)
    await world.tell(TAMPER, BOOT)
    assert sorted(await world.open()) == ["firmware.version", "security.tampered"]
    (incident,) = await world.incidents.find()
    assert incident.kind == "suspected_intrusion"
    assert "nobody rolled out" in incident.summary
    assert "opened or manipulated" in incident.summary


@pytest.mark.requirement("F34")
async def test_a_fall_back_that_turns_out_to_be_more_is_judged_anew(engine, chargers, sql) -> None:
    world = World(engine, quarantine=True)
    await updated_by_c1(sql, world)
    await world.tell(BOOT)
    await world.tell(replace(BOOT, firmware_version="6.6"))
    (drift,) = (await world.twins.drifts(charger_id="A")).items
    assert (drift.severity, drift.reason) == ("critical", "")
    assert [each.kind for each in await world.incidents.find()] == ["suspected_intrusion"]
    assert (await chargers.get("A")).charger.lifecycle is Lifecycle.QUARANTINED
