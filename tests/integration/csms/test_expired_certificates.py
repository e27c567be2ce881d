"""Expired certificates: only for chargers that are named, and only to renew them (A00.FR.429)."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from csms.commands import (
    AnswerStatus,
    CertificateSigned,
    GetVariables,
    Reset,
    ResetKind,
    SetVariables,
    VariableValue,
)
from csms.errors import NotAccepted
from storage.events import EventKind
from tests.support.tls_bench import AN_HOUR, TlsBench, until

pytestmark = pytest.mark.integration

RENEW = "SignChargePointCertificate"


@pytest.fixture
def bench(tmp_path: Path) -> TlsBench:
    return TlsBench(tmp_path)


async def start_lenient(place: Any, bench: TlsBench, *named: str, **options: Any) -> Any:
    certificates = bench.certificates(place.chargers, expired_of=frozenset(named))
    server = bench.server(times_later=True)
    return await place.start_node(tls=server, certificates=certificates, reload_s=0.05, **options)


@pytest.mark.requirement("S58")
async def test_an_expired_certificate_opens_nothing_but_its_own_renewal(place: Any, bench: TlsBench) -> None:
    node = await start_lenient(place, bench, "CP-1")
    old = bench.charger_ca.leaf("CP-1", until=-AN_HOUR)
    async with place.charger(node, password=None, ssl=bench.client(old)) as peer:
        (opened,) = await place.wait_for(EventKind.CONNECTION_OPENED)
        assert "only renew its certificate, which expired on" in opened["caution"]
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        setting = SetVariables((VariableValue("A", "1"),))
        for command in (GetVariables(("A",)), setting, Reset(ResetKind.ON_IDLE)):
            with pytest.raises(NotAccepted):
                await node.send("CP-1", epoch, command, deadline_s=5)
        assert (await peer.ask(2, "h", "Heartbeat", {}))[2] == "SecurityError", "not even before its boot"
        assert (await peer.boot())[2]["status"] == "Pending"
        # Asked at once, without anybody's doing.
        asked = await peer.hear()
        assert asked[2:] == ["ExtendedTriggerMessage", {"requestedMessage": RENEW}]
        await peer.say(3, asked[1], {"status": "Accepted"})
        told = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        assert (await peer.ask(2, "s", "StatusNotification", told))[2] == "SecurityError"
        assert (await peer.ask(2, "c", "SignCertificate", {"csr": "a request"}))[0] == 3
        signing = asyncio.create_task(node.send("CP-1", epoch, CertificateSigned("chain"), deadline_s=5))
        signed = await peer.hear()
        assert signed[2] == "CertificateSigned"
        await peer.say(3, signed[1], {"status": "Accepted"})
        assert (await signing).status is AnswerStatus.ACCEPTED
    new = bench.charger_ca.leaf("CP-1")
    async with place.charger(node, password=None, ssl=bench.client(new)) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"


@pytest.mark.requirement("S58")
async def test_one_that_only_reconnects_is_asked_too(place: Any, bench: TlsBench) -> None:
    node = await start_lenient(place, bench, "CP-1", probe_delay_s=0.01)
    old = bench.charger_ca.leaf("CP-1", until=-AN_HOUR)
    async with place.charger(node, password=None, ssl=bench.client(old)) as peer:
        assert (await peer.hear())[2:] == ["ExtendedTriggerMessage", {"requestedMessage": RENEW}]


@pytest.mark.requirement("S58")
async def test_an_expired_certificate_of_anybody_else_opens_nothing(place: Any, bench: TlsBench) -> None:
    await place.register("CP-2")
    node = await start_lenient(place, bench, "CP-1")
    unnamed = bench.client(bench.charger_ca.leaf("CP-2", until=-AN_HOUR))
    status, reason = await refusal(place, node, "CP-2", ssl=unnamed)
    assert status == 401
    assert reason.startswith("the certificate is not valid: it expired on ")
    # Nor does it open the door of the charger that is named, nor does a revoked one.
    status, reason = await refusal(place, node, ssl=unnamed)
    assert (status, reason) == (401, "the certificate was issued to another charger")
    revoked = bench.charger_ca.leaf("CP-1", until=-AN_HOUR)
    bench.revoke(revoked)
    await until(lambda: _refused(place, node, bench.client(revoked), "revoked"))


async def refusal(place: Any, node: Any, *args: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with place.charger(node, *args, **options):
            pass
    return refused.value.response.status_code, refused.value.response.body.decode().strip()


async def _refused(place: Any, node: Any, client: ssl.SSLContext, why: str) -> bool:
    try:
        async with place.charger(node, password=None, ssl=client):
            return False
    except InvalidStatus as refused:
        return why in refused.response.body.decode()


async def test_a_good_certificate_is_not_confined_because_its_charger_is_named(
    place: Any, bench: TlsBench
) -> None:
    node = await start_lenient(place, bench, "CP-1")
    client = bench.client(bench.charger_ca.leaf("CP-1"))
    async with place.charger(node, password=None, ssl=client) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"
