"""OCPP 2.x: commands to calls, and what the answers mean."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from csms.access import (
    ClearCache,
    ClearChargingProfiles,
    CustomerInformation,
    GetLocalListVersion,
    SendLocalList,
    SetNetworkProfile,
)
from csms.answers import (
    brief,
    by_status,
    detail_of,
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
    GetTransactionStatus,
    GetVariables,
    InstallCertificate,
    ItemAnswer,
    PublishFirmware,
    Reset,
    SetVariables,
    TriggerMessage,
    UnpublishFirmware,
    UpdateFirmware,
    VariableAttribute,
)
from csms.dialect import Call, Calling
from csms.errors import Unsupported
from csms.frames import Payload
from csms.monitoring import (
    ClearVariableMonitoring,
    GetBaseReport,
    GetMonitoringReport,
    GetReport,
    MonitorSetting,
    ReportBase,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetVariableMonitoring,
)
from csms.ocpp2x import access, naming
from csms.ocpp2x.said import said
from csms.redaction import is_secret, redact
from csms.timestamps import format_instant
from storage.certificate_use import CertificateUse, InstalledCertificate

_MD5 = re.compile(r"[0-9a-fA-F]{32}")


def _retries(command: UpdateFirmware | PublishFirmware | GetLog) -> Payload:
    return {"retries": command.retries, "retryInterval": command.retry_interval_s}


def _update_firmware(command: UpdateFirmware, _: Calling) -> Payload:
    firmware: Payload = {
        "location": command.location,
        "retrieveDateTime": format_instant(command.retrieve_at),
    }
    if command.install_at is not None:
        firmware["installDateTime"] = format_instant(command.install_at)
    if command.signature is not None and command.signing_certificate is not None:
        firmware |= {"signingCertificate": command.signing_certificate, "signature": command.signature}
    return {"requestId": command.request_id, **_retries(command), "firmware": firmware}


def _publish(command: PublishFirmware, _: Calling) -> Payload:
    place = {"location": command.location, "checksum": _checksum(command.checksum)}
    return {"requestId": command.request_id, **place, **_retries(command)}


def _unpublish(command: UnpublishFirmware, _: Calling) -> Payload:
    return {"checksum": _checksum(command.checksum)}


def _checksum(checksum: str) -> str:
    # L03.FR.02: MD5 over the whole file, in hexadecimal.
    if not _MD5.fullmatch(checksum):
        raise Unsupported("OCPP 2.x", "a checksum that is not an MD5 in 32 hexadecimal digits")
    return checksum


def _get_log(command: GetLog, _: Calling) -> Payload:
    oldest, latest = (at and format_instant(at) for at in (command.oldest, command.latest))
    place = said(remoteLocation=command.location, oldestTimestamp=oldest, latestTimestamp=latest)
    what = {"logType": command.kind.value, "requestId": command.request_id, "log": place}
    return {**what, **_retries(command)}


def _certificate_signed(command: CertificateSigned, _: Calling) -> Payload:
    # A02: the type is echoed; left out in the request, it is left out here.
    return said(certificateChain=command.chain, certificateType=command.use and command.use.value)


def _certificate_signed_21(command: CertificateSigned, calling: Calling) -> Payload:
    # 2.1 A02.FR.25: and so is the request id.
    echo = said(requestId=command.request_id)
    return {**_certificate_signed(command, calling), **echo}


def _install(command: InstallCertificate, _: Calling) -> Payload:
    return {"certificateType": command.use.value, "certificate": command.certificate}


def _delete(command: DeleteCertificate, _: Calling) -> Payload:
    return {"certificateHashData": hash_to_wire(command.certificate)}


def _list(command: GetInstalledCertificateIds, _: Calling) -> Payload:
    return {"certificateType": [use.value for use in command.uses]} if command.uses else {}


def _listed(command: GetInstalledCertificateIds, action: str, payload: Payload) -> CommandAnswer:
    found = tuple(
        InstalledCertificate(
            CertificateUse(chain["certificateType"]),
            hash_from_wire(chain["certificateHashData"]),
            tuple(map(hash_from_wire, chain.get("childCertificateHashData", ()))),
        )
        for chain in payload.get("certificateHashDataChain", ())
    )
    return replace(by_status(command, action, payload), certificates=found)


def _get_variables(command: GetVariables, calling: Calling) -> tuple[str, Payload]:
    if not command.names:
        # All of them come as NotifyReport messages (B07).
        request = GetBaseReport(calling.new_request_id(), ReportBase.FULL)
        return "GetBaseReport", _base_report(request, calling)
    wanted = [{**naming.to_wire(name), **_attribute(command.attribute)} for name in command.names]
    return "GetVariables", {"getVariableData": wanted}


def _attribute(attribute: VariableAttribute) -> Payload:
    return {} if attribute is VariableAttribute.ACTUAL else {"attributeType": attribute.value}


def _variables(command: GetVariables, action: str, payload: Payload) -> CommandAnswer:
    if action == "GetBaseReport":
        return by_status(command, action, payload)
    values, refused = [], []
    for entry in payload["getVariableResult"]:
        name = naming.variable(entry)
        if entry["attributeStatus"] != "Accepted":
            refused.append(f"{name} {status_of(entry['attributeStatus']).value}")
        elif not is_secret(name):
            values.append((name, redact(entry.get("attributeValue", ""))))
    return CommandAnswer(AnswerStatus.ACCEPTED, brief(", ".join(refused)), tuple(values))


def _set_variables(command: SetVariables, _: Calling) -> Payload:
    data = [
        {**naming.to_wire(each.name), **_attribute(each.attribute), "attributeValue": each.value}
        for each in command.values
    ]
    return {"setVariableData": data}


def _set(_command: SetVariables, _action: str, payload: Payload) -> CommandAnswer:
    return of_items(
        [
            ItemAnswer(
                naming.variable(entry),
                status_of(entry["attributeStatus"]),
                detail_of(entry.get("attributeStatusInfo")),
            )
            for entry in payload["setVariableResult"]
        ]
    )


def _base_report(command: GetBaseReport, _: Calling) -> Payload:
    return {"requestId": command.request_id, "reportBase": command.base.value}


def _report(command: GetReport, _: Calling) -> Payload:
    return _wanted(command, "componentCriteria")


def _monitoring_report(command: GetMonitoringReport, _: Calling) -> Payload:
    return _wanted(command, "monitoringCriteria")


def _wanted(command: GetReport | GetMonitoringReport, criteria: str) -> Payload:
    request: Payload = {"requestId": command.request_id}
    if command.names:
        request["componentVariable"] = [naming.to_wire_of_any(name) for name in command.names]
    if command.criteria:
        request[criteria] = [each.value for each in command.criteria]
    return request


def _set_monitoring(command: SetVariableMonitoring, _: Calling) -> Payload:
    return {"setMonitoringData": [_monitor(setting) for setting in command.settings]}


def _monitor(setting: MonitorSetting) -> Payload:
    monitor = {"type": setting.kind.value, "value": setting.value, "severity": setting.severity}
    options = said(id=setting.monitor_id, transaction=setting.transaction_only or None)
    return {**naming.to_wire(setting.name), **monitor, **options}


def _monitoring_set(_command: SetVariableMonitoring, _action: str, payload: Payload) -> CommandAnswer:
    results = payload["setMonitoringResult"]
    return of_items([_monitored(entry) for entry in results])


def _monitored(entry: Payload) -> ItemAnswer:
    name = naming.variable(entry)
    numbered = name if entry.get("id") is None else f"{name}#{int(entry['id'])}"
    return ItemAnswer(numbered, status_of(entry["status"]), detail_of(entry.get("statusInfo")))


def _clear_monitoring(command: ClearVariableMonitoring, _: Calling) -> Payload:
    return {"id": list(command.monitor_ids)}


def _monitoring_cleared(_command: ClearVariableMonitoring, _action: str, payload: Payload) -> CommandAnswer:
    return of_items(
        [
            ItemAnswer(str(int(entry["id"])), status_of(entry["status"]), detail_of(entry.get("statusInfo")))
            for entry in payload["clearMonitoringResult"]
        ]
    )


def _trigger(command: TriggerMessage, _: Calling) -> Payload:
    custom = said(customTrigger=command.custom)
    return {"requestedMessage": command.kind.value, **_place(command), **custom}


def _place(command: TriggerMessage | ChangeAvailability) -> Payload:
    if command.evse_id is None:
        return {}
    return {"evse": naming.place(command.evse_id, command.connector_id)}


def _availability(command: ChangeAvailability, _: Calling) -> Payload:
    status = "Operative" if command.operative else "Inoperative"
    return {"operationalStatus": status, **_place(command)}


def _data_transfer(command: DataTransfer, _: Calling) -> Payload:
    return said(vendorId=command.vendor_id, messageId=command.message_id, data=command.data)


def _transaction_status(_command: GetTransactionStatus, _action: str, payload: Payload) -> CommandAnswer:
    # 2.0.1 E14: a transaction that the station does not know is not ongoing.
    said_ongoing = payload.get("ongoingIndicator")
    return CommandAnswer(AnswerStatus.ACCEPTED, ongoing=said_ongoing, queued=payload["messagesInQueue"])


def _call(
    action: str,
    payload: Callable[[Any, Calling], Payload],
    understand: Callable[[Any, str, Payload], CommandAnswer] = by_status,
) -> Call:
    return Call((action,), lambda command, calling: (action, payload(command, calling)), understand)


CALLS_201: dict[type[Command], Call] = {
    UpdateFirmware: _call("UpdateFirmware", _update_firmware),
    PublishFirmware: _call("PublishFirmware", _publish),
    UnpublishFirmware: _call("UnpublishFirmware", _unpublish),
    GetLog: _call("GetLog", _get_log, with_file_name),
    CertificateSigned: _call("CertificateSigned", _certificate_signed),
    InstallCertificate: _call("InstallCertificate", _install),
    DeleteCertificate: _call("DeleteCertificate", _delete),
    GetInstalledCertificateIds: _call("GetInstalledCertificateIds", _list, _listed),
    GetVariables: Call(("GetVariables", "GetBaseReport"), _get_variables, _variables),
    SetVariables: _call("SetVariables", _set_variables, _set),
    GetBaseReport: _call("GetBaseReport", _base_report),
    GetReport: _call("GetReport", _report),
    SetVariableMonitoring: _call("SetVariableMonitoring", _set_monitoring, _monitoring_set),
    ClearVariableMonitoring: _call("ClearVariableMonitoring", _clear_monitoring, _monitoring_cleared),
    SetMonitoringBase: _call("SetMonitoringBase", lambda command, _: {"monitoringBase": command.base.value}),
    SetMonitoringLevel: _call("SetMonitoringLevel", lambda command, _: {"severity": command.severity}),
    GetMonitoringReport: _call("GetMonitoringReport", _monitoring_report),
    TriggerMessage: _call("TriggerMessage", _trigger),
    Reset: _call("Reset", lambda command, _: said(type=command.kind.value, evseId=command.evse_id)),
    ChangeAvailability: _call("ChangeAvailability", _availability),
    ClearCache: _call("ClearCache", lambda _command, _calling: {}),
    ClearChargingProfiles: _call(
        "ClearChargingProfile",
        lambda command, _: {"chargingProfileCriteria": {"chargingProfilePurpose": command.purpose.value}},
    ),
    SendLocalList: _call("SendLocalList", access.local_list),
    GetLocalListVersion: _call("GetLocalListVersion", lambda _command, _calling: {}, access.list_version),
    SetNetworkProfile: _call("SetNetworkProfile", access.network_profile),
    CustomerInformation: _call("CustomerInformation", access.customer_information),
    DataTransfer: _call("DataTransfer", _data_transfer, with_data),
    GetTransactionStatus: _call(
        "GetTransactionStatus",
        lambda command, _calling: {"transactionId": command.transaction_id},
        _transaction_status,
    ),
}

CALLS_21: dict[type[Command], Call] = {
    **CALLS_201,
    CertificateSigned: _call("CertificateSigned", _certificate_signed_21),
    SetNetworkProfile: _call("SetNetworkProfile", access.network_profile_21),
}
