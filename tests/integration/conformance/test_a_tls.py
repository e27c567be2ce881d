"""Block A, TLS (A00): TC_A_04, 06, 07, 08, which 1.6 calls TC_086 and TC_087."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from storage.events import EventKind
from tests.integration.conformance.certificates import HOST, Authority
from tests.integration.conformance.secure import Secured, secured
from tests.integration.conformance.wire import OCPP16, OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F37", "F41"),
    pytest.mark.parametrize("version", [OCPP16, OCPP201, OCPP21]),
]

TURNED_AWAY = (ssl.SSLError, ConnectionError, ConnectionClosed, InvalidMessage, InvalidStatus)
# A client that could not speak the old version itself would name another reason.
ENDED_BY_THE_SERVER = ("TLSV1_ALERT_PROTOCOL_VERSION", "UNEXPECTED_EOF_WHILE_READING", None)
FORWARD_SECRET = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
STATIC_RSA = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")


@pytest.fixture
async def tls(csms: Any, tmp_path: Path) -> Secured:
    return await secured(csms, tmp_path)


def with_cipher(tls: Secured, cipher: str) -> ssl.SSLContext:
    """A station that knows one TLS 1.2 cipher suite only."""
    context = tls.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(cipher)
    return context


async def turned_away(csms: Any, version: str, **options: Any) -> BaseException:
    """How a connection that must not come about ended."""
    with pytest.raises(TURNED_AWAY) as refused:
        async with csms.station(version, **options) as station:
            await station.boot()
    assert await csms.events(EventKind.CHARGER_BOOTED) == []
    return refused.value


async def test_tc_a_04_tc_086_the_server_shows_its_certificate(csms: Any, version: str, tls: Secured) -> None:
    for cipher in FORWARD_SECRET:
        async with csms.station(version, ssl=with_cipher(tls, cipher)) as station:
            session = station.socket.transport.get_extra_info("ssl_object")
            assert (session.version(), session.cipher()[0]) == ("TLSv1.2", cipher)
            await station.ready()
    assert (await csms.twin()).security.profile == 2


async def test_tc_a_04_tc_086_static_rsa_is_there_for_who_wants_it(
    csms: Any, version: str, tls: Secured
) -> None:
    # A00.FR.318 asks for these two; they lack forward secrecy and are off unless they are switched on.
    for cipher in STATIC_RSA:
        await turned_away(csms, version, ssl=with_cipher(tls, cipher))
    await tls.start(unsafe_static_rsa=True)
    for cipher in STATIC_RSA:
        async with csms.station(version, ssl=with_cipher(tls, cipher)) as station:
            await station.ready()


@pytest.mark.requirement("S61")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_tc_a_06_an_old_tls_is_turned_away(csms: Any, version: str, tls: Secured) -> None:
    old = tls.context()
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as refused:
        await asyncio.to_thread(handshake, csms.node.ports[-1], old)
    assert getattr(refused.value, "reason", None) in ENDED_BY_THE_SERVER
    async with csms.station(version, ssl=tls.context()) as station:
        await station.ready()


def handshake(port: int, context: ssl.SSLContext) -> None:
    """A TLS handshake and nothing more."""
    with socket.create_connection((HOST, port), timeout=10) as raw:
        context.wrap_socket(raw, server_hostname=HOST).close()


async def test_tc_a_07_tc_087_the_station_shows_its_certificate(
    csms: Any, version: str, tls: Secured
) -> None:
    mine = tls.stations.client(tls.folder)
    async with csms.station(version, ssl=tls.context(mine), password=None) as station:
        await station.ready()
        assert (await csms.twin()).security.profile == 3


@pytest.mark.parametrize("wrong", ["unknown", "expired", "another's"])
async def test_tc_a_08_tc_087_a_wrong_certificate_is_turned_away(
    csms: Any, version: str, tls: Secured, wrong: str
) -> None:
    shown = {
        "unknown": lambda: Authority.create("Nobody").client(tls.folder),
        "expired": lambda: tls.stations.client(tls.folder, since=-31),
        "another's": lambda: tls.stations.client(tls.folder, "SN-2"),
    }[wrong]()
    # With the right password: it makes up for no wrong certificate.
    await turned_away(csms, version, ssl=tls.context(shown))
    async with csms.station(version, ssl=tls.context(tls.stations.client(tls.folder))) as station:
        await station.ready()
        assert (await csms.twin()).security.profile == 3
