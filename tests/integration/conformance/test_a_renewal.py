"""Block A, a new certificate for the station at our request (A02): the messages of TC_A_11 and TC_A_14."""

from typing import Any

import pytest

from csms.commands import AnswerStatus, CertificateSigned, TriggerKind, TriggerMessage
from storage.certificate_use import CertificateUse
from storage.events import EventKind
from tests.integration.conformance.certificates import Authority, StationKey
from tests.integration.conformance.wire import OCPP21, OCPP201

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F41"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

USE = "ChargingStationCertificate"


async def wanted(csms: Any, station: Any, key: StationKey) -> CertificateSigned:
    """Have the station ask for a certificate; the answer of our authority to it."""
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
    chain = csms.authority.sign(asked["csr"])
    return CertificateSigned(chain, CertificateUse(asked["use"]), asked["request_id"])


async def signed(csms: Any, station: Any, command: CertificateSigned, answer: str) -> None:
    """Send the certificate, to which the station says this."""
    station.will_answer("CertificateSigned", status=answer)
    assert (await csms.send(command)).status is AnswerStatus(answer)
    sent = await station.heard("CertificateSigned")
    assert sent.pop("requestId", None) == command.request_id
    assert sent == {"certificateChain": command.chain, "certificateType": USE}


@pytest.fixture
def authority(csms: Any) -> Authority:
    csms.authority = Authority.create()
    return csms.authority  # type: ignore[no-any-return]


async def test_tc_a_11_the_station_takes_its_new_certificate(
    csms: Any, version: str, authority: Authority
) -> None:
    key = StationKey.create()
    async with csms.station(version) as station:
        await station.ready()
        command = await wanted(csms, station, key)
        key.accepts(command.chain, authority)
        await signed(csms, station, command, "Accepted")
    assert await csms.answered("CertificateSigned") == ["Accepted"]


async def test_tc_a_14_the_station_refuses_its_new_certificate(
    csms: Any, version: str, authority: Authority
) -> None:
    async with csms.station(version) as station:
        await station.ready()
        command = await wanted(csms, station, StationKey.create())
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
