"""OCPP 1.6: commands to calls, and what the answers mean."""

from collections.abc import Callable
from typing import Any

from csms.access import (
    ClearCache,
    ClearChargingProfiles,
    GetLocalListVersion,
    ListEntry,
    ProfilePurpose,
    SendLocalList,
)
from csms.answers import (
    brief,
    by_status,
    hash_from_wire,
    hash_to_wire,
    of_items,
    status_of,
    with_data,
    with_file_name,
)
from csms.commands import (
    AnswerStatus,
    CertificateSigned,
    ChangeAvailability,
    Command,
    CommandAnswer,
    DataTransfer,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLog,
    GetVariables,
    InstallCertificate,
    ItemAnswer,
    LogKind,
    Reset,
    ResetKind,
    SetVariables,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
    VariableAttribute,
)
from csms.dialect import Call, Calling
from csms.errors import Unsupported
from csms.frames import OCPP16, Payload
from csms.redaction import is_secret, redact
from csms.timestamps import format_instant
from storage.certificate_use import CertificateUse, InstalledCertificate

ROOTS = {
    CertificateUse.CSMS_ROOT: "CentralSystemRootCertificate",
    CertificateUse.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
}

_RESET = {ResetKind.ON_IDLE: "Soft", ResetKind.IMMEDIATE: "Hard"}

# What TriggerMessage can ask for (1.6 section 7.28), and what ExtendedTriggerMessage can (WP3).
_PLAIN_TRIGGERS = {
    TriggerKind.BOOT: "BootNotification",
    TriggerKind.FIRMWARE_STATUS: "FirmwareStatusNotification",
    TriggerKind.HEARTBEAT: "Heartbeat",
    TriggerKind.STATUS: "StatusNotification",
    TriggerKind.METER_VALUES: "MeterValues",
    TriggerKind.LOG_STATUS: "DiagnosticsStatusNotification",
    TriggerKind.DIAGNOSTICS_STATUS: "DiagnosticsStatusNotification",
}
_EXTENDED_TRIGGERS = {
    TriggerKind.BOOT: "BootNotification",
    TriggerKind.FIRMWARE_STATUS: "FirmwareStatusNotification",
    TriggerKind.HEARTBEAT: "Heartbeat",
    TriggerKind.STATUS: "StatusNotification",
    TriggerKind.METER_VALUES: "MeterValues",
    TriggerKind.LOG_STATUS: "LogStatusNotification",
    TriggerKind.SIGN_CHARGING_STATION: "SignChargePointCertificate",
}


def _retries(command: UpdateFirmware | GetLog) -> Payload:
    return {"retries": command.retries, "retryInterval": command.retry_interval_s}


def _update_firmware(command: UpdateFirmware, _: Calling) -> tuple[str, Payload]:
    retrieve = format_instant(command.retrieve_at)
    if command.signature is None or command.signing_certificate is None:
        plain = {"location": command.location, "retrieveDate": retrieve, **_retries(command)}
        return "UpdateFirmware", plain
    firmware = {
        "location": command.location,
        "retrieveDateTime": retrieve,
        "signingCertificate": command.signing_certificate,
        "signature": command.signature,
    }
    if command.install_at is not None:
        firmware["installDateTime"] = format_instant(command.install_at)
    request = {"requestId": command.request_id, "firmware": firmware, **_retries(command)}
    return "SignedUpdateFirmware", request


def _updated(command: UpdateFirmware, action: str, payload: Payload) -> CommandAnswer:
    if action == "UpdateFirmware":
        # The answer is empty: there is no way to refuse (1.6 section 6.20).
        return CommandAnswer(AnswerStatus.ACCEPTED)
    return by_status(command, action, payload)


def _get_log(command: GetLog, calling: Calling) -> tuple[str, Payload]:
    extended = calling.security_extension
    if command.kind is LogKind.DATA_COLLECTOR or (command.kind is LogKind.SECURITY and extended is False):
        raise Unsupported(OCPP16, f"GetLog of a {command.kind.value}, without the security extension")
    if command.kind is LogKind.DIAGNOSTICS and not extended:
        return "GetDiagnostics", {
            "location": command.location,
            **_span(command, "startTime", "stopTime"),
            **_retries(command),
        }
    place = {"remoteLocation": command.location, **_span(command, "oldestTimestamp", "latestTimestamp")}
    request = {"log": place, "logType": command.kind.value, "requestId": command.request_id}
    return "GetLog", {**request, **_retries(command)}


def _span(command: GetLog, first: str, last: str) -> Payload:
    ends = {first: command.oldest, last: command.latest}
    return {name: format_instant(at) for name, at in ends.items() if at is not None}


def _log_got(command: GetLog, action: str, payload: Payload) -> CommandAnswer:
    if action == "GetLog":
        return with_file_name(command, action, payload)
    # 1.6 section 6.26: without a file name there is nothing to upload.
    name = payload.get("fileName")
    status = AnswerStatus.ACCEPTED if name else AnswerStatus.EMPTY_RESULT_SET
    return CommandAnswer(status, file_name=name or None)


def _certificate_signed(command: CertificateSigned, _: Calling) -> Payload:
    if command.use not in (None, CertificateUse.CHARGING_STATION):
        raise Unsupported(OCPP16, f"a signed {command.use}")
    return {"certificateChain": command.chain}


def _root(use: CertificateUse) -> str:
    if use not in ROOTS:
        raise Unsupported(OCPP16, f"an installed {use.value}")
    return ROOTS[use]


def _install(command: InstallCertificate, _: Calling) -> Payload:
    return {"certificateType": _root(command.use), "certificate": command.certificate}


def _delete(command: DeleteCertificate, _: Calling) -> Payload:
    return {"certificateHashData": hash_to_wire(command.certificate)}


def _list(command: GetInstalledCertificateIds, _: Calling) -> Payload:
    (use,) = command.uses
    return {"certificateType": _root(use)}


def _listed(command: GetInstalledCertificateIds, action: str, payload: Payload) -> CommandAnswer:
    # The answer does not say what for; the question did.
    (use,) = command.uses
    found = [
        InstalledCertificate(use, hash_from_wire(data)) for data in payload.get("certificateHashData", ())
    ]
    return CommandAnswer(by_status(command, action, payload).status, certificates=tuple(found))


def _get_configuration(command: GetVariables, _: Calling) -> Payload:
    if command.attribute is not VariableAttribute.ACTUAL:
        raise Unsupported(OCPP16, f"the attribute {command.attribute.value} of a configuration key")
    return {"key": list(command.names)} if command.names else {}


def _configuration(_command: GetVariables, _action: str, payload: Payload) -> CommandAnswer:
    entries = payload.get("configurationKey") or ()
    told = [entry for entry in entries if not is_secret(entry["key"])]
    values = tuple((entry["key"], redact(entry.get("value", ""))) for entry in told)
    unknown = payload.get("unknownKey") or ()
    detail = brief(f"unknown: {', '.join(unknown)}") if unknown else ""
    return CommandAnswer(AnswerStatus.ACCEPTED, detail, values)


def _change_configuration(command: SetVariables, _: Calling) -> Payload:
    if len(command.values) != 1 or command.values[0].attribute is not VariableAttribute.ACTUAL:
        raise Unsupported(OCPP16, "more or less than the value of one configuration key at a time")
    return {"key": command.values[0].name, "value": command.values[0].value}


def _changed(command: SetVariables, _action: str, payload: Payload) -> CommandAnswer:
    # 1.6 section 7.21: NotSupported means that there is no such key.
    word = payload["status"]
    status = AnswerStatus.UNKNOWN_VARIABLE if word == "NotSupported" else status_of(word)
    return of_items([ItemAnswer(command.values[0].name, status)])


def _trigger(command: TriggerMessage, calling: Calling) -> tuple[str, Payload]:
    """By what the message is, then by what the charger can: SignCertificate has no plain trigger."""
    kind, extended = command.kind, calling.security_extension
    only_extended = kind not in _PLAIN_TRIGGERS and extended is not False
    if kind in _EXTENDED_TRIGGERS and (extended or only_extended):
        action, word = "ExtendedTriggerMessage", _EXTENDED_TRIGGERS[kind]
    elif kind in _PLAIN_TRIGGERS:
        action, word = "TriggerMessage", _PLAIN_TRIGGERS[kind]
    else:
        raise Unsupported(OCPP16, f"a trigger of {kind.value} for this charger")
    place = {} if command.evse_id is None else {"connectorId": command.evse_id}
    return action, {"requestedMessage": word, **place}


def _reset(command: Reset, _: Calling) -> Payload:
    # To restart everything where one EVSE was meant would cut other people's sessions.
    if command.evse_id is not None or command.kind not in _RESET:
        raise Unsupported(OCPP16, f"Reset {command.kind.value} of EVSE {command.evse_id}")
    return {"type": _RESET[command.kind]}


def _availability(command: ChangeAvailability, _: Calling) -> Payload:
    kind = "Operative" if command.operative else "Inoperative"
    return {"connectorId": command.evse_id or 0, "type": kind}


def _local_list(command: SendLocalList, _: Calling) -> Payload:
    return {
        "listVersion": command.version,
        "updateType": "Full" if command.full else "Differential",
        "localAuthorizationList": [_list_entry(entry) for entry in command.entries],
    }


def _list_entry(entry: ListEntry) -> Payload:
    if entry.status is None:
        return {"idTag": entry.token.token}
    expiry = {} if entry.expires_at is None else {"expiryDate": format_instant(entry.expires_at)}
    return {"idTag": entry.token.token, "idTagInfo": {"status": entry.status.value, **expiry}}


def _list_version(_command: GetLocalListVersion, _action: str, payload: Payload) -> CommandAnswer:
    # 1.6 section 5.10: -1 means that there are no local lists.
    version = int(payload["listVersion"])
    status = AnswerStatus.NOT_IMPLEMENTED if version < 0 else AnswerStatus.ACCEPTED
    return CommandAnswer(status, list_version=version)


def _data_transfer(command: DataTransfer, _: Calling) -> Payload:
    said = {"vendorId": command.vendor_id, "messageId": command.message_id, "data": command.data}
    return {name: value for name, value in said.items() if value is not None}


def _clear_profiles(command: ClearChargingProfiles, _: Calling) -> Payload:
    station = command.purpose is ProfilePurpose.STATION_MAXIMUM
    return {"chargingProfilePurpose": "ChargePointMaxProfile" if station else command.purpose.value}


def _call(
    action: str,
    payload: Callable[[Any, Calling], Payload],
    understand: Callable[[Any, str, Payload], CommandAnswer] = by_status,
) -> Call:
    return Call((action,), lambda command, calling: (action, payload(command, calling)), understand)


CALLS: dict[type[Command], Call] = {
    UpdateFirmware: Call(("UpdateFirmware", "SignedUpdateFirmware"), _update_firmware, _updated),
    GetLog: Call(("GetDiagnostics", "GetLog"), _get_log, _log_got),
    CertificateSigned: _call("CertificateSigned", _certificate_signed),
    InstallCertificate: _call("InstallCertificate", _install),
    DeleteCertificate: _call("DeleteCertificate", _delete),
    GetInstalledCertificateIds: _call("GetInstalledCertificateIds", _list, _listed),
    GetVariables: _call("GetConfiguration", _get_configuration, _configuration),
    SetVariables: _call("ChangeConfiguration", _change_configuration, _changed),
    TriggerMessage: Call(("TriggerMessage", "ExtendedTriggerMessage"), _trigger, by_status),
    Reset: _call("Reset", _reset),
    ChangeAvailability: _call("ChangeAvailability", _availability),
    ClearCache: _call("ClearCache", lambda _command, _calling: {}),
    ClearChargingProfiles: _call("ClearChargingProfile", _clear_profiles),
    SendLocalList: _call("SendLocalList", _local_list),
    GetLocalListVersion: _call("GetLocalListVersion", lambda _command, _calling: {}, _list_version),
    DataTransfer: _call("DataTransfer", _data_transfer, with_data),
}
