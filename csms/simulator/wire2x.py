"""OCPP 2.0.1 and 2.1 from the charger's side; what is used here is spelled alike in both."""

from collections.abc import Callable, Sequence

from csms.simulator import own2x
from csms.simulator.asks import Ask
from csms.simulator.device import Variable
from csms.simulator.errors import RequestInvalid
from csms.simulator.wire import (
    Answer,
    AvailabilityRequest,
    Entry,
    Facts,
    Identity,
    LogRequest,
    Message,
    OwnNames,
    Payload,
    Plug,
    PublishRequest,
    Reading,
    ReadRequest,
    ReportRequest,
    Request,
    ResetRequest,
    Session,
    TriggerRequest,
    UnpublishRequest,
    UpdateRequest,
    instant,
    wanted,
)
from csms.simulator.words import BootReason, EndReason, FirmwareWord, LogWord, PlugWord, PublishWord

_CONNECTOR = 1
"""Each EVSE has one connector."""
_PLUGS = {
    PlugWord.PREPARING: "Occupied",
    PlugWord.CHARGING: "Occupied",
    PlugWord.FINISHING: "Occupied",
}
_END_REASONS = {EndReason.REBOOT: ("Reboot", "AbnormalCondition")}


class Wire2x:
    """Messages of a charging station."""

    takes_unsigned = True
    own = OwnNames(
        own2x.HEARTBEAT,
        own2x.PASSWORD,
        own2x.PROFILE,
        own2x.ORGANIZATION,
        own2x.CSMS_ROOT,
        own2x.PRIORITY,
        own2x.ACTIVE,
    )

    def error_code(self, code: str) -> str:
        """As the specification writes it."""
        return code

    def variables(self, facts: Facts) -> dict[str, Variable]:
        """Device model variables, as ``Component.Variable[instance]``."""
        return own2x.variables(facts)

    def sign_certificate(self, csr: str, use: str | None) -> Message:
        """SignCertificate; a combined certificate is asked for without a type."""
        return Message("SignCertificate", {"csr": csr, **({"certificateType": use} if use else {})})

    def boot(self, identity: Identity, reason: BootReason) -> Message:
        """BootNotification."""
        station = {
            "vendorName": identity.vendor,
            "model": identity.model,
            "serialNumber": identity.serial,
            **({"firmwareVersion": identity.version} if identity.tells_version else {}),
        }
        return Message("BootNotification", {"chargingStation": station, "reason": reason.value})

    def heartbeat(self) -> Message:
        """Heartbeat."""
        return Message("Heartbeat", {})

    def status(self, plug: Plug, at: str) -> Message:
        """StatusNotification; 2.x has no room for an error code in it."""
        return Message(
            "StatusNotification",
            {
                "timestamp": at,
                "connectorStatus": _PLUGS.get(plug.word, plug.word.value),
                "evseId": plug.evse_id,
                "connectorId": _CONNECTOR,
            },
        )

    def station_status(self, word: PlugWord, at: str) -> None:
        """2.x reports connectors only."""

    def firmware_status(self, word: FirmwareWord, request_id: int | None) -> Message:
        """FirmwareStatusNotification."""
        payload: Payload = {"status": word.value}
        if request_id is not None and word is not FirmwareWord.IDLE:
            payload["requestId"] = request_id
        return Message("FirmwareStatusNotification", payload)

    def log_status(self, word: LogWord, request_id: int | None) -> Message:
        """LogStatusNotification; without a request id where nothing was asked for."""
        payload: Payload = {"status": word.value}
        if request_id is not None and word is not LogWord.IDLE:
            payload["requestId"] = request_id
        return Message("LogStatusNotification", payload)

    def publish_status(self, word: PublishWord, request_id: int | None, places: Sequence[str]) -> Message:
        """PublishFirmwareStatusNotification; where it is offered only with Published (L03)."""
        payload: Payload = {"status": word.value}
        if places:
            payload["location"] = list(places)
        if request_id is not None and word is not PublishWord.IDLE:
            payload["requestId"] = request_id
        return Message("PublishFirmwareStatusNotification", payload)

    def security_event(self, word: str, at: str, detail: str) -> Message:
        """SecurityEventNotification."""
        return Message("SecurityEventNotification", {"type": word, "timestamp": at, "techInfo": detail[:255]})

    def authorize(self, id_tag: str) -> Message:
        """Authorize."""
        return Message("Authorize", {"idToken": _token(id_tag)})

    def authorized(self, answer: Payload) -> bool:
        """The status of idTokenInfo."""
        return bool(answer.get("idTokenInfo", {}).get("status") == "Accepted")

    def started(self, session: Session, reading: Reading) -> Message:
        """TransactionEvent Started."""
        event = _event("Started", "Authorized", session, reading)
        event["idToken"] = _token(session.id_tag)
        event["transactionInfo"]["chargingState"] = "Charging"
        return Message("TransactionEvent", event)

    def metered(self, session: Session, reading: Reading) -> Message:
        """TransactionEvent Updated with the meter's value."""
        event = _event("Updated", "MeterValuePeriodic", session, reading)
        event["transactionInfo"]["chargingState"] = "Charging"
        return Message("TransactionEvent", event)

    def ended(self, session: Session, reading: Reading, reason: EndReason) -> Message:
        """TransactionEvent Ended."""
        stopped, trigger = _END_REASONS.get(reason, (reason.value, "EVDeparted"))
        event = _event("Ended", trigger, session, reading)
        event["transactionInfo"]["stoppedReason"] = stopped
        return Message("TransactionEvent", event)

    def sampled(self, evse_id: int, reading: Reading) -> Message:
        """MeterValues, outside of a transaction's events."""
        return Message("MeterValues", {"evseId": evse_id, "meterValue": [_meter_value(reading)]})

    def report(self, request_id: int, at: str, entries: Sequence[Entry], first: int) -> list[Message]:
        """NotifyReport in parts."""
        return own2x.report(request_id, at, entries, first)

    def read(self, action: str, payload: Payload) -> Request:
        """Understand a call of the server."""
        reader = _READERS.get(action)
        if reader is None:
            raise RequestInvalid("NotImplemented", f"{action} is not implemented here.")
        return reader(payload)

    def answer(self, request: Request, answer: Answer) -> Payload:
        """The answer's payload."""
        if isinstance(request, ReadRequest):
            return own2x.values(request.names, answer.values, answer.known)
        if isinstance(request, Ask):
            return own2x.answer(request, answer)
        if isinstance(request, LogRequest):
            return {"status": answer.status, "filename": answer.file_name}
        return {"status": answer.status}


def _token(id_tag: str) -> Payload:
    return {"idToken": id_tag, "type": "ISO14443"}


def _event(kind: str, trigger: str, session: Session, reading: Reading) -> Payload:
    return {
        "eventType": kind,
        "timestamp": reading.at,
        "triggerReason": trigger,
        "seqNo": reading.seq_no,
        "offline": reading.offline,
        "transactionInfo": {"transactionId": session.session_id},
        "evse": {"id": session.evse_id, "connectorId": _CONNECTOR},
        "meterValue": [_meter_value(reading)],
    }


def _meter_value(reading: Reading) -> Payload:
    sample = {
        "value": reading.wh,
        "measurand": "Energy.Active.Import.Register",
        "unitOfMeasure": {"unit": "Wh"},
    }
    return {"timestamp": reading.at, "sampledValue": [sample]}


def _update(payload: Payload) -> UpdateRequest:
    firmware = wanted(payload, "firmware")
    return UpdateRequest(
        request_id=wanted(payload, "requestId"),
        location=wanted(firmware, "location"),
        retrieve_at=instant(wanted(firmware, "retrieveDateTime")),
        certificate=firmware.get("signingCertificate"),
        signature=firmware.get("signature"),
        retries=payload.get("retries", 0),
        retry_s=payload.get("retryInterval", 0),
        install_at=instant(firmware["installDateTime"]) if "installDateTime" in firmware else None,
    )


def _reset(payload: Payload) -> ResetRequest:
    return ResetRequest(on_idle=wanted(payload, "type") != "Immediate")


def _evse(payload: Payload) -> int | None:
    return payload.get("evse", {}).get("id") or None


def _availability(payload: Payload) -> AvailabilityRequest:
    return AvailabilityRequest(wanted(payload, "operationalStatus") == "Operative", _evse(payload))


def _trigger(payload: Payload) -> TriggerRequest:
    return TriggerRequest(wanted(payload, "requestedMessage"), _evse(payload))


def _get_variables(payload: Payload) -> ReadRequest:
    asked = wanted(payload, "getVariableData")
    if len(asked) > own2x.ITEMS_PER_MESSAGE:
        limit = f"{len(asked)} variables in one message; it takes {own2x.ITEMS_PER_MESSAGE}."
        raise RequestInvalid("OccurrenceConstraintViolation", limit)
    return ReadRequest(tuple(own2x.name_of(item) for item in asked))


def _base_report(payload: Payload) -> ReportRequest:
    settings_only = wanted(payload, "reportBase") == "ConfigurationInventory"
    return ReportRequest(wanted(payload, "requestId"), settings_only)


def _get_log(payload: Payload) -> LogRequest:
    return LogRequest(
        request_id=wanted(payload, "requestId"),
        location=wanted(wanted(payload, "log"), "remoteLocation"),
        kind=wanted(payload, "logType"),
        retries=payload.get("retries", 0),
        retry_s=payload.get("retryInterval", 0),
    )


def _publish(payload: Payload) -> PublishRequest:
    return PublishRequest(
        request_id=wanted(payload, "requestId"),
        location=wanted(payload, "location"),
        checksum=wanted(payload, "checksum"),
        retries=payload.get("retries", 0),
        retry_s=payload.get("retryInterval", 0),
    )


def _unpublish(payload: Payload) -> UnpublishRequest:
    return UnpublishRequest(wanted(payload, "checksum"))


_READERS: dict[str, Callable[[Payload], Request]] = {
    "UpdateFirmware": _update,
    "Reset": _reset,
    "ChangeAvailability": _availability,
    "TriggerMessage": _trigger,
    "GetVariables": _get_variables,
    "GetBaseReport": _base_report,
    "GetLog": _get_log,
    "PublishFirmware": _publish,
    "UnpublishFirmware": _unpublish,
    **own2x.READERS,
}
