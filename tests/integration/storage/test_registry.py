"""Names, and identities that are changed on record."""

import asyncio
from dataclasses import replace

import pytest

from storage.charger import Charger, SiteLease
from storage.errors import Conflict, InvalidInput, InvalidName, NotFound, StaleVersion
from storage.identifiers import Identifier, Reidentification
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.registry import PostgresRegistryStore
from storage.twin import Lifecycle
from tests.integration.storage.conftest import NOW

ERP = Identifier("erp", "4711", "charger/A", "ada")


@pytest.fixture
def registry(engine, chargers) -> PostgresRegistryStore:
    return PostgresRegistryStore(engine)


def change(version: int = 1, **values: str | None) -> Reidentification:
    return Reidentification("A", version, values, "ada", "the controller was replaced", NOW)


@pytest.mark.requirement("F20", "F103")
async def test_a_name_leads_to_one_stable_id_and_never_to_two(registry) -> None:
    await registry.identify(ERP)
    assert (await registry.lookup("erp", "4711")).subject == "charger/A"
    again = await registry.identify(replace(ERP, actor="bob"))
    assert again.actor == "ada", "the same again changes nothing"
    with pytest.raises(Conflict, match="is charger/A already"):
        await registry.identify(replace(ERP, subject="charger/B"))
    await registry.identify(replace(ERP, namespace="service", subject="charger/B"))
    for subject, value in (("evse/A/1", "4711-1"), ("connector/A/1/2", "4711-1-2"), ("site/s1", "S-1")):
        await registry.identify(Identifier("erp", value, subject, "ada"))
    names = [(each.subject, each.namespace, each.value) for each in await registry.names("charger/A")]
    assert names == [
        ("charger/A", "erp", "4711"),
        ("charger/A", "ocpp", "A"),
        ("connector/A/1/2", "erp", "4711-1-2"),
        ("evse/A/1", "erp", "4711-1"),
    ]
    assert (await registry.forget("erp", "4711")).subject == "charger/A"
    with pytest.raises(NotFound):
        await registry.lookup("erp", "4711")


@pytest.mark.requirement("F20")
async def test_two_at_once_do_not_share_a_name(registry) -> None:
    both = [registry.identify(replace(ERP, subject=f"charger/{name}")) for name in ("A", "B")]
    ended = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in ended) == 1


@pytest.mark.parametrize("subject", ["charger/Z", "site/s9", "evse/Z/1"])
async def test_a_name_needs_somebody(registry, subject) -> None:
    with pytest.raises(NotFound):
        await registry.identify(replace(ERP, subject=subject))


@pytest.mark.parametrize(
    "subject", ["A", "charger/", "evse/A", "evse/A/x", "connector/A/1", "charger/A/1", "x/A"]
)
async def test_what_is_no_subject_is_refused(registry, subject) -> None:
    with pytest.raises(InvalidName):
        await registry.identify(replace(ERP, subject=subject))


@pytest.mark.requirement("F2", "F20")
async def test_two_chargers_with_one_serial_are_refused_at_registration(chargers, registry) -> None:
    first = Charger("D", "s1", "Volt", "V2", serial_number="SN-1")
    await chargers.register(first, None)
    await chargers.register(first, None)
    with pytest.raises(Conflict, match="serial 'Volt/SN-1' is charger/D already"):
        await chargers.register(replace(first, charger_id="E"), None)
    with pytest.raises(NotFound):
        await chargers.get("E")
    await chargers.register(replace(first, charger_id="E", vendor="Amp"), None)
    await chargers.set_lifecycle("D", Lifecycle.RETIRED)
    await chargers.register(replace(first, charger_id="F"), None)
    assert (await registry.lookup("serial", "Volt/SN-1")).subject == "charger/F"


@pytest.mark.requirement("F2")
async def test_an_identity_changes_only_on_record_and_against_its_version(engine, chargers, registry) -> None:
    after = await registry.reidentify(change(serial_number="SN-2", hardware_revision="c"))
    assert (after.serial_number, after.hardware_revision, after.identity_version) == ("SN-2", "c", 2)
    assert (await chargers.get("A")).charger == after
    with pytest.raises(StaleVersion, match="version 2, not 1"):
        await registry.reidentify(change(serial_number="SN-3"))
    with pytest.raises(InvalidInput, match="nothing would change"):
        await registry.reidentify(change(2, serial_number="SN-2"))
    await registry.reidentify(change(2, serial_number=None, model="V3"))
    with pytest.raises(NotFound):
        await registry.lookup("serial", "Volt/SN-2")
    rows = await PostgresAuditLog(engine).rows()
    told = [row.entry for row in rows if row.entry.action == "charger.reidentified"]
    assert [(entry.actor, entry.detail["changed"]) for entry in told] == [
        ("ada", {"serial_number": [None, "SN-2"], "hardware_revision": [None, "c"]}),
        ("ada", {"serial_number": ["SN-2", None], "model": ["V2", "V3"]}),
    ]


async def test_who_is_away_in_time_or_for_ever_keeps_its_identity(engine, chargers, registry) -> None:
    lease = SiteLease("A", "s1", "charger/A", "update", NOW.replace(year=2099))
    await PostgresLeaseStore(engine).take(lease)
    with pytest.raises(Conflict, match="has it for update"):
        await registry.reidentify(change(model="V3"))
    await chargers.register(Charger("D", "s1", "Volt", "V2", serial_number="SN-1"), None)
    await PostgresLeaseStore(engine).release("A", "charger/A")
    with pytest.raises(Conflict, match="charger/D already"):
        await registry.reidentify(change(serial_number="SN-1"))
    assert (await chargers.get("A")).charger.identity_version == 1
    await chargers.set_lifecycle("A", Lifecycle.RETIRED)
    with pytest.raises(Conflict, match="retired"):
        await registry.reidentify(change(model="V3"))
    with pytest.raises(NotFound):
        await registry.reidentify(replace(change(model="V3"), charger_id="Z"))
