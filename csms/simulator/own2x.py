"""OCPP 2.x: what a charging station can be asked about itself, and its device model."""

import re
from collections.abc import Callable, Mapping, Sequence

from csms.simulator.asks import (
    Ask,
    ClearCacheRequest,
    ClearProfilesRequest,
    DeleteRequest,
    InstallRequest,
    ListRequest,
    ListVersionRequest,
    LocalListRequest,
    NetworkRequest,
    Setting,
    SignedRequest,
    VendorRequest,
    WriteRequest,
)
from csms.simulator.device import Variable
from csms.simulator.own16 import hash_from, hash_to
from csms.simulator.wire import Answer, Entry, Facts, Message, Payload, wanted

HEARTBEAT, PASSWORD, PROFILE, ORGANIZATION = (
    "OCPPCommCtrlr.HeartbeatInterval",
    "SecurityCtrlr.BasicAuthPassword",
    "SecurityCtrlr.SecurityProfile",
    "SecurityCtrlr.OrganizationName",
)
CSMS_ROOT = "CSMSRootCertificate"
PRIORITY, ACTIVE = "OCPPCommCtrlr.NetworkConfigurationPriority", "OCPPCommCtrlr.ActiveNetworkProfile"
ITEMS_PER_MESSAGE = 20
ITEMS_PER_REPORT = 10
_YES_NO = frozenset({"true", "false"})
_LEVELS = frozenset({"error", "warning", "info", "debug"})
"""No version has a variable for it: this component is the vendor's own."""
_NAME = re.compile(r"([^.\[\]]+)(?:\[([^\]]+)\])?\.([^.\[\]]+)(?:\[([^\]]+)\])?")


def variables(facts: Facts) -> dict[str, Variable]:
    """Device model variables as they left the factory, as ``Component.Variable[instance]``."""
    identity, limit = facts.identity, str(ITEMS_PER_MESSAGE)
    return {
        "ChargingStation.VendorName": Variable(identity.vendor),
        "ChargingStation.Model": Variable(identity.model),
        "ChargingStation.SerialNumber": Variable(identity.serial),
        "Controller.FirmwareVersion": Variable(identity.version),
        HEARTBEAT: Variable("60", writable=True, span=(1, 86_400)),
        "OCPPCommCtrlr.FileTransferProtocols": Variable("HTTP,HTTPS"),
        "OCPPCommCtrlr.WebSocketPingInterval": Variable("30", writable=True, reboot=True, span=(0, 3_600)),
        "OCPPCommCtrlr.OfflineThreshold": Variable("60", writable=True, span=(0, 86_400)),
        PROFILE: Variable(str(facts.profiles[0])),
        PRIORITY: Variable("1", writable=True, reboot=True),
        ACTIVE: Variable("1"),
        "ClockCtrlr.NtpServerUri": Variable("pool.ntp.org", writable=True),
        "LoggingCtrlr.Level": Variable("info", writable=True, words=_LEVELS),
        "ClockCtrlr.TimeSource": Variable("Heartbeat,NTP", writable=True),
        PASSWORD: Variable(facts.password, writable=True, hidden=True),
        ORGANIZATION: Variable("", writable=True),
        "SecurityCtrlr.MaxCertificateChainSize": Variable("10000"),
        "DeviceDataCtrlr.ItemsPerMessage[GetVariables]": Variable(limit),
        "DeviceDataCtrlr.ItemsPerMessage[SetVariables]": Variable(limit),
        "DeviceDataCtrlr.BytesPerMessage[GetVariables]": Variable("65536"),
        "DeviceDataCtrlr.BytesPerMessage[SetVariables]": Variable("65536"),
        "SampledDataCtrlr.TxUpdatedInterval": Variable("60", writable=True, span=(0, 3_600)),
        "SampledDataCtrlr.TxUpdatedMeasurands": Variable("Energy.Active.Import.Register", writable=True),
        "LocalAuthListCtrlr.Available": Variable("true"),
        "LocalAuthListCtrlr.Enabled": Variable("true", writable=True, words=_YES_NO),
        "AuthCacheCtrlr.Enabled": Variable("true", writable=True, words=_YES_NO),
        "TxCtrlr.EVConnectionTimeOut": Variable("30", writable=True, span=(1, 3_600)),
        "TxCtrlr.StopTxOnInvalidId": Variable("false", writable=True, words=_YES_NO),
    }


def name_of(item: Payload) -> str:
    """The name of a ``component`` and a ``variable``; the place of a component is not told apart here."""
    return f"{_named(item['component'])}.{_named(item['variable'])}"


def _named(part: Payload) -> str:
    return f"{part['name']}[{part['instance']}]" if part.get("instance") else str(part["name"])


def address(name: str) -> Payload:
    """The inverse of ``name_of``."""
    found = _NAME.fullmatch(name)
    if found is None:
        component, _, variable = name.partition(".")
        return {"component": {"name": component}, "variable": {"name": variable}}
    component_name, component_instance, variable_name, variable_instance = found.groups()
    return {
        "component": _part(component_name, component_instance),
        "variable": _part(variable_name, variable_instance),
    }


def _part(name: str, instance: str | None) -> Payload:
    return {"name": name, "instance": instance} if instance else {"name": name}


def _write(payload: Payload) -> WriteRequest:
    return WriteRequest(
        tuple(
            Setting(name_of(item), item["attributeValue"], item.get("attributeType", "Actual"))
            for item in wanted(payload, "setVariableData")
        )
    )


def _install(payload: Payload) -> InstallRequest:
    return InstallRequest(wanted(payload, "certificateType"), wanted(payload, "certificate"))


def _list(payload: Payload) -> ListRequest:
    return ListRequest(tuple(payload.get("certificateType", ())))


def _delete(payload: Payload) -> DeleteRequest:
    return DeleteRequest(hash_from(wanted(payload, "certificateHashData")))


def _signed(payload: Payload) -> SignedRequest:
    return SignedRequest(wanted(payload, "certificateChain"))


def _local_list(payload: Payload) -> LocalListRequest:
    entries = payload.get("localAuthorizationList", [])
    return LocalListRequest(
        wanted(payload, "versionNumber"),
        wanted(payload, "updateType") == "Full",
        tuple(entry["idToken"]["idToken"] for entry in entries if "idTokenInfo" in entry),
        tuple(entry["idToken"]["idToken"] for entry in entries if "idTokenInfo" not in entry),
    )


def _network(payload: Payload) -> NetworkRequest:
    data = wanted(payload, "connectionData")
    return NetworkRequest(
        wanted(payload, "configurationSlot"), wanted(data, "ocppCsmsUrl"), wanted(data, "securityProfile")
    )


READERS: dict[str, Callable[[Payload], Ask]] = {
    "SetVariables": _write,
    "InstallCertificate": _install,
    "GetInstalledCertificateIds": _list,
    "DeleteCertificate": _delete,
    "CertificateSigned": _signed,
    "ClearCache": lambda _: ClearCacheRequest(),
    "ClearChargingProfile": lambda _: ClearProfilesRequest(),
    "SendLocalList": _local_list,
    "GetLocalListVersion": lambda _: ListVersionRequest(),
    "SetNetworkProfile": _network,
    "DataTransfer": lambda _: VendorRequest(),
}


def answer(request: Ask, answer: Answer) -> Payload:
    """The answer's payload."""
    match request:
        case WriteRequest(settings=settings):
            pairs = zip(settings, answer.results, strict=True)
            return {"setVariableResult": [_result(setting, status) for setting, status in pairs]}
        case ListRequest():
            found = [
                {"certificateType": root.use, "certificateHashData": hash_to(root.hash_data)}
                for root in answer.installed
            ]
            if not found:
                return {"status": "NotFound"}
            return {"status": "Accepted", "certificateHashDataChain": found}
        case ListVersionRequest():
            return {"versionNumber": answer.version}
        case _:
            return {"status": answer.status}


def _result(setting: Setting, status: str) -> Payload:
    kind = {} if setting.attribute == "Actual" else {"attributeType": setting.attribute}
    return {"attributeStatus": status, **kind, **address(setting.name)}


def values(names: Sequence[str], values: Mapping[str, str], known: Mapping[str, bool]) -> Payload:
    """GetVariables' answer; ``known``: every variable there is."""
    return {"getVariableResult": [_value(name, values.get(name), known) for name in names]}


def _value(name: str, value: str | None, known: Mapping[str, bool]) -> Payload:
    if value is not None:
        return {"attributeStatus": "Accepted", "attributeValue": value, **address(name)}
    component = name.partition(".")[0]
    if name in known:
        status = "Rejected"  # B06.FR.09: it is write only.
    elif any(each.partition(".")[0] == component for each in known):
        status = "UnknownVariable"
    else:
        status = "UnknownComponent"
    return {"attributeStatus": status, **address(name)}


def report(request_id: int, at: str, entries: Sequence[Entry], first: int) -> list[Message]:
    """NotifyReport in parts; ``first`` is the number of the first, which should be 0."""
    parts = [
        entries[start : start + ITEMS_PER_REPORT] for start in range(0, len(entries), ITEMS_PER_REPORT)
    ] or [()]
    last = len(parts) - 1
    return [
        Message(
            "NotifyReport",
            {
                "requestId": request_id,
                "generatedAt": at,
                "seqNo": first + place,
                "tbc": place < last,
                **({"reportData": [_reported(entry) for entry in part]} if part else {}),
            },
        )
        for place, part in enumerate(parts)
    ]


def _reported(entry: Entry) -> Payload:
    if entry.value is None:
        attribute: Payload = {"mutability": "WriteOnly"}
    else:
        attribute = {"value": entry.value, "mutability": "ReadWrite" if entry.writable else "ReadOnly"}
    return {**address(entry.name), "variableAttribute": [attribute]}
