"""Two environments, each with its own pepper and its own authority: nothing of one opens the other's door."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from csms.client_certificates import ClientCertificates, ClientTlsOptions
from csms.pki.trust import TrustFiles
from csms.tls import ServerTls, ServerTlsFiles
from storage.clock import system_clock
from storage.events import EventKind
from tests.support.pki import Authority
from tests.support.tls_bench import TlsBench

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F38")]

OTHER_PEPPER = b"q" * 32


async def refused(place: Any, node: Any, *args: Any, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with place.charger(node, *args, **options):
            pass
    return caught.value.response.status_code


async def test_a_password_of_one_environment_is_none_in_another(place: Any) -> None:
    # Even where a copy of the database went with it.
    production = await place.start_node("production", pepper=OTHER_PEPPER)
    test = await place.start_node("test")
    assert await refused(place, production) == 401
    async with place.charger(test) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"
    (told,) = await place.wait_for(EventKind.CONNECTION_REFUSED)
    assert told["reason"] == "wrong password"


async def test_a_charger_that_is_registered_elsewhere_is_unknown_here(place: Any) -> None:
    node = await place.start_node()
    assert await refused(place, node, "CP-OF-ANOTHER-ENVIRONMENT") == 404


async def test_a_certificate_of_one_environment_is_none_in_another(place: Any, tmp_path: Path) -> None:
    bench = TlsBench(tmp_path)
    other = Authority.root("Charger CA of the test environment", bench.now)
    other_file = other.write(tmp_path / "other-ca.pem")
    both = (bench.ca_file, other_file)
    files = ServerTlsFiles((bench.server_certificate("server"),), both)
    judge = ClientCertificates(
        ClientTlsOptions(TrustFiles((bench.ca_file,), (bench.crl_file,))), place.chargers, system_clock, None
    )
    # Let through by OpenSSL, as by a bundle with too much in it: the judgement after the handshake stands.
    node = await place.start_node(tls=ServerTls(files), certificates=judge)
    theirs, ours = other.leaf("CP-1"), bench.charger_ca.leaf("CP-1")
    assert await refused(place, node, password=None, ssl=bench.client(theirs)) == 401
    async with place.charger(node, password=None, ssl=bench.client(ours)) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"
