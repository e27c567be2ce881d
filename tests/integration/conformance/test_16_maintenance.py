"""1.6: diagnostics (TC_045), certificates (TC_074 to TC_076), security events and log (TC_077 to TC_079)."""

from pathlib import Path
from typing import Any

import pytest

from csms.commands import (
    AnswerStatus,
    CertificateSigned,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLog,
    InstallCertificate,
    LogKind,
    TriggerKind,
    TriggerMessage,
)
from storage.certificate_use import CertificateUse
from storage.events import EventKind
from tests.integration.conformance.certificates import Authority, StationKey, hash_data
from tests.integration.conformance.secure import secured
from tests.integration.conformance.wire import OCPP16

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F41", "F71")]

PLACE = "ftp://ampwave.example/u/an-upload-ticket"
ROOTS = {
    CertificateUse.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
    CertificateUse.CSMS_ROOT: "CentralSystemRootCertificate",
}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


async def logs(csms: Any) -> list[tuple[str, int | None]]:
    """What was stored of uploads."""
    reported = await csms.events(EventKind.LOG_STATUS_REPORTED)
    return [(body["status"], body["request_id"]) for body in reported]


@pytest.mark.parametrize(
    ("end", "meaning"),
    [
        pytest.param("Uploaded", "Uploaded", id="tc_045_1"),
        pytest.param("UploadFailed", "UploadFailure", id="tc_045_2"),
    ],
)
async def test_tc_045_1_2_diagnostics_are_uploaded(csms: Any, end: str, meaning: str) -> None:
    async with csms.station(OCPP16) as station:
        station.signed = False
        await station.ready()
        station.will_answer("GetDiagnostics", fileName="diagnostics.zip")
        answer = await csms.send(GetLog(1, PLACE))
        assert (answer.status, answer.file_name) == (AnswerStatus.ACCEPTED, "diagnostics.zip")
        assert (await station.heard("GetDiagnostics"))["location"] == PLACE
        for status in ("Uploading", end):
            await station.told("DiagnosticsStatusNotification", {"status": status})
        assert await logs(csms) == [("Uploading", None), (meaning, None)]


async def wanted(csms: Any, station: Any, key: StationKey, authority: Authority) -> CertificateSigned:
    """Have the charge point ask for a certificate; the answer of an authority to it."""
    await station.ready()
    station.will_answer("ExtendedTriggerMessage", status="Accepted")
    await csms.send(TriggerMessage(TriggerKind.SIGN_CHARGING_STATION))
    sent = await station.heard("ExtendedTriggerMessage")
    assert sent == {"requestedMessage": "SignChargePointCertificate"}
    assert await station.call("SignCertificate", {"csr": key.csr}) == {"status": "Accepted"}
    (asked,) = await csms.events(EventKind.CERTIFICATE_SIGNING_REQUESTED)
    assert (asked["csr"], asked["refusal"]) == (key.csr, None)
    return CertificateSigned(authority.sign(asked["csr"]))


async def test_tc_074_a_new_certificate_at_our_request(csms: Any, tmp_path: Path) -> None:
    tls, key = await secured(csms, tmp_path), StationKey.create()
    old = tls.stations.client(tls.folder)
    async with csms.station(OCPP16, ssl=tls.context(old), password=None) as station:
        command = await wanted(csms, station, key, tls.stations)
        station.will_answer("CertificateSigned", status="Accepted")
        assert (await csms.send(command)).status is AnswerStatus.ACCEPTED
        sent = await station.heard("CertificateSigned")
        key.accepts(sent["certificateChain"], tls.stations)
        before = (await csms.twin()).security.certificate_serial
    renewed = key.files(tls.folder, sent["certificateChain"])
    async with csms.station(OCPP16, ssl=tls.context(renewed), password=None) as station:
        await station.ready()
        security = (await csms.twin()).security
        assert (security.profile, security.certificate_serial != before) == (3, True)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(CertificateUse.MANUFACTURER_ROOT, id="tc_075_1"),
        pytest.param(CertificateUse.CSMS_ROOT, id="tc_075_2"),
    ],
)
async def test_tc_075_1_2_a_root_is_installed_and_listed(
    csms: Any, authority: Authority, use: CertificateUse
) -> None:
    async with csms.station(OCPP16) as station:
        await station.ready()
        station.will_answer("InstallCertificate", status="Accepted")
        assert (await csms.send(InstallCertificate(use, authority.pem))).status is AnswerStatus.ACCEPTED
        sent = await station.heard("InstallCertificate")
        assert sent == {"certificateType": ROOTS[use], "certificate": authority.pem}
        assert await listed(csms, station, use, hash_data(authority.root)) is not None


async def listed(csms: Any, station: Any, use: CertificateUse, data: dict[str, Any]) -> Any:
    """Have the roots of one use listed, of which the charge point has one; what we keep of it."""
    station.will_answer("GetInstalledCertificateIds", status="Accepted", certificateHashData=[data])
    answer = await csms.send(GetInstalledCertificateIds((use,)))
    assert await station.heard("GetInstalledCertificateIds") == {"certificateType": ROOTS[use]}
    (one,) = answer.certificates
    assert (one.use, one.hash.serial_number) == (use, data["serialNumber"])
    return one.hash


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
async def test_tc_076_a_certificate_is_deleted(csms: Any, authority: Authority, algorithm: str) -> None:
    async with csms.station(OCPP16) as station:
        await station.ready()
        data = hash_data(authority.root, algorithm)
        name = await listed(csms, station, CertificateUse.CSMS_ROOT, data)
        station.will_answer("DeleteCertificate", status="Accepted")
        assert (await csms.send(DeleteCertificate(name))).status is AnswerStatus.ACCEPTED
        assert await station.heard("DeleteCertificate") == {"certificateHashData": data}


async def test_tc_077_the_charge_point_refuses_its_certificate(csms: Any, authority: Authority) -> None:
    async with csms.station(OCPP16) as station:
        command = await wanted(csms, station, StationKey.create(), authority)
        station.will_answer("CertificateSigned", status="Rejected")
        assert (await csms.send(command)).status is AnswerStatus.REJECTED
        await station.security_event("InvalidChargePointCertificate")
        assert (await csms.twin()).security.last_event == "InvalidChargePointCertificate"


async def test_tc_078_the_charge_point_refuses_a_root(csms: Any, authority: Authority) -> None:
    async with csms.station(OCPP16) as station:
        await station.ready()
        station.will_answer("InstallCertificate", status="Rejected")
        command = InstallCertificate(CertificateUse.CSMS_ROOT, authority.pem)
        assert (await csms.send(command)).status is AnswerStatus.REJECTED
        await station.security_event("InvalidCentralSystemCertificate")
        assert (await csms.twin()).security.last_event == "InvalidCentralSystemCertificate"


async def test_tc_079_the_security_log_is_uploaded(csms: Any) -> None:
    async with csms.station(OCPP16) as station:
        await station.ready()
        station.will_answer("GetLog", status="Accepted", filename="security.log")
        answer = await csms.send(GetLog(0, PLACE, LogKind.SECURITY))
        assert (answer.status, answer.file_name) == (AnswerStatus.ACCEPTED, "security.log")
        sent = await station.heard("GetLog")
        assert (sent["logType"], sent["requestId"]) == ("SecurityLog", 0)
        assert sent["log"]["remoteLocation"] == PLACE
        for status in ("Uploading", "Uploaded"):
            await station.told("LogStatusNotification", {"status": status, "requestId": 0})
        assert await logs(csms) == [("Uploading", 0), ("Uploaded", 0)]
