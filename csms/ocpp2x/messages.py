"""OCPP 2.x: every action that a charging station may call, what it tells, and our answer."""

from csms.dialect import Answering, Message
from csms.frames import Payload
from csms.ocpp2x import maintenance, operation
from csms.signing_request import refusal
from csms.timestamps import format_instant

# Who may charge is not ours to decide: id tokens are accepted, an authorisation service stays in front.
_TOKEN_INFO = {"idTokenInfo": {"status": "Accepted"}}


def _booted(_: Payload, answering: Answering) -> Payload:
    return {
        "status": answering.registration.value,
        "currentTime": format_instant(answering.now),
        "interval": answering.heartbeat_interval_s,
    }


def _clock(_: Payload, answering: Answering) -> Payload:
    return {"currentTime": format_instant(answering.now)}


def _authorized(_payload: Payload, _: Answering) -> Payload:
    return dict(_TOKEN_INFO)


def _went_on(payload: Payload, _: Answering) -> Payload:
    # E01.FR.12: an id token in the request wants its status in the answer.
    return dict(_TOKEN_INFO) if "idToken" in payload else {}


def _unknown_vendor(_payload: Payload, _: Answering) -> Payload:
    return {"status": "UnknownVendorId"}


def _to_be_signed(payload: Payload, _: Answering) -> Payload:
    reason = refusal(payload["csr"])
    if reason is None:
        return {"status": "Accepted"}
    return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidCSR", "additionalInfo": reason}}


def _certificate_status(_: Payload, answering: Answering) -> Payload:
    status, result = answering.certificate_status
    return {"status": status} if result is None else {"status": status, "ocspResult": result}


def _no_contract(_payload: Payload, _: Answering) -> Payload:
    # M01, M02: contract certificates are another system's business.
    return {"status": "Failed", "exiResponse": ""}


def _accepted(_payload: Payload, _: Answering) -> Payload:
    return {"status": "Accepted"}


def _rejected(_payload: Payload, _: Answering) -> Payload:
    return {"status": "Rejected"}


def _no_profile(_payload: Payload, _: Answering) -> Payload:
    return {"status": "NoChargingProfile"}


def _unproven_vat(payload: Payload, _: Answering) -> Payload:
    return {"status": "Rejected", "vatNumber": payload["vatNumber"]}


def _no_chain_status(payload: Payload, answering: Answering) -> Payload:
    now = format_instant(answering.now)
    asked = payload["certificateStatusRequests"]
    return {
        "certificateStatus": [
            {
                "certificateHashData": each["certificateHashData"],
                "source": each["source"],
                "status": "Failed",
                "nextUpdate": now,
            }
            for each in asked
        ]
    }


MESSAGES_201: dict[str, Message] = {
    "BootNotification": Message(operation.boot, _booted),
    "Heartbeat": Message(operation.heartbeat, _clock),
    "StatusNotification": Message(operation.status),
    "TransactionEvent": Message(operation.transaction, _went_on),
    "MeterValues": Message(operation.meter_values),
    "FirmwareStatusNotification": Message(operation.firmware_status),
    "SecurityEventNotification": Message(operation.security_event),
    "NotifyEvent": Message(operation.notify_event),
    "NotifyReport": Message(operation.notify_report),
    "ReservationStatusUpdate": Message(operation.reservation),
    "LogStatusNotification": Message(maintenance.log_status),
    "PublishFirmwareStatusNotification": Message(maintenance.publish_status),
    "SignCertificate": Message(maintenance.signing_request, _to_be_signed),
    "GetCertificateStatus": Message(maintenance.certificate_status, _certificate_status),
    "NotifyMonitoringReport": Message(maintenance.monitors),
    "NotifyCustomerInformation": Message(maintenance.customer_information),
    "DataTransfer": Message(maintenance.vendor_message, _unknown_vendor),
    "Authorize": Message(answer=_authorized),
    "Get15118EVCertificate": Message(answer=_no_contract),
    "NotifyEVChargingNeeds": Message(answer=_rejected),
    # K15.FR.11: within the limits that we set, which are none.
    "NotifyEVChargingSchedule": Message(answer=_accepted),
    "NotifyChargingLimit": Message(),
    "ClearedChargingLimit": Message(),
    "ReportChargingProfiles": Message(),
    "NotifyDisplayMessages": Message(),
}

MESSAGES_21: dict[str, Message] = {
    **MESSAGES_201,
    "NotifyEVChargingNeeds": Message(answer=_no_profile),
    "GetCertificateChainStatus": Message(answer=_no_chain_status),
    "NotifyPriorityCharging": Message(),
    "PullDynamicScheduleUpdate": Message(answer=_rejected),
    "NotifySettlement": Message(),
    "VatNumberValidation": Message(answer=_unproven_vat),
    "BatterySwap": Message(),
    "NotifyDERAlarm": Message(),
    "NotifyDERStartStop": Message(),
    "ReportDERControl": Message(),
    # N12: none is wanted from us, so none is opened; what comes all the same is kept in the journal.
    "OpenPeriodicEventStream": Message(answer=_rejected),
    "ClosePeriodicEventStream": Message(),
    "NotifyPeriodicEventStream": Message(),
}
