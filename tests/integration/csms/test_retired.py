"""Whoever is retired cannot come back by anything it ever had: five ways, over real sockets (F47)."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from csms.secrets import hash_secret
from storage.clock import system_clock
from storage.credentials import PendingFate, PendingSecret
from storage.errors import Conflict
from storage.identifiers import Reidentification
from storage.postgres.identifiers import PostgresIdentifierStore
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.retirement import PostgresRetirementStore
from storage.quarantine import QuarantineAct
from storage.retirement import Burial, Remains
from storage.twin import Lifecycle
from tests.integration.csms.conftest import PEPPER, own_password
from tests.support.tls_bench import TlsBench

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F47")]
NEW = "a-new-password-that-it-was-given"


@pytest.fixture
def bench(tmp_path: Path) -> TlsBench:
    return TlsBench(tmp_path)


@pytest.fixture
def graves(place: Any) -> PostgresRetirementStore:
    return PostgresRetirementStore(place.engine)


async def bury(graves: PostgresRetirementStore, charger_id: str, **options: Any) -> int:
    return await graves.bury(Burial(charger_id, "security@test", system_clock(), **options))


async def refusal(place: Any, node: Any, *args: Any, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with place.charger(node, *args, **options):
            pass
    return int(refused.value.response.status_code)


async def test_not_by_its_certificate(place: Any, graves: Any, bench: TlsBench) -> None:
    await place.register("CP-3", password=None, serial_number="SN-3")
    by_name, by_serial = bench.charger_ca.leaf("CP-3"), bench.charger_ca.leaf("SN-3")
    certificates = bench.certificates(place.chargers)
    node = await place.start_node(tls=bench.server(), certificates=certificates, port=0)
    async with place.charger(node, "CP-3", password=None, ssl=bench.client(by_name)):
        pass
    await bury(graves, "CP-3")
    for issued in (by_name, by_serial):
        assert await refusal(place, node, "CP-3", password=None, ssl=bench.client(issued)) == 403
    # Nor as another charger that is registered with its serial number, by hand or later.
    with pytest.raises(Conflict, match="retired"):
        await place.register("CP-4", password=None, serial_number="SN-3")
    await place.register("CP-5", password=None, serial_number="SN-5")
    rename = Reidentification("CP-5", 1, {"serial_number": "sn-3"}, "x@test", "mistake", system_clock())
    with pytest.raises(Conflict, match="retired"):
        await PostgresIdentifierStore(place.engine).reidentify(rename)


async def test_not_by_its_old_password(place: Any, graves: Any) -> None:
    node = await place.start_node()
    old = own_password("CP-1", "a-password-of-a-charger")
    pending = PendingSecret(hash_secret(PEPPER, NEW), system_clock())
    await place.chargers.offer_secret("CP-1", pending)
    await place.chargers.settle_secret("CP-1", pending, PendingFate.PROMOTE)
    await bury(graves, "CP-1")
    assert await refusal(place, node, "CP-1") == 401
    # Nor under a name that it did not have.
    with pytest.raises(Conflict, match="retired"):
        await place.register("CP-2", password=old)
    with pytest.raises(Conflict, match="retired"):
        await place.register("CP-1", password=old)


async def test_not_by_its_new_password(place: Any, graves: Any) -> None:
    node = await place.start_node()
    pending = PendingSecret(hash_secret(PEPPER, NEW), system_clock())
    await place.chargers.offer_secret("CP-1", pending)
    # Its answer never came: either may be live, and neither lets it in.
    await bury(graves, "CP-1")
    assert await refusal(place, node, "CP-1", password=NEW) == 403
    assert await refusal(place, node, "CP-1") in (401, 403)
    with pytest.raises(Conflict):
        await place.register("CP-2", password=NEW)


async def test_tombstones_stay_and_are_made_once(place: Any, graves: Any) -> None:
    await place.register("CP-6", serial_number="SN-6")
    first = await bury(graves, "CP-6")
    assert await bury(graves, "CP-6") == first
    kinds = [stone.kind for stone in await graves.tombstones("CP-6")]
    assert kinds == [Remains.IDENTITY, Remains.PASSWORD, Remains.SERIAL]
    async with place.engine.connect() as connection:
        with pytest.raises(Exception, match="never given out again"):
            await connection.exec_driver_sql("DELETE FROM tombstone")


@pytest.mark.requirement("F34")
async def test_one_that_is_set_aside_has_no_socket_and_comes_back_only_by_a_person(
    place: Any, graves: PostgresRetirementStore
) -> None:
    desk, node = PostgresProvisioningStore(place.engine), await place.start_node()
    act = QuarantineAct("CP-1", "sam@test", "it told odd things", system_clock())
    async with place.charger(node) as peer:
        await peer.boot()
        await desk.set_aside(act)
        await desk.set_aside(act)
        assert await graves.unwelcome() == ["CP-1"]
        route = await place.routes.resolve("CP-1")
        await node.cut("CP-1", route.session_epoch, "this charger is quarantined")
        assert (await peer.closed())[0] == 4003
    assert await refusal(place, node, "CP-1") == 403
    doubt = """
        INSERT INTO drift (desired_version, differing_s, first_seen, judged_at, charger_id, path, severity,
                           state, suspicion, reason)
        VALUES (0, 0, now(), now(), 'CP-1', 'firmware.version', 'critical', 'open', 'odd', 'odd')
    """
    async with place.engine.begin() as connection:
        await connection.exec_driver_sql(doubt)
    with pytest.raises(Conflict, match="still in doubt"):
        await desk.take_back(act)
    async with place.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE drift SET state = 'closed'")
    assert await desk.take_back(act) is Lifecycle.REGISTERED
    with pytest.raises(Conflict, match="not set aside"):
        await desk.take_back(act)
    async with place.charger(node):
        pass
    await bury(graves, "CP-1")
    with pytest.raises(Conflict, match="retired"):
        await desk.set_aside(act)
