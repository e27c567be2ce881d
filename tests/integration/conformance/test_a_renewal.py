"""Block A, a new certificate for the station at our request (A02): the messages of TC_A_11 and TC_A_14."""

from pathlib import Path
from typing import Any

import pytest

from csms.commands import AnswerStatus, CertificateSigned, TriggerKind, TriggerMessage
from storage.certificate_use import CertificateUse
from storage.events import EventKind
from tests.integration.conformance.certificates import Authority, StationKey
from tests.integration.conformance.secure import secured
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F41"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

USE = "ChargingStationCertificate"


async def wanted(csms: Any, station: Any, key: StationKey, authority: Authority) -> CertificateSigned:
    """Have the station ask for a certificate; the answer of the authority to it."""
    station.will_answer("TriggerMessage", status="Accepted")
    await csms.send(TriggerMessage(TriggerKind.SIGN_CHARGING_STATION))
    assert await station.heard("TriggerMessage") == {"requestedMessage": "SignChargingStationCertificate"}
    # A02.FR.25: 2.1 has an id that ties the answer to the request.
    number = {"requestId": 0} if station.version == OCPP21 else {}
    answer = await station.call("SignCertificate", {"csr": key.csr, "certificateType": USE, **number})
    assert answer == {"status": "Accepted"}
    (asked,) = await csms.events(EventKind.CERTIFICATE_SIGNING_REQUESTED)
    assert (asked["csr"], asked["use"], asked["refusal"]) == (key.csr, USE, None)
    assert asked["request_id"] == number.get("requestId")
    return CertificateSigned(authority.sign(asked["csr"]), CertificateUse(asked["use"]), asked["request_id"])


async def signed(csms: Any, station: Any, command: CertificateSigned, answer: str) -> None:
    """Send the certificate, to which the station says this."""
    station.will_answer("CertificateSigned", status=answer)
    assert (await csms.send(command)).status is AnswerStatus(answer)
    sent = await station.heard("CertificateSigned")
    assert sent.pop("requestId", None) == command.request_id
    assert sent == {"certificateChain": command.chain, "certificateType": USE}


async def test_tc_a_11_the_station_takes_its_new_certificate(csms: Any, version: str, tmp_path: Path) -> None:
    tls, key = await secured(csms, tmp_path), StationKey.create()
    old = tls.stations.client(tls.folder)
    async with csms.station(version, ssl=tls.context(old), password=None) as station:
        await station.ready()
        command = await wanted(csms, station, key, tls.stations)
        key.accepts(command.chain, tls.stations)
        await signed(csms, station, command, "Accepted")
        before = (await csms.twin()).security.certificate_serial
    assert await csms.answered("CertificateSigned") == ["Accepted"]
    renewed = key.files(tls.folder, command.chain)
    async with csms.station(version, ssl=tls.context(renewed), password=None) as station:
        await station.ready("PowerUp")
        security = (await csms.twin()).security
        assert (security.profile, security.certificate_serial != before) == (3, True)
    # A02.FR.10: the old one stays good as a fallback.
    async with csms.station(version, ssl=tls.context(old), password=None) as station:
        await station.ready()


async def test_tc_a_14_the_station_refuses_its_new_certificate(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        command = await wanted(csms, station, StationKey.create(), Authority.create())
        await signed(csms, station, command, "Rejected")
        await station.security_event("InvalidChargingStationCertificate")
        assert (await csms.twin()).security.last_event == "InvalidChargingStationCertificate"
    assert await csms.answered("CertificateSigned") == ["Rejected"]


async def test_a_request_that_its_key_did_not_sign_is_refused(csms: Any, version: str) -> None:
    spoilt = StationKey.create().spoilt_csr()
    async with csms.station(version) as station:
        await station.ready()
        answer = await station.call("SignCertificate", {"csr": spoilt, "certificateType": USE})
        assert answer["status"] == "Rejected"
