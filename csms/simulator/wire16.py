"""OCPP 1.6 with the security whitepaper (edition 3), from the charger's side."""

from collections.abc import Callable, Sequence

from csms.simulator import own16
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
    Reading,
    ReadRequest,
    Request,
    ResetRequest,
    Session,
    TriggerRequest,
    UpdateRequest,
    instant,
    wanted,
)
from csms.simulator.words import BootReason, EndReason, FirmwareWord, LogWord, PlugWord, PublishWord

_OFFLINE_ID = -1
"""1.6 leaves open what to send when StartTransaction was never answered; libocpp#495 sends this."""
_CODES = {
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "FormatViolation": "FormationViolation",
}


class Wire16:
    """Messages of a charge point with one connector per outlet; connectorId is our EVSE id."""

    takes_unsigned = False
    own = OwnNames(own16.HEARTBEAT, own16.PASSWORD, own16.PROFILE, own16.ORGANIZATION, own16.CSMS_ROOT)

    def error_code(self, code: str) -> str:
        """OCPP-J 1.6 spells two codes in its own way."""
        return _CODES.get(code, code)

    def variables(self, facts: Facts) -> dict[str, Variable]:
        """Configuration keys."""
        return own16.variables(facts)

    def sign_certificate(self, csr: str, use: str | None) -> Message:
        """SignCertificate; the whitepaper has one kind."""
        del use
        return Message("SignCertificate", {"csr": csr})

    def boot(self, identity: Identity, reason: BootReason) -> Message:
        """BootNotification; 1.6 has no reason."""
        del reason
        return Message(
            "BootNotification",
            {
                "chargePointVendor": identity.vendor,
                "chargePointModel": identity.model,
                "chargePointSerialNumber": identity.serial,
                "firmwareVersion": identity.version,
            },
        )

    def heartbeat(self) -> Message:
        """Heartbeat."""
        return Message("Heartbeat", {})

    def status(self, plug: Plug, at: str) -> Message:
        """StatusNotification."""
        code = (plug.error_code or "OtherError") if plug.word is PlugWord.FAULTED else "NoError"
        return Message(
            "StatusNotification",
            {"connectorId": plug.evse_id, "errorCode": code, "status": plug.word.value, "timestamp": at},
        )

    def station_status(self, word: PlugWord, at: str) -> Message:
        """Connector 0 stands for the charge point as a whole."""
        return self.status(Plug(0, word), at)

    def firmware_status(self, word: FirmwareWord, request_id: int | None) -> Message:
        """SignedFirmwareStatusNotification."""
        payload: Payload = {"status": word.value}
        if request_id is not None and word is not FirmwareWord.IDLE:
            payload["requestId"] = request_id
        return Message("SignedFirmwareStatusNotification", payload)

    def log_status(self, word: LogWord, request_id: int | None) -> Message | None:
        """LogStatusNotification; for GetDiagnostics the older message, with a word of its own."""
        if word is LogWord.CANCELED:
            return None
        if word is LogWord.IDLE:
            return Message("LogStatusNotification", {"status": word.value})
        if request_id is None:
            spelt = "UploadFailed" if word is LogWord.FAILED else word.value
            return Message("DiagnosticsStatusNotification", {"status": spelt})
        return Message("LogStatusNotification", {"status": word.value, "requestId": request_id})

    def publish_status(self, word: PublishWord, request_id: int | None, places: Sequence[str]) -> None:
        """1.6 knows no local controllers."""

    def security_event(self, word: str, at: str, detail: str) -> Message:
        """SecurityEventNotification."""
        return Message("SecurityEventNotification", {"type": word, "timestamp": at, "techInfo": detail[:255]})

    def authorize(self, id_tag: str) -> Message:
        """Authorize."""
        return Message("Authorize", {"idTag": id_tag})

    def authorized(self, answer: Payload) -> bool:
        """The status of idTagInfo."""
        return bool(answer.get("idTagInfo", {}).get("status") == "Accepted")

    def started(self, session: Session, reading: Reading) -> Message:
        """StartTransaction."""
        return Message(
            "StartTransaction",
            {
                "connectorId": session.evse_id,
                "idTag": session.id_tag,
                "meterStart": reading.wh,
                "timestamp": reading.at,
            },
        )

    def metered(self, session: Session, reading: Reading) -> Message:
        """MeterValues of a transaction."""
        message = self.sampled(session.evse_id, reading)
        if session.server_id is not None:
            message.payload["transactionId"] = session.server_id
        return message

    def sampled(self, evse_id: int, reading: Reading) -> Message:
        """MeterValues."""
        sample = {"value": str(reading.wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        values = [{"timestamp": reading.at, "sampledValue": [sample]}]
        return Message("MeterValues", {"connectorId": evse_id, "meterValue": values})

    def ended(self, session: Session, reading: Reading, reason: EndReason) -> Message:
        """StopTransaction, with the id that the server gave at the start."""
        return Message(
            "StopTransaction",
            {
                "transactionId": _OFFLINE_ID if session.server_id is None else session.server_id,
                "idTag": session.id_tag,
                "meterStop": reading.wh,
                "timestamp": reading.at,
                "reason": reason.value,
            },
        )

    def report(self, request_id: int, at: str, entries: Sequence[Entry], first: int) -> list[Message]:
        """1.6 has no report."""
        del request_id, at, entries, first
        return []

    def read(self, action: str, payload: Payload) -> Request:
        """Understand a call of the server."""
        reader = _READERS.get(action)
        if reader is None:
            raise RequestInvalid("NotImplemented", f"{action} is not implemented here.")
        return reader(payload)

    def answer(self, request: Request, answer: Answer) -> Payload:
        """The answer's payload; 1.6 cannot say that a reset is only scheduled."""
        if isinstance(request, ReadRequest):
            writable = frozenset(name for name, written in answer.known.items() if written)
            return own16.configuration(request.names, answer.values, writable)
        if isinstance(request, Ask):
            return own16.answer(request, answer)
        if isinstance(request, LogRequest) and request.request_id is None:
            return {"fileName": answer.file_name} if answer.file_name else {}
        if isinstance(request, LogRequest):
            return {"status": answer.status, "filename": answer.file_name}
        if isinstance(request, ResetRequest) and answer.status == "Scheduled":
            return {"status": "Accepted"}
        return {"status": answer.status}


def _plain_update(payload: Payload) -> UpdateRequest:
    return UpdateRequest(None, wanted(payload, "location"), instant(wanted(payload, "retrieveDate")))


def _signed_update(payload: Payload) -> UpdateRequest:
    firmware = wanted(payload, "firmware")
    return UpdateRequest(
        request_id=wanted(payload, "requestId"),
        location=wanted(firmware, "location"),
        retrieve_at=instant(wanted(firmware, "retrieveDateTime")),
        certificate=wanted(firmware, "signingCertificate"),
        signature=wanted(firmware, "signature"),
        retries=payload.get("retries", 0),
        retry_s=payload.get("retryInterval", 0),
        install_at=instant(firmware["installDateTime"]) if "installDateTime" in firmware else None,
    )


def _reset(payload: Payload) -> ResetRequest:
    return ResetRequest(on_idle=wanted(payload, "type") == "Soft")


def _availability(payload: Payload) -> AvailabilityRequest:
    connector = wanted(payload, "connectorId")
    return AvailabilityRequest(wanted(payload, "type") == "Operative", connector or None)


def _trigger(payload: Payload) -> TriggerRequest:
    return TriggerRequest(wanted(payload, "requestedMessage"), payload.get("connectorId") or None)


def _get_configuration(payload: Payload) -> ReadRequest:
    return ReadRequest(tuple(payload.get("key", ())))


def _get_log(payload: Payload) -> LogRequest:
    return LogRequest(
        request_id=wanted(payload, "requestId"),
        location=wanted(wanted(payload, "log"), "remoteLocation"),
        kind=wanted(payload, "logType"),
        retries=payload.get("retries", 0),
        retry_s=payload.get("retryInterval", 0),
    )


def _get_diagnostics(payload: Payload) -> LogRequest:
    return LogRequest(
        None,
        wanted(payload, "location"),
        "DiagnosticsLog",
        payload.get("retries", 0),
        payload.get("retryInterval", 0),
    )


_READERS: dict[str, Callable[[Payload], Request]] = {
    "SignedUpdateFirmware": _signed_update,
    "UpdateFirmware": _plain_update,
    "Reset": _reset,
    "ChangeAvailability": _availability,
    "TriggerMessage": _trigger,
    "ExtendedTriggerMessage": _trigger,
    "GetConfiguration": _get_configuration,
    "GetLog": _get_log,
    "GetDiagnostics": _get_diagnostics,
    **own16.READERS,
}
