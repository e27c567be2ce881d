"""OCPP 2.x: what a charging station says about itself and its sessions, to canonical events."""

from collections.abc import Callable, Iterator

from csms.answers import detail_of
from csms.dialect import Observed, Reading
from csms.frames import Payload
from csms.meters import register_wh, samples
from csms.ocpp2x import naming
from csms.redaction import HIDDEN, is_secret, redact, redacted
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

_Events = Iterator[Observed]


def boot(payload: Payload, _: Reading) -> _Events:
    """BootNotification (B01)."""
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


def heartbeat(_payload: Payload, _: Reading) -> _Events:
    """Heartbeat (G02)."""
    yield Observed(HeartbeatReceived())


def status(payload: Payload, reading: Reading) -> _Events:
    """StatusNotification (G01)."""
    status = ConnectorStatus(payload["connectorStatus"])
    event = ConnectorStatusChanged(int(payload["evseId"]), int(payload["connectorId"]), status)
    yield Observed(event, reading.parse_time(payload["timestamp"]))


def firmware_status(payload: Payload, _: Reading) -> _Events:
    """FirmwareStatusNotification (L01)."""
    request_id = payload.get("requestId")
    # Request id 0 is legal; absent exactly with Idle (L01.FR.20).
    number = None if request_id is None else int(request_id)
    detail = detail_of(payload.get("statusInfo")) or None
    yield Observed(FirmwareStatusReported(FirmwareStatus(payload["status"]), number, detail))


def security_event(payload: Payload, reading: Reading) -> _Events:
    """SecurityEventNotification (A04)."""
    stamp = payload["timestamp"]
    event = SecurityEventReported(payload["type"], redacted(payload.get("techInfo")))
    yield Observed(event, reading.parse_time(stamp), f"security:{payload['type']}:{stamp}")


def transaction(payload: Payload, reading: Reading) -> _Events:
    """TransactionEvent (E), with the meter values it carries."""
    at = reading.parse_time(payload["timestamp"])
    transaction_id = payload["transactionInfo"]["transactionId"]
    # A sequence number alone is not enough: some count anew after a restart.
    key = f"tx:{transaction_id}:{payload['eventType']}:{payload['seqNo']}:{payload['timestamp']}"
    readings = [samples(value["sampledValue"]) for value in payload.get("meterValue", ())]
    meter_wh = register_wh([sample for found in readings for sample in found])
    yield Observed(_TRANSACTION[payload["eventType"]](payload, reading, meter_wh), at, key)
    evse_id = _evse(payload) or 0
    if "reservationId" in payload:
        # H03: the session uses the reservation up.
        used = ReservationChanged(int(payload["reservationId"]), active=False, evse_id=evse_id)
        yield Observed(used, at, f"{key}:reserved")
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
        int(payload["seqNo"]),
    )


def _updated(payload: Payload, _: Reading, meter_wh: float | None) -> Event:
    info = payload["transactionInfo"]
    return TransactionUpdated(
        info["transactionId"], _evse(payload), info.get("chargingState"), int(payload["seqNo"]), meter_wh
    )


def _ended(payload: Payload, _: Reading, meter_wh: float | None) -> Event:
    info = payload["transactionInfo"]
    # 2.0.1 ReasonEnumType: a reason that is left out means Local.
    reason = info.get("stoppedReason", "Local")
    return TransactionEnded(info["transactionId"], reason, meter_wh, int(payload["seqNo"]))


_TRANSACTION: dict[str, Callable[[Payload, Reading, float | None], Event]] = {
    "Started": _started,
    "Updated": _updated,
    "Ended": _ended,
}


def _evse(payload: Payload) -> int | None:
    return int(payload["evse"]["id"]) if "evse" in payload else None


def meter_values(payload: Payload, reading: Reading) -> _Events:
    """MeterValues (J01)."""
    for value in payload["meterValue"]:
        sampled = MeterValuesSampled(int(payload["evseId"]), None, samples(value["sampledValue"]))
        yield Observed(sampled, reading.parse_time(value["timestamp"]))


def notify_event(payload: Payload, reading: Reading) -> _Events:
    """NotifyEvent (N07)."""
    for entry in payload["eventData"]:
        at = reading.parse_time(entry["timestamp"])
        component, variable = naming.component(entry["component"]), naming.named(entry["variable"])
        secret = is_secret(f"{component}.{variable}")
        event = MonitoredEventReported(
            component,
            variable,
            HIDDEN if secret else redact(entry["actualValue"]),
            entry["trigger"],
            entry.get("techCode"),
            bool(entry.get("cleared", False)),
        )
        yield Observed(event, at, f"event:{entry['eventId']}:{entry['timestamp']}:{component}.{variable}")
        yield from _availability(entry, reading)


def _availability(entry: Payload, reading: Reading) -> _Events:
    # 2.0.1 G01.FR.03-07: a station may report a connector's state this way instead of StatusNotification.
    component, evse = entry["component"], entry["component"].get("evse", {})
    if component["name"] != "Connector" or entry["variable"]["name"] != "AvailabilityState":
        return
    if "connectorId" not in evse or entry["actualValue"] not in set(ConnectorStatus):
        return
    status = ConnectorStatus(entry["actualValue"])
    changed = ConnectorStatusChanged(int(evse["id"]), int(evse["connectorId"]), status)
    yield Observed(changed, reading.parse_time(entry["timestamp"]))


def notify_report(payload: Payload, reading: Reading) -> _Events:
    """NotifyReport (B07, B08): actual values, without those that are secret."""
    values: dict[str, str] = {}
    for entry in payload.get("reportData", ()):
        name = naming.variable(entry)
        for attribute in entry["variableAttribute"]:
            actual = attribute.get("type", "Actual") == "Actual" and "value" in attribute
            if actual and not is_secret(name):
                values[name] = redact(attribute["value"])
    # ``tbc`` left out means false: this is the last part.
    complete = not payload.get("tbc", False)
    event = VariablesReported(values, "report", complete, payload.get("requestId"))
    yield Observed(event, reading.parse_time(payload["generatedAt"]))


def reservation(payload: Payload, _: Reading) -> _Events:
    """ReservationStatusUpdate (H04)."""
    # Every value of ReservationUpdateStatusEnumType (Expired, Removed, 2.1 NoTransaction): it is gone.
    yield Observed(ReservationChanged(int(payload["reservationId"]), active=False))
