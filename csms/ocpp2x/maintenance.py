"""OCPP 2.x: what a charging station says about logs, firmware, certificates and monitors."""

from collections.abc import Iterator

from csms.answers import detail_of, hash_from_wire
from csms.dialect import Observed, Reading
from csms.frames import Payload
from csms.ocpp2x import naming
from csms.signing_request import refusal
from storage.certificate_use import CertificateUse
from storage.reports import (
    CertificateSigningRequested,
    CertificateStatusRequested,
    CustomerInformationReported,
    LogStatus,
    LogStatusReported,
    Monitor,
    MonitorsReported,
    PublishStatus,
    PublishStatusReported,
    VendorMessageReceived,
)

_Events = Iterator[Observed]


def _request_id(payload: Payload) -> int | None:
    number = payload.get("requestId")
    return None if number is None else int(number)


def log_status(payload: Payload, _: Reading) -> _Events:
    """LogStatusNotification; the request id is absent exactly with Idle (N01.FR.13)."""
    detail = detail_of(payload.get("statusInfo")) or None
    yield Observed(LogStatusReported(LogStatus(payload["status"]), _request_id(payload), detail))


def publish_status(payload: Payload, _: Reading) -> _Events:
    """PublishFirmwareStatusNotification (L03)."""
    status, places = PublishStatus(payload["status"]), tuple(payload.get("location", ()))
    yield Observed(PublishStatusReported(status, _request_id(payload), places))


def signing_request(payload: Payload, _: Reading) -> _Events:
    """SignCertificate (A02, A03)."""
    csr, kind = payload["csr"], payload.get("certificateType")
    use = None if kind is None else CertificateUse(kind)
    yield Observed(CertificateSigningRequested(csr, use, _request_id(payload), refusal(csr)))


def certificate_status(payload: Payload, _: Reading) -> _Events:
    """GetCertificateStatus (M06)."""
    data = payload["ocspRequestData"]
    yield Observed(CertificateStatusRequested(hash_from_wire(data), data["responderURL"]))


def monitors(payload: Payload, reading: Reading) -> _Events:
    """NotifyMonitoringReport (N02)."""
    found = tuple(
        Monitor(
            int(monitor["id"]),
            naming.component(entry["component"]),
            naming.named(entry["variable"]),
            monitor["type"],
            float(monitor["value"]),
            int(monitor["severity"]),
        )
        for entry in payload.get("monitor", ())
        for monitor in entry["variableMonitoring"]
    )
    event = MonitorsReported(int(payload["requestId"]), int(payload["seqNo"]), found, _complete(payload))
    yield Observed(event, reading.parse_time(payload["generatedAt"]))


def customer_information(payload: Payload, reading: Reading) -> _Events:
    """NotifyCustomerInformation (N09): how much, never what."""
    event = CustomerInformationReported(
        int(payload["requestId"]), int(payload["seqNo"]), len(payload["data"]), _complete(payload)
    )
    yield Observed(event, reading.parse_time(payload["generatedAt"]))


def vendor_message(payload: Payload, _: Reading) -> _Events:
    """DataTransfer (P02)."""
    yield Observed(VendorMessageReceived(payload["vendorId"], payload.get("messageId")))


def _complete(payload: Payload) -> bool:
    # ``tbc`` left out means false: this is the last part.
    return not payload.get("tbc", False)
