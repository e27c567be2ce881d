"""Zero touch: a manufacturer's certificate opens the way in for whom a list names, and nothing else (F44)."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.exceptions import InvalidStatus

from csms.newcomers import Newcomers
from csms.tls import ServerTls, ServerTlsFiles
from storage.clock import system_clock
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.retirement import PostgresRetirementStore
from storage.provisioning import EnrolmentState, FactoryUnit, Origin
from storage.retirement import Burial
from storage.twin import Lifecycle
from tests.support.pki import Authority, Issued, key
from tests.support.tls_bench import TlsBench

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F44", "F35")]


class Factory:
    """A manufacturer, its authority, and a node that believes it."""

    def __init__(self, place: Any, folder: Path) -> None:
        self.place = place
        self.bench = TlsBench(folder)
        self.maker = Authority.root("Maker CA", self.bench.now)
        self.ca_file = self.maker.write(folder / "maker-ca.pem")
        self.store = PostgresProvisioningStore(place.engine)

    async def node(self) -> Any:
        async def arrive(given: Any) -> str:
            return await self.store.arrive(given, "test")

        newcomers = Newcomers((self.ca_file,), arrive, system_clock)
        pair = self.bench.server_certificate("server")
        tls = ServerTls(ServerTlsFiles((pair,), (self.bench.ca_file, self.ca_file)))
        certificates = self.bench.certificates(self.place.chargers)
        return await self.place.start_node(tls=tls, certificates=certificates, port=0, newcomers=newcomers)

    async def allow(self, issued: Issued, serial: str) -> str:
        digest = key_of(issued)
        unit = FactoryUnit("V", serial, "M", "site-1", "ab" * 32, key_sha256=digest)
        await self.store.allow([unit], "ada@test", system_clock())
        return digest


def key_of(issued: Issued) -> str:
    public = issued.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


@pytest.fixture
def factory(place: Any, tmp_path: Path) -> Factory:
    return Factory(place, tmp_path)


async def refusal(factory: Factory, node: Any, name: str, issued: Issued) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with factory.place.charger(node, name, password=None, ssl=factory.bench.client(issued)):
            pass
    return refused.value.response.status_code, refused.value.response.body.decode()


async def test_a_listed_one_is_parked_and_an_unlisted_one_is_refused_and_seen(factory: Factory) -> None:
    listed, unlisted = factory.maker.leaf("SN-1"), factory.maker.leaf("SN-2")
    await factory.allow(listed, "SN-1")
    node = await factory.node()
    async with factory.place.charger(node, "Z-1", password=None, ssl=factory.bench.client(listed)) as peer:
        answer = await peer.boot()
        assert answer[2]["status"] == "Pending"
        refused = await peer.ask(2, "s", "StatusNotification", {})
        assert refused[0] == 4, "it may say nothing but that it is there"
    view = await factory.place.chargers.get("Z-1")
    assert view.charger.lifecycle is Lifecycle.PROVISIONING
    assert (view.charger.serial_number, view.charger.security_floor) == ("SN-1", 0)
    found = await factory.store.get("Z-1")
    assert (found.origin, found.state) == (Origin.ZERO_TOUCH, EnrolmentState.REGISTERED)
    for _ in range(2):
        status, why = await refusal(factory, node, "Z-2", unlisted)
        assert (status, "no list" in why) == (403, True)
    (seen,) = await factory.store.strangers()
    assert (seen.serial_number, seen.charger_id, seen.times) == ("SN-2", "Z-2", 2)


async def test_one_key_opens_one_charger_and_never_one_in_service(factory: Factory) -> None:
    listed = factory.maker.leaf("SN-1")
    await factory.allow(listed, "SN-1")
    node = await factory.node()
    client = partial(factory.bench.client, listed)
    assert (await refusal(factory, node, "CP-1", listed))[0] == 401, "that one is in service"
    async with factory.place.charger(node, "Z-1", password=None, ssl=client()):
        pass
    assert (await refusal(factory, node, "Z-9", listed))[0] == 403, "its serial number is Z-1's"
    await factory.place.chargers.set_lifecycle("Z-1", Lifecycle.ACTIVE)
    assert (await refusal(factory, node, "Z-1", listed))[0] == 401, "what its factory gave it is over"


async def test_a_copied_name_with_another_key_is_refused(factory: Factory) -> None:
    await factory.allow(factory.maker.leaf("SN-1"), "SN-1")
    copy = factory.maker.leaf("SN-1", key=key("ec", "another key"))
    assert key_of(copy) != key_of(factory.maker.leaf("SN-1"))
    status, _ = await refusal(factory, await factory.node(), "Z-1", copy)
    assert status == 403


@pytest.mark.requirement("F47")
async def test_a_retired_one_cannot_come_back_by_its_manufacturers_identity(factory: Factory) -> None:
    listed = factory.maker.leaf("SN-1")
    await factory.allow(listed, "SN-1")
    node = await factory.node()
    async with factory.place.charger(node, "Z-1", password=None, ssl=factory.bench.client(listed)):
        pass
    await PostgresRetirementStore(factory.place.engine).bury(Burial("Z-1", "sam@test", system_clock()))
    assert (await refusal(factory, node, "Z-1", listed))[0] in (401, 403)
    status, why = await refusal(factory, node, "Z-2", listed)
    assert (status, "retired" in why) == (403, True)
    with pytest.raises(Exception, match="retired"):
        await factory.allow(listed, "sn-1")
