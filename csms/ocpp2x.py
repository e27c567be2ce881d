"""OCPP 2.0.1 and 2.1, to and from the canonical language. What 2.1 adds, it adds to the same messages."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    GetVariables,
    Reset,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
)
from csms.dialect import Answering, Calling, Observed, Reading, answer_status
from csms.errors import Unsupported
from csms.frames import OCPP21, OCPP201, Payload
from csms.meters import register_wh, samples
from csms.redaction import SECRET_VARIABLES
from csms.timestamps import format_instant
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
    MeterValuesSampled,
    MonitoredEventReported,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    VariablesReported,
)
from storage.twin import ConfigurationSection

_Events = Iterator[Observed]


def _boot(payload: Payload, _: Reading) -> _Events:
    station = payload["chargingStation"]
    yield Observed(
        ChargerBooted(
            station["vendorName"],
            station["model"],
            station.get("firmwareVersion"),
            station.get("serialNumber"),
            payload["reason"],
        )
    )


def _heartbeat(_payload: Payload, _: Reading) -> _Events:
    yield Observed(HeartbeatReceived())


def _status(payload: Payload, reading: Reading) -> _Events:
    status = ConnectorStatus(payload["connectorStatus"])
    event = ConnectorStatusChanged(int(payload["evseId"]), int(payload["connectorId"]), status)
    yield Observed(event, reading.parse_time(payload["timestamp"]))


def _firmware_status(payload: Payload, _: Reading) -> _Events:
    request_id = payload.get("requestId")
    # Request id 0 is legal; absent exactly with Idle (L01.FR.20).
    yield Observed(
        FirmwareStatusReported(
            FirmwareStatus(payload["status"]), None if request_id is None else int(request_id)
        )
    )


def _security_event(payload: Payload, reading: Reading) -> _Events:
    stamp = payload["timestamp"]
    event = SecurityEventReported(payload["type"], payload.get("techInfo"))
    yield Observed(event, reading.parse_time(stamp), f"security:{payload['type']}:{stamp}")


def _transaction(payload: Payload, reading: Reading) -> _Events:
    at = reading.parse_time(payload["timestamp"])
    transaction_id = payload["transactionInfo"]["transactionId"]
    # A sequence number alone is not enough: some count anew after a restart.
    key = f"tx:{transaction_id}:{payload['eventType']}:{payload['seqNo']}:{payload['timestamp']}"
    readings = [samples(value["sampledValue"]) for value in payload.get("meterValue", ())]
    meter_wh = register_wh([sample for found in readings for sample in found])
    yield Observed(_TRANSACTION[payload["eventType"]](payload, reading, meter_wh), at, key)
    evse_id = _evse(payload) or 0
    for number, (found, value) in enumerate(zip(readings, payload.get("meterValue", ()), strict=True)):
        sampled = MeterValuesSampled(evse_id, transaction_id, found)
        yield Observed(sampled, reading.parse_time(value["timestamp"]), f"{key}:{number}")


def _started(payload: Payload, reading: Reading, meter_wh: float | None) -> Event:
    token = payload.get("idToken", {}).get("idToken")
    return TransactionStarted(
        payload["transactionInfo"]["transactionId"],
        _evse(payload) or 0,
        int(payload.get("evse", {}).get("connectorId", 0)),
        reading.hash_token(token) if token else None,
        meter_wh,
    )


def _updated(payload: Payload, _: Reading, meter_wh: float | None) -> Event:
    info = payload["transactionInfo"]
    return TransactionUpdated(
        info["transactionId"], _evse(payload), info.get("chargingState"), int(payload["seqNo"]), meter_wh
    )


def _ended(payload: Payload, _: Reading, meter_wh: float | None) -> Event:
    info = payload["transactionInfo"]
    # 2.0.1 ReasonEnumType: a reason that is left out means Local.
    return TransactionEnded(info["transactionId"], info.get("stoppedReason", "Local"), meter_wh)


_TRANSACTION: dict[str, Callable[[Payload, Reading, float | None], Event]] = {
    "Started": _started,
    "Updated": _updated,
    "Ended": _ended,
}


def _evse(payload: Payload) -> int | None:
    return int(payload["evse"]["id"]) if "evse" in payload else None


def _meter_values(payload: Payload, reading: Reading) -> _Events:
    for value in payload["meterValue"]:
        sampled = MeterValuesSampled(int(payload["evseId"]), None, samples(value["sampledValue"]))
        yield Observed(sampled, reading.parse_time(value["timestamp"]))


def _notify_event(payload: Payload, reading: Reading) -> _Events:
    for entry in payload["eventData"]:
        at = reading.parse_time(entry["timestamp"])
        component, variable = _component(entry["component"]), _named(entry["variable"])
        event = MonitoredEventReported(
            component,
            variable,
            entry["actualValue"],
            entry["trigger"],
            entry.get("techCode"),
            bool(entry.get("cleared", False)),
        )
        yield Observed(event, at, f"event:{entry['eventId']}:{entry['timestamp']}:{component}.{variable}")
        yield from _availability(entry, reading)


def _availability(entry: Payload, reading: Reading) -> _Events:
    # 2.0.1 G01.FR.08: a station may report a connector's state this way instead of StatusNotification.
    component, evse = entry["component"], entry["component"].get("evse", {})
    if component["name"] != "Connector" or entry["variable"]["name"] != "AvailabilityState":
        return
    if "connectorId" not in evse or entry["actualValue"] not in set(ConnectorStatus):
        return
    status = ConnectorStatus(entry["actualValue"])
    changed = ConnectorStatusChanged(int(evse["id"]), int(evse["connectorId"]), status)
    yield Observed(changed, reading.parse_time(entry["timestamp"]))


def _notify_report(payload: Payload, reading: Reading) -> _Events:
    values: dict[str, str] = {}
    for entry in payload.get("reportData", ()):
        name = f"{_component(entry['component'])}.{_named(entry['variable'])}"
        for attribute in entry["variableAttribute"]:
            actual = attribute.get("type", "Actual") == "Actual" and "value" in attribute
            if actual and name not in SECRET_VARIABLES:
                values[name] = attribute["value"]
    # ``tbc`` left out means false: this is the last part.
    event = VariablesReported(values, "report", complete=not payload.get("tbc", False))
    yield Observed(event, reading.parse_time(payload["generatedAt"]))


def _reservation(payload: Payload, _: Reading) -> _Events:
    # Both values of ReservationUpdateStatusEnumType (Expired, Removed) mean that it is gone.
    yield Observed(ReservationChanged(int(payload["reservationId"]), active=False))


def _nothing(_payload: Payload, _: Reading) -> _Events:
    """Answered and journaled; no canonical fact yet."""
    return iter(())


_EVENTS: dict[str, Callable[[Payload, Reading], _Events]] = {
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "StatusNotification": _status,
    "FirmwareStatusNotification": _firmware_status,
    "SecurityEventNotification": _security_event,
    "TransactionEvent": _transaction,
    "MeterValues": _meter_values,
    "NotifyEvent": _notify_event,
    "NotifyReport": _notify_report,
    "ReservationStatusUpdate": _reservation,
    "Authorize": _nothing,
    "ClearedChargingLimit": _nothing,
    "DataTransfer": _nothing,
    "LogStatusNotification": _nothing,
    "NotifyChargingLimit": _nothing,
    "NotifyCustomerInformation": _nothing,
    "NotifyDisplayMessages": _nothing,
    "NotifyMonitoringReport": _nothing,
    "PublishFirmwareStatusNotification": _nothing,
    "ReportChargingProfiles": _nothing,
}

# Messages of type SEND: kept in the journal, answered by nothing.
_SENDS_21 = frozenset({"NotifyPeriodicEventStream"})

# Who may charge is not ours to decide: id tokens are accepted, an authorisation service stays in front.
_TOKEN_INFO = {"idTokenInfo": {"status": "Accepted"}}


def _answers(action: str, payload: Payload, answering: Answering) -> Payload:
    match action:
        case "BootNotification":
            now, interval = format_instant(answering.now), answering.heartbeat_interval_s
            return {"status": "Accepted", "currentTime": now, "interval": interval}
        case "Heartbeat":
            return {"currentTime": format_instant(answering.now)}
        case "Authorize":
            return dict(_TOKEN_INFO)
        case "TransactionEvent":
            # E05.FR.08: an id token in the request wants its status in the answer.
            return dict(_TOKEN_INFO) if "idToken" in payload else {}
        case "DataTransfer":
            return {"status": "UnknownVendorId"}
    return {}


def _component(component: Mapping[str, Any]) -> str:
    """``Name``, ``Name[instance]``, ``Name(evse)`` or ``Name(evse,connector)``."""
    name = _named(component)
    evse = component.get("evse")
    if not evse:
        return name
    place = [evse["id"]] if evse.get("connectorId") is None else [evse["id"], evse["connectorId"]]
    return f"{name}({','.join(str(int(number)) for number in place)})"


def _named(named: Mapping[str, Any]) -> str:
    instance = named.get("instance")
    return f"{named['name']}[{instance}]" if instance else str(named["name"])


_NAME = re.compile(
    r"(?P<component>[^.\[\]()]+)(?:\[(?P<instance>[^\]]+)\])?(?:\((?P<evse>\d+)(?:,(?P<connector>\d+))?\))?"
    r"\.(?P<variable>[^\[\]]+)(?:\[(?P<variable_instance>[^\]]+)\])?"
)


def _variable(name: str) -> Payload:
    """The inverse of ``_component`` and ``_named`` together."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise Unsupported("OCPP 2.x", f"a variable named {name!r}; write Component.Variable")
    component: Payload = {"name": found["component"]}
    if found["instance"]:
        component["instance"] = found["instance"]
    if found["evse"]:
        component["evse"] = {"id": int(found["evse"])}
        if found["connector"]:
            component["evse"]["connectorId"] = int(found["connector"])
    variable: Payload = {"name": found["variable"]}
    if found["variable_instance"]:
        variable["instance"] = found["variable_instance"]
    return {"component": component, "variable": variable}


def _update_firmware(command: UpdateFirmware) -> Payload:
    firmware: Payload = {
        "location": command.location,
        "retrieveDateTime": format_instant(command.retrieve_at),
    }
    if command.install_at is not None:
        firmware["installDateTime"] = format_instant(command.install_at)
    if command.signature is not None and command.signing_certificate is not None:
        firmware |= {"signingCertificate": command.signing_certificate, "signature": command.signature}
    return {
        "requestId": command.request_id,
        "retries": command.retries,
        "retryInterval": command.retry_interval_s,
        "firmware": firmware,
    }


def _place(command: TriggerMessage | ChangeAvailability) -> Payload:
    if command.evse_id is None:
        return {}
    evse: Payload = {"id": command.evse_id}
    if command.connector_id is not None:
        evse["connectorId"] = command.connector_id
    return {"evse": evse}


def _variables(payload: Payload) -> CommandAnswer:
    values, refused = [], []
    for entry in payload["getVariableResult"]:
        name = f"{_component(entry['component'])}.{_named(entry['variable'])}"
        if entry["attributeStatus"] != "Accepted":
            refused.append(f"{name} {entry['attributeStatus']}")
        elif name not in SECRET_VARIABLES:
            values.append((name, entry.get("attributeValue", "")))
    return CommandAnswer(AnswerStatus.ACCEPTED, ", ".join(refused), tuple(values))


class Ocpp2x:
    """The dialect, as a value for the session."""

    always_signed = True
    capability_probes: tuple[Command, ...] = ()
    # F06: a status trigger names its connector. Asked in order until the station says no.
    status_probes: tuple[Command, ...] = tuple(
        TriggerMessage(TriggerKind.STATUS, evse, 1) for evse in range(1, 9)
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.handled = frozenset(_EVENTS) | (_SENDS_21 if name == OCPP21 else frozenset())

    def start_key(self, action: str, payload: Payload, reading: Reading) -> str | None:  # noqa: ARG002  # the port's shape
        """Never: stations of 2.x name their transactions themselves."""
        return None

    def to_events(self, action: str, payload: Payload, reading: Reading) -> tuple[Observed, ...]:
        """The canonical events of a valid request."""
        return tuple(_EVENTS.get(action, _nothing)(payload, reading))

    def answer(self, action: str, payload: Payload, answering: Answering) -> Payload:
        """The answer to a valid, handled request."""
        return _answers(action, payload, answering)

    def remembers_security(self, configuration: ConfigurationSection) -> bool | None:  # noqa: ARG002
        """Nothing: 2.x has the messages of the security extension built in."""
        return None

    def shows_security(self, action: str) -> bool:  # noqa: ARG002  # the port's shape
        """Never, for the same reason."""
        return False

    def security_answer(self, command: Command, action: str, answer: CommandAnswer) -> bool | None:  # noqa: ARG002
        """Nothing, for the same reason."""
        return None

    def to_call(self, command: Command, calling: Calling) -> tuple[str, Payload]:
        """The action and payload of a command."""
        match command:
            case UpdateFirmware():
                return "UpdateFirmware", _update_firmware(command)
            case TriggerMessage():
                return "TriggerMessage", {"requestedMessage": command.kind.value, **_place(command)}
            case Reset():
                return "Reset", {"type": command.kind.value}
            case ChangeAvailability():
                status = "Operative" if command.operative else "Inoperative"
                return "ChangeAvailability", {"operationalStatus": status, **_place(command)}
            case GetVariables(names=()):
                # All of them come as NotifyReport messages (B07).
                return "GetBaseReport", {"requestId": calling.new_request_id(), "reportBase": "FullInventory"}
            case GetVariables():
                return "GetVariables", {"getVariableData": [_variable(name) for name in command.names]}
        raise Unsupported(self.name, type(command).__name__)

    def from_answer(self, command: Command, action: str, payload: Payload) -> CommandAnswer:  # noqa: ARG002  # the port's shape
        """What the answer to that call means."""
        return _variables(payload) if action == "GetVariables" else answer_status(payload)


def ocpp201() -> Ocpp2x:
    """OCPP 2.0.1."""
    return Ocpp2x(OCPP201)


def ocpp21() -> Ocpp2x:
    """OCPP 2.1."""
    return Ocpp2x(OCPP21)
