"""OCPP 1.6J with the security extension (whitepaper edition 3), to and from the canonical language.

A connector n of 1.6 is connector 1 of EVSE n; connector 0 is the whole charge point (EVSE 0).
"""

from collections.abc import Callable, Mapping
from typing import Any

from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    GetVariables,
    Reset,
    ResetKind,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
)
from csms.dialect import Answering, Calling, Observed, Reading, answer_status
from csms.errors import Unsupported
from csms.frames import OCPP16, Payload
from csms.meters import samples
from csms.redaction import SECRET_VARIABLES
from csms.timestamps import format_instant
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
    MeterValuesSampled,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
)
from storage.twin import ConfigurationSection

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

_RESET = {ResetKind.ON_IDLE: "Soft", ResetKind.IMMEDIATE: "Hard"}

# Calls that only a charge point with the security extension makes, and a key that only it has (WP3).
_SECURITY_MESSAGES = frozenset(
    {
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "SignCertificate",
        "LogStatusNotification",
    }
)
_SECURITY_KEY = "SecurityProfile"


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
    return (Observed(FirmwareStatusReported(FirmwareStatus(payload["status"]), payload.get("requestId"))),)


def _security_event(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    event = SecurityEventReported(payload["type"], payload.get("techInfo"))
    # A charge point queues critical events and sends them again after a reconnect.
    key = f"security:{payload['type']}:{payload['timestamp']}"
    return (Observed(event, _time(payload, reading), key),)


def _start_key(payload: Payload, reading: Reading) -> str:
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
    return (Observed(event, _time(payload, reading), _start_key(payload, reading)),)


def _stop(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    reason = payload.get("reason", "Local")
    event = TransactionEnded(
        str(payload["transactionId"]), _REASONS.get(reason, reason), float(payload["meterStop"])
    )
    # With the time: a charge point that started offline stops as transaction -1, every time.
    key = f"stop:{payload['transactionId']}:{payload['timestamp']}"
    return (Observed(event, _time(payload, reading), key),)


def _meter_values(payload: Payload, reading: Reading) -> tuple[Observed, ...]:
    evse_id, _ = connector_of(payload["connectorId"])
    transaction = payload.get("transactionId")
    transaction_id = None if transaction is None else str(transaction)
    found = ((samples(value["sampledValue"]), _time(value, reading)) for value in payload["meterValue"])
    return tuple(Observed(MeterValuesSampled(evse_id, transaction_id, read), at) for read, at in found)


def _nothing(_payload: Payload, _: Reading) -> tuple[Observed, ...]:
    """Answered and journaled; no canonical fact yet."""
    return ()


def _time(payload: Mapping[str, Any], reading: Reading) -> Any:
    stamp = payload.get("timestamp")
    return reading.parse_time(stamp) if stamp else None


_EVENTS: dict[str, Callable[[Payload, Reading], tuple[Observed, ...]]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "FirmwareStatusNotification": _firmware_status,
    "SignedFirmwareStatusNotification": _firmware_status,
    "SecurityEventNotification": _security_event,
    "StartTransaction": _start,
    "StopTransaction": _stop,
    "MeterValues": _meter_values,
    "Authorize": _nothing,
    "DataTransfer": _nothing,
    "DiagnosticsStatusNotification": _nothing,
    "LogStatusNotification": _nothing,
}

# Who may charge is not ours to decide: id tokens are accepted, an authorisation service stays in front.
_ID_TAG = {"idTagInfo": {"status": "Accepted"}}


def _answers(action: str, answering: Answering) -> Payload:
    match action:
        case "BootNotification":
            now, interval = format_instant(answering.now), answering.heartbeat_interval_s
            return {"status": "Accepted", "currentTime": now, "interval": interval}
        case "Heartbeat":
            return {"currentTime": format_instant(answering.now)}
        case "StartTransaction":
            return {"transactionId": answering.transaction_id, **_ID_TAG}
        case "Authorize" | "StopTransaction":
            return dict(_ID_TAG)
        case "DataTransfer":
            return {"status": "UnknownVendorId"}
    return {}


def _update_firmware(command: UpdateFirmware) -> tuple[str, Payload]:
    retries = {"retries": command.retries, "retryInterval": command.retry_interval_s}
    retrieve = format_instant(command.retrieve_at)
    if command.signature is None or command.signing_certificate is None:
        return "UpdateFirmware", {"location": command.location, "retrieveDate": retrieve, **retries}
    firmware = {
        "location": command.location,
        "retrieveDateTime": retrieve,
        "signingCertificate": command.signing_certificate,
        "signature": command.signature,
    }
    if command.install_at is not None:
        firmware["installDateTime"] = format_instant(command.install_at)
    return "SignedUpdateFirmware", {"requestId": command.request_id, "firmware": firmware, **retries}


def _trigger(command: TriggerMessage, calling: Calling) -> tuple[str, Payload]:
    payload: Payload = {"requestedMessage": command.kind.value}
    if command.evse_id is not None:
        payload["connectorId"] = command.evse_id
    return ("ExtendedTriggerMessage" if calling.security_extension else "TriggerMessage"), payload


def _configuration(payload: Payload) -> CommandAnswer:
    entries = payload.get("configurationKey", ())
    values = tuple(
        (entry["key"], entry.get("value", "")) for entry in entries if entry["key"] not in SECRET_VARIABLES
    )
    unknown = payload.get("unknownKey") or ()
    return CommandAnswer(AnswerStatus.ACCEPTED, f"unknown: {', '.join(unknown)}" if unknown else "", values)


class Ocpp16:
    """The dialect, as a value for the session."""

    name = OCPP16
    handled = frozenset(_EVENTS)
    always_signed = False
    # Without a connector the charge point reports all of them (1.6 section 5.17).
    status_probes: tuple[Command, ...] = (TriggerMessage(TriggerKind.STATUS),)
    capability_probes: tuple[Command, ...] = (GetVariables((_SECURITY_KEY,)),)

    def start_key(self, action: str, payload: Payload, reading: Reading) -> str | None:
        """What makes this StartTransaction the same when it is sent again."""
        return _start_key(payload, reading) if action == "StartTransaction" else None

    def to_events(self, action: str, payload: Payload, reading: Reading) -> tuple[Observed, ...]:
        """The canonical events of a valid request."""
        return _EVENTS[action](payload, reading)

    def answer(self, action: str, payload: Payload, answering: Answering) -> Payload:  # noqa: ARG002  # the port's shape
        """The answer to a valid, handled request."""
        return _answers(action, answering)

    def remembers_security(self, configuration: ConfigurationSection) -> bool | None:
        """A key that only the security extension has; its absence proves nothing."""
        return True if _SECURITY_KEY in configuration.values else None

    def shows_security(self, action: str) -> bool:
        """Whether only a charge point with the security extension would call this."""
        return action in _SECURITY_MESSAGES

    def security_answer(self, command: Command, action: str, answer: CommandAnswer) -> bool | None:
        """What an answer tells of the security extension; None: nothing."""
        if isinstance(command, GetVariables):
            asked = not command.names or _SECURITY_KEY in command.names
            return _SECURITY_KEY in dict(answer.values) if asked else None
        if action in ("SignedUpdateFirmware", "ExtendedTriggerMessage"):
            # TriggerMessage's own NotImplemented speaks of one message, not of the extension.
            refused = answer.status is AnswerStatus.NOT_IMPLEMENTED
            return not refused if action == "SignedUpdateFirmware" else None
        return None

    def to_call(self, command: Command, calling: Calling) -> tuple[str, Payload]:
        """The action and payload of a command; the signed update if a signature is given."""
        match command:
            case UpdateFirmware():
                return _update_firmware(command)
            case TriggerMessage():
                return _trigger(command, calling)
            case Reset():
                return "Reset", {"type": _RESET[command.kind]}
            case ChangeAvailability():
                kind = "Operative" if command.operative else "Inoperative"
                return "ChangeAvailability", {"connectorId": command.evse_id or 0, "type": kind}
            case GetVariables():
                return "GetConfiguration", {"key": list(command.names)} if command.names else {}
        raise Unsupported(OCPP16, type(command).__name__)

    def from_answer(self, command: Command, action: str, payload: Payload) -> CommandAnswer:
        """What the answer to that call means."""
        if action == "UpdateFirmware":
            # The answer is empty: there is no way to refuse (1.6 section 6.20).
            return CommandAnswer(AnswerStatus.ACCEPTED)
        if isinstance(command, GetVariables):
            return _configuration(payload)
        return answer_status(payload)
