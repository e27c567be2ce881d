"""OCPP 1.6: what a charge point says, to canonical events, and our answers."""

from collections.abc import Mapping
from typing import Any

from csms.dialect import Answering, Message, Observed, Reading
from csms.frames import Payload
from csms.meters import samples
from csms.redaction import redacted
from csms.signing_request import refusal
from csms.timestamps import format_instant
from storage.certificate_use import CertificateUse
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
    MeterValuesSampled,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
)
from storage.reports import CertificateSigningRequested, LogStatus, LogStatusReported, VendorMessageReceived

# 1.6 section 7.7 (nine states) onto the five of 2.0.1: whatever has a car or waits for one is occupied.
_STATUS = {
    "Available": ConnectorStatus.AVAILABLE,
    "Preparing": ConnectorStatus.OCCUPIED,
    "Charging": ConnectorStatus.OCCUPIED,
    "SuspendedEVSE": ConnectorStatus.OCCUPIED,
    "SuspendedEV": ConnectorStatus.OCCUPIED,
    "Finishing": ConnectorStatus.OCCUPIED,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}

# 1.6 section 7.36 onto 2.0.1 ReasonEnumType; a reason that is left out means Local.
_REASONS = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Other"}

# 1.6 section 7.24 onto 2.0.1 UploadLogStatusEnumType; the whitepaper's words are those of 2.0.1.
_LOG_STATUS = {"UploadFailed": LogStatus.UPLOAD_FAILURE}


def connector_of(connector_id: int) -> tuple[int, int]:
    """(EVSE, connector) of a 1.6 connector number."""
    return (connector_id, 1) if connector_id > 0 else (0, 0)


def _boot(payload: Payload, _: Reading) -> tuple[Observed, ...]:
    return (
        Observed(
            ChargerBooted(
                payload["chargePointVendor"],
                payload["chargePointModel"],
                payload.get("firmwareVersion"),
                payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber"),
            )
        ),
    )


def _heartbeat(_payload: Payload, _: Reading) -> tuple[Observed, ...]:
    return (Observed(HeartbeatReceived()),)


def _status(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    evse_id, connector_id = connector_of(payload["connectorId"])
    error = payload["errorCode"]
    event = ConnectorStatusChanged(
        evse_id,
        connector_id,
        _STATUS[payload["status"]],
        None if error == "NoError" else error,
        payload["status"],
        payload.get("vendorErrorCode"),
    )
    return (Observed(event, _time(payload, reading)),)


def _firmware_status(payload: Payload, _: Reading) -> tuple[Observed, ...]:
    return (Observed(FirmwareStatusReported(FirmwareStatus(payload["status"]), _request_id(payload))),)


def _request_id(payload: Payload) -> int | None:
    # The whitepaper's schemas take 1.0 for a whole number, those of 1.6 do not. 0 is a request id.
    number = payload.get("requestId")
    return None if number is None else int(number)


def _security_event(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    event = SecurityEventReported(payload["type"], redacted(payload.get("techInfo")))
    # A charge point queues critical events and sends them again after a reconnect.
    key = f"security:{payload['type']}:{payload['timestamp']}"
    return (Observed(event, _time(payload, reading), key),)


def start_key(payload: Payload, reading: Reading) -> str:
    """What makes a StartTransaction this one and no other."""
    token = reading.hash_token(payload["idTag"])
    return f"start:{payload['connectorId']}:{payload['timestamp']}:{payload['meterStart']}:{token}"


def _start(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    evse_id, connector_id = connector_of(payload["connectorId"])
    event = TransactionStarted(
        str(reading.transaction_id),
        evse_id,
        connector_id,
        reading.hash_token(payload["idTag"]),
        float(payload["meterStart"]),
    )
    at, key = _time(payload, reading), start_key(payload, reading)
    started = Observed(event, at, key)
    if "reservationId" not in payload:
        return (started,)
    # 1.6 section 5.13: the session uses the reservation up. Only now is its number told.
    used = ReservationChanged(int(payload["reservationId"]), active=False, evse_id=evse_id)
    return (started, Observed(used, at, f"reserved:{key}"))


def _stop(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    reason = payload.get("reason", "Local")
    event = TransactionEnded(
        str(payload["transactionId"]), _REASONS.get(reason, reason), float(payload["meterStop"])
    )
    # With the time: a charge point that started offline stops as transaction -1, every time.
    key = f"stop:{payload['transactionId']}:{payload['timestamp']}"
    data = enumerate(payload.get("transactionData", ()))
    sampled = [_sampled(value, 0, event.transaction_id, reading, f"{key}:{n}") for n, value in data]
    return (Observed(event, _time(payload, reading), key), *sampled)


def _meter_values(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    evse_id, _ = connector_of(payload["connectorId"])
    transaction = payload.get("transactionId")
    transaction_id = None if transaction is None else str(transaction)
    return tuple(_sampled(value, evse_id, transaction_id, reading) for value in payload["meterValue"])


def _sampled(
    value: Payload, evse_id: int, transaction_id: str | None, reading: Reading, key: str | None = None
) -> Observed:
    sampled = MeterValuesSampled(evse_id, transaction_id, samples(value["sampledValue"]))
    return Observed(sampled, _time(value, reading), key)


def _log_status(payload: Payload, _: Reading) -> tuple[Observed, ...]:
    word = payload["status"]
    status = _LOG_STATUS.get(word) or LogStatus(word)
    return (Observed(LogStatusReported(status, _request_id(payload))),)


def _signing_request(payload: Payload, _: Reading) -> tuple[Observed, ...]:
    csr = payload["csr"]
    # The whitepaper has one kind of certificate to sign.
    event = CertificateSigningRequested(csr, CertificateUse.CHARGING_STATION, refusal=refusal(csr))
    return (Observed(event),)


def _vendor_message(payload: Payload, _: Reading) -> tuple[Observed, ...]:
    return (Observed(VendorMessageReceived(payload["vendorId"], payload.get("messageId"))),)


def _time(payload: Mapping[str, Any], reading: Reading) -> Any:
    stamp = payload.get("timestamp")
    return reading.parse_time(stamp) if stamp else None


# Who may charge is not ours to decide: id tokens are accepted, an authorisation service stays in front.
_ID_TAG = {"idTagInfo": {"status": "Accepted"}}


def _booted(_: Payload, answering: Answering) -> Payload:
    return {
        "status": answering.registration.value,
        "currentTime": format_instant(answering.now),
        "interval": answering.heartbeat_interval_s,
    }


def _clock(_: Payload, answering: Answering) -> Payload:
    return {"currentTime": format_instant(answering.now)}


def _begun(_: Payload, answering: Answering) -> Payload:
    return {"transactionId": answering.transaction_id, **_ID_TAG}


def _tagged(_payload: Payload, _: Answering) -> Payload:
    return dict(_ID_TAG)


def _unknown_vendor(_payload: Payload, _: Answering) -> Payload:
    return {"status": "UnknownVendorId"}


def _to_be_signed(payload: Payload, _: Answering) -> Payload:
    return {"status": "Rejected" if refusal(payload["csr"]) else "Accepted"}


MESSAGES: dict[str, Message] = {
    "BootNotification": Message(_boot, _booted),
    "Heartbeat": Message(_heartbeat, _clock),
    "StatusNotification": Message(_status),
    "FirmwareStatusNotification": Message(_firmware_status),
    "SignedFirmwareStatusNotification": Message(_firmware_status),
    "SecurityEventNotification": Message(_security_event),
    "StartTransaction": Message(_start, _begun),
    "StopTransaction": Message(_stop, _tagged),
    "MeterValues": Message(_meter_values),
    "DiagnosticsStatusNotification": Message(_log_status),
    "LogStatusNotification": Message(_log_status),
    "SignCertificate": Message(_signing_request, _to_be_signed),
    "DataTransfer": Message(_vendor_message, _unknown_vendor),
    "Authorize": Message(answer=_tagged),
}
