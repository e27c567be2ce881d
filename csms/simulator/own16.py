"""OCPP 1.6 with the whitepaper: what a charge point can be asked about itself, and its configuration keys."""

from collections.abc import Callable, Mapping

from csms.simulator.asks import (
    Ask,
    ClearCacheRequest,
    ClearProfilesRequest,
    DeleteRequest,
    InstallRequest,
    ListRequest,
    ListVersionRequest,
    LocalListRequest,
    Setting,
    SignedRequest,
    VendorRequest,
    WriteRequest,
)
from csms.simulator.device import UNKNOWN, Variable
from csms.simulator.keyring import HashData
from csms.simulator.wire import Answer, Facts, Payload, wanted

HEARTBEAT, PASSWORD, PROFILE, ORGANIZATION = (
    "HeartbeatInterval",
    "AuthorizationKey",
    "SecurityProfile",
    "CpoName",
)
CSMS_ROOT = "CentralSystemRootCertificate"
_YES_NO = frozenset({"true", "false"})
_LEVELS = frozenset({"error", "warning", "info", "debug"})
"""1.6 has no key for it, nor for the source of time: these two are vendors' own."""


def variables(facts: Facts) -> dict[str, Variable]:
    """The configuration keys as they left the factory."""
    return {
        HEARTBEAT: Variable("60", writable=True, span=(1, 86_400)),
        "NumberOfConnectors": Variable(str(facts.evses)),
        PROFILE: Variable(str(facts.profiles[0]), writable=True, span=facts.profiles),
        PASSWORD: Variable(facts.password, writable=True, hidden=True),
        ORGANIZATION: Variable("", writable=True),
        "SupportedFeatureProfiles": Variable("Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger"),
        "SupportedFileTransferProtocols": Variable("HTTP,HTTPS"),
        "GetConfigurationMaxKeys": Variable("50"),
        "CertificateSignedMaxChainSize": Variable("10000"),
        "MeterValueSampleInterval": Variable("60", writable=True, span=(0, 3_600)),
        "MeterValuesSampledData": Variable("Energy.Active.Import.Register", writable=True),
        "ConnectionTimeOut": Variable("30", writable=True, span=(1, 3_600)),
        "LocalAuthListEnabled": Variable("true", writable=True, words=_YES_NO),
        "LocalAuthListMaxLength": Variable("1000"),
        "LocalAuthorizeOffline": Variable("true", writable=True, words=_YES_NO),
        "StopTransactionOnInvalidId": Variable("false", writable=True, words=_YES_NO),
        "NtpServer": Variable("pool.ntp.org", writable=True),
        "LogLevel": Variable("info", writable=True, words=_LEVELS),
        "WebSocketPingInterval": Variable("30", writable=True, reboot=True, span=(0, 3_600)),
    }


def _write(payload: Payload) -> WriteRequest:
    return WriteRequest((Setting(wanted(payload, "key"), wanted(payload, "value")),))


def _install(payload: Payload) -> InstallRequest:
    return InstallRequest(wanted(payload, "certificateType"), wanted(payload, "certificate"))


def _list(payload: Payload) -> ListRequest:
    return ListRequest((wanted(payload, "certificateType"),))


def hash_from(payload: Payload) -> HashData:
    """CertificateHashDataType; alike in every dialect."""
    return HashData(
        wanted(payload, "issuerNameHash").lower(),
        wanted(payload, "issuerKeyHash").lower(),
        wanted(payload, "serialNumber").lower().lstrip("0"),
    )


def hash_to(data: HashData) -> Payload:
    """The same, spelled."""
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": data.issuer_name,
        "issuerKeyHash": data.issuer_key,
        "serialNumber": data.serial,
    }


def _delete(payload: Payload) -> DeleteRequest:
    return DeleteRequest(hash_from(wanted(payload, "certificateHashData")))


def _signed(payload: Payload) -> SignedRequest:
    return SignedRequest(wanted(payload, "certificateChain"))


def _local_list(payload: Payload) -> LocalListRequest:
    entries = payload.get("localAuthorizationList", [])
    return LocalListRequest(
        wanted(payload, "listVersion"),
        wanted(payload, "updateType") == "Full",
        tuple(entry["idTag"] for entry in entries if "idTagInfo" in entry),
        tuple(entry["idTag"] for entry in entries if "idTagInfo" not in entry),
    )


READERS: dict[str, Callable[[Payload], Ask]] = {
    "ChangeConfiguration": _write,
    "InstallCertificate": _install,
    "GetInstalledCertificateIds": _list,
    "DeleteCertificate": _delete,
    "CertificateSigned": _signed,
    "ClearCache": lambda _: ClearCacheRequest(),
    "ClearChargingProfile": lambda _: ClearProfilesRequest(),
    "SendLocalList": _local_list,
    "GetLocalListVersion": lambda _: ListVersionRequest(),
    "DataTransfer": lambda _: VendorRequest(),
}


def answer(request: Ask, answer: Answer) -> Payload:
    """The answer's payload."""
    match request:
        case WriteRequest():
            status = answer.results[0]
            return {"status": "NotSupported" if status == UNKNOWN else status}
        case ListRequest():
            found = [hash_to(root.hash_data) for root in answer.installed]
            return {"status": "Accepted", "certificateHashData": found} if found else {"status": "NotFound"}
        case ListVersionRequest():
            return {"listVersion": answer.version}
        case _:
            return {"status": answer.status}


def configuration(names: tuple[str, ...], values: Mapping[str, str], writable: frozenset[str]) -> Payload:
    """GetConfiguration's answer."""
    keys = [{"key": name, "readonly": name not in writable, "value": value} for name, value in values.items()]
    unknown = [name for name in names if name not in values]
    return {"configurationKey": keys, **({"unknownKey": unknown} if unknown else {})}
