"""Registration, the twin beside it, filters, pages and counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.charger import (
    Charger,
    ChargerCredential,
    ChargerFilter,
    ModelProfile,
    SignatureScheme,
    Site,
    SiteLease,
)
from storage.errors import Conflict, InvalidInput, NotFound
from storage.events import ConnectorStatus, EventRecord, HeartbeatReceived
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.leases import PostgresLeaseStore
from storage.twin import (
    ConfigurationSection,
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    IdentitySection,
    Lifecycle,
    OpenTransaction,
    OperationSection,
    SecuritySection,
    TwinState,
)

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, 0, 987654, tzinfo=UTC)


async def become(engine, charger_id: str, **sections: object) -> None:
    """Give a charger's twin these sections, through the one door there is."""
    record = EventRecord(charger_id, HeartbeatReceived(), AT, AT, 1)
    await PostgresIngestStore(engine).commit([], [record], lambda twin, _: replace(twin, **sections))


def connector(status: ConnectorStatus) -> OperationSection:
    return OperationSection(connectors={"1.1": ConnectorState(1, 1, status, AT)})


async def test_sites_and_models_are_created_and_changed(chargers) -> None:
    await chargers.put_site(Site("s1", "Depot North", "UTC", 4))
    assert await chargers.sites() == [
        Site("s1", "Depot North", "UTC", 4),
        Site("s2", "Mall", "Europe/Berlin", 3),
    ]
    assert await chargers.site("s1") == next(one for one in await chargers.sites() if one.site_id == "s1")
    assert await chargers.site("nowhere") is None
    profile = ModelProfile("Volt", "V2", SignatureScheme.RSA_PSS, "Ann, waiver 7", True, 99)
    await chargers.put_model(ModelProfile("Volt", "V2"))
    await chargers.put_model(profile)
    assert await chargers.model("Volt", "V2") == profile
    assert await chargers.model("Volt", "V3") is None


async def test_a_registered_charger_has_an_empty_twin(chargers) -> None:
    charger = Charger("D", "s2", "Volt", "V2", Lifecycle.ACTIVE, "SN1", "rev-b", AT)
    await chargers.register(charger, None)
    view = await chargers.get("D")
    assert view.charger == charger
    assert view.twin == TwinState("D")
    assert (view.last_message_at, view.maintenance) == (None, None)


async def test_registering_the_same_again_changes_nothing(chargers, engine) -> None:
    await become(engine, "A", firmware=FirmwareSection(version="1.0"))
    before = await chargers.get("A")
    await chargers.register(Charger("A", "s1", "Volt", "V2", registered_at=AT), None)
    assert await chargers.get("A") == before


@pytest.mark.requirement("F2")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("site_id", "s2"),
        ("vendor", "Amp"),
        ("model", "V3"),
        ("serial_number", "X"),
        ("hardware_revision", "c"),
    ],
)
async def test_an_identity_that_is_taken_is_refused(chargers, field, value) -> None:
    other = replace(Charger("A", "s1", "Volt", "V2"), **{field: value})
    with pytest.raises(Conflict, match=field):
        await chargers.register(other, None)


async def test_a_retired_identity_is_never_used_again(chargers) -> None:
    await chargers.set_lifecycle("A", Lifecycle.RETIRED)
    with pytest.raises(Conflict, match="retired"):
        await chargers.register(Charger("A", "s1", "Volt", "V2"), None)


async def test_a_site_must_exist(chargers) -> None:
    with pytest.raises(NotFound, match="s9"):
        await chargers.register(Charger("D", "s9", "Volt", "V2"), None)
    with pytest.raises(NotFound):
        await chargers.get("D")


async def test_credentials_are_kept_and_replaced(chargers) -> None:
    assert await chargers.credential("A") is None
    for secret in (b"\x00first", b"second"):
        credential = ChargerCredential("A", secret, AT)
        await chargers.register(Charger("A", "s1", "Volt", "V2"), credential)
        assert await chargers.credential("A") == credential
    await chargers.register(Charger("A", "s1", "Volt", "V2"), None)
    assert await chargers.credential("A") == credential, "an import without passwords leaves them alone"


async def test_a_refused_registration_changes_no_password(chargers) -> None:
    with pytest.raises(Conflict):
        await chargers.register(Charger("A", "s2", "Volt", "V2"), ChargerCredential("A", b"new", AT))
    assert await chargers.credential("A") is None


async def test_the_lifecycle_moves(chargers) -> None:
    await chargers.set_lifecycle("A", Lifecycle.QUARANTINED)
    assert (await chargers.get("A")).charger.lifecycle is Lifecycle.QUARANTINED
    with pytest.raises(NotFound):
        await chargers.set_lifecycle("Z", Lifecycle.ACTIVE)


async def test_every_section_comes_back_as_it_was(chargers, engine) -> None:
    transaction = OpenTransaction("t", 1, 1, AT, AT, "Charging", suspect=True)
    sections = {
        "identity": IdentitySection("Volt", "V2", "SN"),
        "firmware": FirmwareSection("1.0", "0.9", AT, (AT, AT + timedelta(microseconds=1))),
        "security": SecuritySection(2, AT, AT, 3, "TamperDetectionActivated", AT, tampered=True),
        "connectivity": ConnectivitySection(True, "ocpp2.1", AT, "n1", "192.0.2.1", 4, -12.5),
        "operation": replace(
            connector(ConnectorStatus.OCCUPIED),
            transactions={"t": transaction},
            ended=("a", "b"),
            reservations=(1, 2),
            remote_start_pending_until=AT,
        ),
        "configuration": ConfigurationSection({"Key": "käse"}, AT),
    }
    await become(engine, "A", **sections)
    assert (await chargers.get("A")).twin == TwinState("A", 1, **sections)


async def test_views_come_in_the_order_asked(chargers) -> None:
    views = await chargers.views(["C", "nobody", "A", "C"])
    assert [view.charger.charger_id for view in views] == ["C", "A", "C"]
    assert await chargers.views([]) == []


async def test_filters_combine(chargers, engine) -> None:
    await chargers.register(Charger("D", "s2", "Amp", "X"), None)
    await become(engine, "A", firmware=FirmwareSection(version="1.0"))
    await become(engine, "B", firmware=FirmwareSection(version="1.0"), connectivity=ConnectivitySection(True))

    async def found(**fields: object) -> str:
        page = await chargers.find(ChargerFilter(**fields))
        return "".join(view.charger.charger_id for view in page.items)

    assert await found() == "ABCD"
    assert await found(vendor="Amp") == "D"
    assert await found(site_id="s2", vendor="Volt") == "C"
    assert await found(firmware_version="1.0") == "AB"
    assert await found(firmware_version="1.0", online=True) == "B"
    assert await found(online=False) == "ACD"
    assert await found(charger_ids=("D", "A", "Z")) == "AD"
    assert await found(model="none") == ""


async def test_pages_cover_the_fleet_once(chargers) -> None:
    for number in range(7):
        await chargers.register(Charger(f"D{number}", "s2", "Volt", "V2"), None)
    seen, cursor = [], None
    while True:
        page = await chargers.find(ChargerFilter(), limit=3, cursor=cursor)
        seen += [view.charger.charger_id for view in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ["A", "B", "C", *(f"D{number}" for number in range(7))]


@pytest.mark.parametrize("cursor", ["", "rubbish", "W10", "WzFd", "'; DROP TABLE charger"])
async def test_a_foreign_cursor_is_refused(chargers, cursor) -> None:
    with pytest.raises(InvalidInput):
        await chargers.find(ChargerFilter(), cursor=cursor)


async def test_maintenance_is_shown_while_its_lease_holds(chargers, engine) -> None:
    leases = PostgresLeaseStore(engine)
    lease = SiteLease("A", "s1", "charger/A", "update", datetime.now(UTC) + timedelta(hours=1), 7)
    await leases.take(lease)
    assert (await chargers.get("A")).maintenance == lease
    await leases.release("A", "charger/A")
    await leases.take(replace(lease, expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert (await chargers.get("A")).maintenance is None


@pytest.mark.requirement("F1")
async def test_counts_say_what_the_twins_say(chargers, engine) -> None:
    await chargers.register(Charger("D", "s2", "Amp", "X"), None)
    await chargers.register(Charger("E", "s2", "Amp", "X"), None)
    await chargers.set_lifecycle("E", Lifecycle.RETIRED)
    online = ConnectivitySection(online=True)
    await become(engine, "A", firmware=FirmwareSection(version="1.0"), connectivity=online)
    await become(engine, "B", operation=connector(ConnectorStatus.FAULTED), connectivity=online)
    charging = replace(
        connector(ConnectorStatus.OCCUPIED), transactions={"t": OpenTransaction("t", 1, 1, AT, AT)}
    )
    await become(engine, "C", operation=charging, firmware=FirmwareSection(version="1.0"))
    expires = datetime.now(UTC) + timedelta(hours=1)
    await PostgresLeaseStore(engine).take(SiteLease("C", "s2", "charger/C", "update", expires))

    counts = await chargers.counts()
    assert (counts.total, counts.online, counts.charging, counts.faulted) == (4, 2, 1, 1)
    assert counts.in_maintenance == 1
    assert counts.by_version == {"1.0": 2, "unknown": 2}
    assert counts.by_model == {"Amp X": 1, "Volt V2": 3}
    await become(engine, "B", operation=connector(ConnectorStatus.AVAILABLE), connectivity=None)
    counts = await chargers.counts()
    assert (counts.online, counts.faulted) == (1, 0)


async def test_an_empty_fleet_counts_nothing(engine) -> None:
    from storage.charger import FleetCounts
    from storage.postgres.chargers import PostgresChargerStore

    assert await PostgresChargerStore(engine).counts() == FleetCounts()
