"""Security profiles 1, 2 and 3 on real TLS sockets."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from websockets.exceptions import InvalidMessage, InvalidStatus

from csms.gateway import REVOKED
from storage.events import EventKind
from tests.support.pki import Authority, ocsp_response
from tests.support.tls_bench import AN_HOUR, LONG_AGO, TlsBench, responder, until

pytestmark = pytest.mark.integration

TLS12 = ssl.TLSVersion.TLSv1_2
NO_HANDSHAKE = (ssl.SSLError, ConnectionError, EOFError, InvalidMessage)
"""With TLS 1.3 the client learns of a refused certificate only when it reads."""


@pytest.fixture
def bench(tmp_path: Path) -> TlsBench:
    return TlsBench(tmp_path)


async def start(place: Any, bench: TlsBench, tls: Any = None, ocsp: Any = None, **options: Any) -> Any:
    certificates = bench.certificates(place.chargers, ocsp, **options)
    return await place.start_node(tls=tls or bench.server(), certificates=certificates, port=0, reload_s=0.05)


async def refusal(place: Any, node: Any, *args: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with place.charger(node, *args, **options):
            pass
    return refused.value.response.status_code, refused.value.response.body.decode().strip()


# The three profiles.


@pytest.mark.requirement("F37", "F36", "F56")
async def test_one_node_serves_all_three_profiles(place: Any, bench: TlsBench) -> None:
    for charger_id in ("CP-2", "CP-3"):
        await place.register(charger_id)
    own = bench.charger_ca.leaf("CP-3")
    node = await start(place, bench)
    async with (
        place.charger(node),
        place.charger(node, "CP-2", ssl=bench.client()),
        place.charger(node, "CP-3", password=None, ssl=bench.client(own)),
    ):
        for number, charger_id in enumerate(("CP-1", "CP-2", "CP-3"), start=1):
            await place.wait_for(EventKind.CONNECTION_OPENED, 1, charger_id)
            security = (await place.twin(charger_id)).security
            assert (security.profile, security.floor) == (number, number)
            tls = (await place.twin(charger_id)).connectivity.tls
            assert tls is None if number == 1 else tls.startswith("TLSv1.3 TLS_AES_")
        assert security.certificate_serial == f"{own.serial:X}"
        assert security.certificate_until == own.certificate.not_valid_after_utc


@pytest.mark.requirement("F37")
async def test_a_certificate_may_name_the_serial_number(place: Any, bench: TlsBench) -> None:
    await place.register("CP-4", password=None, serial_number="SN-0004")
    node = await start(place, bench)
    async with place.charger(node, "CP-4", password=None, ssl=bench.client(bench.charger_ca.leaf("SN-0004"))):
        (opened,) = await place.wait_for(EventKind.CONNECTION_OPENED, 1, "CP-4")
    assert opened["security_profile"] == 3


@pytest.mark.requirement("F37", "F39", "F36")
async def test_the_certificate_of_another_charger_is_refused_and_counted(place: Any, bench: TlsBench) -> None:
    """citrineos-core#1098: a certificate of the right authority, for any identity."""
    await place.register("CP-2")
    others = bench.charger_ca.leaf("CP-2")
    node = await start(place, bench)
    # The right password makes up for nothing.
    status, reason = await refusal(place, node, ssl=bench.client(others))
    assert (status, reason) == (401, "the certificate was issued to another charger")
    (refused,) = await place.wait_for(EventKind.CONNECTION_REFUSED)
    assert refused["reason"] == reason
    security = (await place.twin()).security
    assert security.auth_failures == 1
    assert security.last_auth_failed_at is not None
    for _ in range(9):
        await refusal(place, node, ssl=bench.client(others))
    assert (await refusal(place, node, ssl=bench.client(others)))[0] == 429


@pytest.mark.requirement("F36")
async def test_a_certificate_that_fits_two_chargers_speaks_for_neither(place: Any, bench: TlsBench) -> None:
    # Two registered with one serial number are refused; a serial may still be another one's identity.
    await place.register("CP-5", serial_number="SAME")
    await place.register("SAME")
    node = await start(place, bench)
    for charger_id in ("CP-5", "SAME"):
        status, reason = await refusal(
            place, node, charger_id, ssl=bench.client(bench.charger_ca.leaf("SAME"))
        )
        assert (status, reason) == (
            401,
            "the common name of the certificate fits more than one registered charger",
        )


async def test_a_certificate_of_an_unregistered_charger_is_refused(place: Any, bench: TlsBench) -> None:
    node = await start(place, bench)
    status, _ = await refusal(place, node, "CP-9", ssl=bench.client(bench.charger_ca.leaf("CP-9")))
    assert status == 404


@pytest.mark.parametrize("wrong", ["a stranger's", "expired"])
async def test_a_certificate_that_no_authority_of_ours_stands_for_ends_the_handshake(
    place: Any, bench: TlsBench, wrong: str
) -> None:
    stranger = Authority.root("Stranger", bench.now)
    leaf = stranger.leaf("CP-1") if wrong == "a stranger's" else bench.charger_ca.leaf("CP-1", until=-AN_HOUR)
    node = await start(place, bench)
    with structlog.testing.capture_logs() as logs, pytest.raises(NO_HANDSHAKE):
        async with place.charger(node, ssl=bench.client(leaf)):
            pass
    async with place.charger(node, ssl=bench.client()) as peer:
        await peer.boot()
    (failed,) = [each for each in logs if each["event"] == "a TLS handshake failed"]
    assert failed["reason"].startswith("the client certificate cannot be trusted: ")
    assert node.metrics.registry.get_sample_value("ampwave_csms_refused_total", {"status": "tls"}) == 1


async def test_wrong_credentials_over_tls_are_refused(place: Any, bench: TlsBench) -> None:
    node = await start(place, bench)
    assert (await refusal(place, node, password="guess", ssl=bench.client()))[0] == 401
    assert (await refusal(place, node, password=None, ssl=bench.client()))[0] == 401
    assert (await refusal(place, node, "CP-9", ssl=bench.client()))[0] == 404


# The floor.


@pytest.mark.requirement("S61")
async def test_the_floor_rises_with_the_profile_and_never_goes_down(place: Any, bench: TlsBench) -> None:
    own = bench.charger_ca.leaf("CP-1")
    node = await start(place, bench)
    async with place.charger(node) as peer:
        await peer.boot()
    async with place.charger(node, ssl=bench.client()) as peer:
        await peer.boot()
    assert await refusal(place, node) == (403, "security profile 1 is below this charger's floor, 2")
    async with place.charger(node, password=None, ssl=bench.client(own)) as peer:
        await peer.boot()
    below = "security profile 2 is below this charger's floor, 3"
    assert await refusal(place, node, ssl=bench.client()) == (403, below)
    refused = await place.wait_for(EventKind.CONNECTION_REFUSED, 2)
    assert refused[-1]["reason"] == below
    twin, view = await place.twin(), await place.chargers.get("CP-1")
    assert (twin.security.profile, twin.security.floor, view.charger.security_floor) == (3, 3, 3)


@pytest.mark.requirement("S61")
async def test_a_floor_can_be_registered_from_the_start(place: Any, bench: TlsBench) -> None:
    await place.register("CP-7", security_floor=3)
    node = await start(place, bench)
    assert (await refusal(place, node, "CP-7"))[0] == 403
    assert (await refusal(place, node, "CP-7", ssl=bench.client()))[0] == 403
    async with place.charger(node, "CP-7", ssl=bench.client(bench.charger_ca.leaf("CP-7"))) as peer:
        await peer.boot()


# Revocation.


@pytest.mark.requirement("S57")
async def test_a_certificate_that_is_revoked_closes_its_socket_and_comes_back_no_more(
    place: Any, bench: TlsBench
) -> None:
    await place.register("CP-2")
    mine, others = bench.charger_ca.leaf("CP-1"), bench.charger_ca.leaf("CP-2")
    node = await start(place, bench)
    async with (
        place.charger(node, ssl=bench.client(mine)) as peer,
        place.charger(node, "CP-2", ssl=bench.client(others)) as other,
    ):
        await peer.boot()
        bench.revoke(mine)
        code, reason = await peer.closed()
        assert code == REVOKED
        assert reason.startswith("the certificate was revoked on")
        await other.boot()
    (closed, *_) = await place.wait_for(EventKind.CONNECTION_CLOSED)
    assert closed["code"] == REVOKED
    status, reason = await refusal(place, node, ssl=bench.client(mine))
    assert (status, reason.endswith("(keyCompromise)")) == (401, True)
    assert (await place.wait_for(EventKind.CONNECTION_REFUSED))[0]["reason"] == reason
    assert node.metrics.registry.get_sample_value("ampwave_csms_revoked_total") == 1


@pytest.mark.requirement("S57")
async def test_a_stale_list_refuses_newcomers_and_leaves_open_sockets_alone(
    place: Any, bench: TlsBench
) -> None:
    own = bench.charger_ca.leaf("CP-1")
    node = await start(place, bench)
    async with place.charger(node, ssl=bench.client(own)) as peer:
        await peer.boot()
        bench.revoke(at=bench.now - LONG_AGO)

        async def refused_now() -> bool:
            return await answer_to_another(place, node, bench) == 401

        await until(refused_now)
        await peer.boot("1.1")
    (refused, *_) = await place.wait_for(EventKind.CONNECTION_REFUSED, 1, "CP-8")
    assert "is stale since" in refused["reason"]


async def answer_to_another(place: Any, node: Any, bench: TlsBench) -> int:
    """The HTTP status that another charger with a certificate gets."""
    await place.register("CP-8", password=None)
    try:
        async with place.charger(node, "CP-8", ssl=bench.client(bench.charger_ca.leaf("CP-8"))):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.requirement("S57")
async def test_an_unsafe_setting_lets_them_in_with_a_caution(place: Any, bench: TlsBench) -> None:
    bench.revoke(at=bench.now - LONG_AGO)
    node = await start(place, bench, unsafe_unproven=True)
    async with place.charger(node, ssl=bench.client(bench.charger_ca.leaf("CP-1"))):
        (opened,) = await place.wait_for(EventKind.CONNECTION_OPENED)
    assert "is stale since" in opened["caution"]
    assert (await place.twin()).security.caution == opened["caution"]
    assert node.metrics.registry.get_sample_value("ampwave_csms_cautions_total") == 1


@pytest.mark.requirement("S57", "S55")
async def test_a_responder_that_revokes_closes_the_socket(place: Any, bench: TlsBench) -> None:
    own, status = bench.charger_ca.leaf("CP-1"), [ocsp.OCSPCertStatus.GOOD]

    def answer(request: bytes) -> bytes:
        # It says that there is no news for an hour; it is asked again all the same.
        times = {"now": datetime.now(UTC), "since": -AN_HOUR, "life": 2 * AN_HOUR}
        return ocsp_response(bench.charger_ca, own, request, status=status[0], **times)

    node = await start(place, bench, ocsp=responder(answer), crl_files=())
    async with place.charger(node, ssl=bench.client(own)) as peer:
        await peer.boot()
        status[0] = ocsp.OCSPCertStatus.REVOKED
        assert (await peer.closed())[0] == REVOKED
    assert (await refusal(place, node, ssl=bench.client(own)))[0] == 401


async def test_an_authority_that_is_withdrawn_takes_its_sockets_along(place: Any, bench: TlsBench) -> None:
    own = bench.charger_ca.leaf("CP-1")
    node = await start(place, bench)
    async with place.charger(node, ssl=bench.client(own)) as peer:
        await peer.boot()
        Authority.root("Next charger CA", bench.now).write(bench.ca_file)
        assert await peer.closed() == (
            REVOKED,
            "the certificate was withdrawn with the authority that issued it",
        )


async def test_an_authority_that_is_renewed_under_its_key_drops_no_socket(
    place: Any, bench: TlsBench
) -> None:
    own = bench.charger_ca.leaf("CP-1")
    node = await start(place, bench)
    async with place.charger(node, ssl=bench.client(own)) as peer:
        await peer.boot()
        renewed = Authority.root("Charger CA", bench.now, until=3 * LONG_AGO)
        assert renewed.certificate != bench.charger_ca.certificate
        renewed.write(bench.ca_file)
        stranger = Authority.root("Next charger CA", bench.now)
        await place.register("CP-2")
        with bench.ca_file.open("ab") as bundle:
            bundle.write(stranger.certificate.public_bytes(Encoding.PEM))
        bench.crl_file.write_bytes(bench.crl_file.read_bytes() + stranger.crl_pem())

        async def is_read() -> bool:
            return await comes_in(place, node, "CP-2", bench.client(stranger.leaf("CP-2")))

        await until(is_read)
        await peer.boot("1.1")
        assert (await place.twin()).connectivity.reconnects == 0


async def comes_in(place: Any, node: Any, charger_id: str, context: ssl.SSLContext) -> bool:
    try:
        async with place.charger(node, charger_id, ssl=context, password=None):
            return True
    except (InvalidStatus, *NO_HANDSHAKE):
        return False


# The server's certificates.


async def certificate_of(place: Any, node: Any, context: ssl.SSLContext, **options: Any) -> bytes:
    """The server certificate that a charger is shown."""
    async with place.charger(node, ssl=context, **options) as peer:
        await peer.boot()
        shown = peer.socket.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(shown, bytes)
        return shown


@pytest.mark.requirement("S59")
async def test_new_server_certificates_drop_no_socket(place: Any, bench: TlsBench) -> None:
    await place.register("CP-2")
    pair = bench.server_certificate("server")
    node = await start(place, bench, bench.server(pair))
    async with place.charger(node, ssl=bench.client()) as peer:
        await peer.boot()
        old = peer.socket.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        pair.chain.write_text("-----BEGIN CERTIFICATE-----\nhalf")

        async def has_problem() -> bool:
            return node.metrics.registry.get_sample_value("ampwave_csms_tls_problem") == 1

        await until(has_problem)
        assert await certificate_of(place, node, bench.client(), charger_id="CP-2") == old
        bench.server_certificate("server", "rsa2048")

        async def is_new() -> bool:
            return await certificate_of(place, node, bench.client(), charger_id="CP-2") != old

        await until(is_new)
        assert not await has_problem()
        await peer.boot("1.1")
        assert (await place.twin()).connectivity.reconnects == 0


ECDSA, RSA, STATIC = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256"


async def test_chargers_that_know_only_one_kind_of_key_are_all_served(place: Any, bench: TlsBench) -> None:
    pairs = (bench.server_certificate("ec"), bench.server_certificate("rsa", "rsa2048"))
    node = await start(place, bench, bench.server(*pairs))
    by_ecdsa = await certificate_of(place, node, bench.client(ciphers=ECDSA, newest=TLS12))
    by_rsa = await certificate_of(place, node, bench.client(ciphers=RSA, newest=TLS12))
    assert by_ecdsa != by_rsa
    with pytest.raises(NO_HANDSHAKE):
        await certificate_of(place, node, bench.client(ciphers=STATIC, newest=TLS12))


async def test_static_rsa_only_behind_the_unsafe_switch(place: Any, bench: TlsBench) -> None:
    tls = bench.server(bench.server_certificate("rsa", "rsa2048"), unsafe_static_rsa=True)
    node = await start(place, bench, tls)
    assert await certificate_of(place, node, bench.client(ciphers=STATIC, newest=TLS12))


@pytest.mark.requirement("S61")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1])
async def test_older_tls_is_refused(place: Any, bench: TlsBench, version: ssl.TLSVersion) -> None:
    node = await start(place, bench)
    with pytest.raises(NO_HANDSHAKE):
        # Level 0, or this machine's own policy would end the handshake before the node does.
        await certificate_of(place, node, bench.client(newest=version, ciphers="ALL:@SECLEVEL=0"))
