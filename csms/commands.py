"""Canonical commands: requests in the imperative, in the words of OCPP 2.0.1. Pure values.

A dialect turns a command into one call and the call's answer into a ``CommandAnswer``. The path
(signed or plain update, ExtendedTriggerMessage or TriggerMessage, GetLog or GetDiagnostics) is chosen
from the charger's capabilities, never from a vendor's name. What a version has no words for is
``Unsupported``, before anything is sent. Addresses and secrets stay out of every ``repr``.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from csms.access import AccessCommand
from csms.monitoring import MonitoringCommand
from storage.certificate_use import CertificateHash, CertificateUse, InstalledCertificate


class AnswerStatus(StrEnum):
    """What a charger said to a command, over all dialects."""

    ACCEPTED = "Accepted"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    """Accepted, and an update or upload that was running is cancelled (L01.FR.24, N01.FR.12)."""
    SCHEDULED = "Scheduled"
    """Will be done when the running transaction ends."""
    REBOOT_REQUIRED = "RebootRequired"
    REJECTED = "Rejected"
    FAILED = "Failed"
    """Accepted, and then it did not work: certificates, local lists, network profiles."""
    INVALID = "Invalid"
    """CustomerInformation: no such customer reference."""
    INVALID_CERTIFICATE = "InvalidCertificate"
    REVOKED_CERTIFICATE = "RevokedCertificate"
    NOT_FOUND = "NotFound"
    """There is no such certificate, monitor or published image: an answer, not a failure."""
    EMPTY_RESULT_SET = "EmptyResultSet"
    """Nothing to report; 1.6: no diagnostics to upload."""
    DOWNLOAD_ONGOING = "DownloadOngoing"
    """UnpublishFirmware: somebody is fetching it just now."""
    VERSION_MISMATCH = "VersionMismatch"
    """SendLocalList: the version does not follow the charger's own."""
    UNKNOWN_COMPONENT = "UnknownComponent"
    UNKNOWN_VARIABLE = "UnknownVariable"
    UNSUPPORTED_ATTRIBUTE = "NotSupportedAttributeType"
    UNSUPPORTED_MONITOR = "UnsupportedMonitorType"
    DUPLICATE = "Duplicate"
    """SetVariableMonitoring: such a monitor is there already."""
    NOT_IMPLEMENTED = "NotImplemented"
    """The charger cannot do this at all: NotImplemented, NotSupported, UnknownVendorId, UnknownMessageId."""


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """The answer to one part of a command: ``name`` is the variable's, or a monitor's id."""

    name: str
    status: AnswerStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """The answer; ``detail`` is the charger's own explanation, ``values`` what it returned if anything."""

    status: AnswerStatus
    """Of a command with parts: Accepted or RebootRequired if all went well, else the first that did not."""
    detail: str = ""
    values: tuple[tuple[str, str], ...] = ()
    items: tuple[ItemAnswer, ...] = ()
    certificates: tuple[InstalledCertificate, ...] = ()
    file_name: str | None = None
    """GetLog: what it will upload, if it told."""
    list_version: int | None = None
    """GetLocalListVersion: -1 in 1.6 where there are no lists, 0 for an empty one."""
    data: str | None = None
    """DataTransfer."""
    ongoing: bool | None = None
    """GetTransactionStatus: whether the session goes on; None: it did not say."""
    queued: bool | None = None
    """GetTransactionStatus: whether messages about it still wait to be sent."""


# Firmware (L01-L04) and logs (N01).


@dataclass(frozen=True, slots=True)
class UpdateFirmware:
    """Fetch and install an image. Signed (1.6 security, 2.x) when certificate and signature are given.

    A charger that is at it cancels the older update first (L01.FR.24): the way to cancel one.
    """

    request_id: int
    location: str = field(repr=False)
    """<= 512 characters; holds the download ticket, so it never enters a history or a log."""
    retrieve_at: datetime
    signing_certificate: str | None = None
    signature: str | None = None
    install_at: datetime | None = None
    retries: int = 3
    retry_interval_s: int = 10


@dataclass(frozen=True, slots=True)
class PublishFirmware:
    """Have a local controller fetch an image and offer it to the chargers behind it (2.x L03)."""

    request_id: int
    location: str = field(repr=False)
    checksum: str
    """MD5 in hexadecimal, 32 characters, as the specification has it: no proof of anything."""
    retries: int = 3
    retry_interval_s: int = 10


@dataclass(frozen=True, slots=True)
class UnpublishFirmware:
    """Have a local controller offer it no more (2.x L04). NOT_FOUND: it does not."""

    checksum: str


class LogKind(StrEnum):
    """OCPP LogEnumType; ``DATA_COLLECTOR`` is 2.1's."""

    DIAGNOSTICS = "DiagnosticsLog"
    SECURITY = "SecurityLog"
    DATA_COLLECTOR = "DataCollectorLog"


@dataclass(frozen=True, slots=True)
class GetLog:
    """Upload a log. In 1.6 without the security extension: GetDiagnostics, which has no request id."""

    request_id: int
    location: str = field(repr=False)
    """Where to put it; holds the upload ticket."""
    kind: LogKind = LogKind.DIAGNOSTICS
    oldest: datetime | None = None
    latest: datetime | None = None
    retries: int = 3
    retry_interval_s: int = 10


# Certificates (A02, M03-M05).


@dataclass(frozen=True, slots=True)
class CertificateSigned:
    """The answer to a signing request, ``use`` and ``request_id`` as they were in it."""

    chain: str
    """PEM, leaf first; <= 10000 characters, and what the charger's own variable says."""
    use: CertificateUse | None = None
    request_id: int | None = None
    """2.1 only (A02.FR.25); other versions leave it out."""


@dataclass(frozen=True, slots=True)
class InstallCertificate:
    """Install a root (M05)."""

    use: CertificateUse
    certificate: str
    """PEM."""


@dataclass(frozen=True, slots=True)
class DeleteCertificate:
    """Delete an installed certificate, named as the charger named it (M04)."""

    certificate: CertificateHash


@dataclass(frozen=True, slots=True)
class GetInstalledCertificateIds:
    """List what is installed (M03); no ``uses``: everything. 1.6 asks once for each use."""

    uses: tuple[CertificateUse, ...] = ()


# Variables (B05, B06); reports and monitors are in ``csms.monitoring``.


class VariableAttribute(StrEnum):
    """OCPP 2.x AttributeEnumType; 1.6 knows only the actual value."""

    ACTUAL = "Actual"
    TARGET = "Target"
    MIN_SET = "MinSet"
    MAX_SET = "MaxSet"


@dataclass(frozen=True, slots=True)
class GetVariables:
    """Read variables (2.x ``Component.Variable``) or configuration keys (1.6); empty: all of them."""

    names: tuple[str, ...] = ()
    attribute: VariableAttribute = VariableAttribute.ACTUAL


@dataclass(frozen=True, slots=True)
class VariableValue:
    """A value to be set; it may be a password."""

    name: str
    value: str = field(repr=False)
    attribute: VariableAttribute = VariableAttribute.ACTUAL


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Write variables or configuration keys; ``items`` of the answer has one for each.

    Not atomic in any version: some may be accepted and others not. 1.6 takes one call per key, in order.
    """

    values: tuple[VariableValue, ...]


# Remote control (B11, F06, G03).


class TriggerKind(StrEnum):
    """What we may ask a charger to send."""

    BOOT = "BootNotification"
    FIRMWARE_STATUS = "FirmwareStatusNotification"
    HEARTBEAT = "Heartbeat"
    STATUS = "StatusNotification"
    METER_VALUES = "MeterValues"
    LOG_STATUS = "LogStatusNotification"
    """1.6 without the security extension: DiagnosticsStatusNotification."""
    DIAGNOSTICS_STATUS = "DiagnosticsStatusNotification"
    """1.6 only."""
    TRANSACTION = "TransactionEvent"
    """2.x only, as are the two below."""
    PUBLISH_STATUS = "PublishFirmwareStatusNotification"
    SIGN_COMBINED = "SignCombinedCertificate"
    SIGN_CHARGING_STATION = "SignChargingStationCertificate"
    """1.6: SignChargePointCertificate, of the security extension only."""
    SIGN_V2G = "SignV2GCertificate"
    SIGN_V2G20 = "SignV2G20Certificate"
    """2.1 only, as is the one below."""
    CUSTOM = "CustomTrigger"


@dataclass(frozen=True, slots=True)
class TriggerMessage:
    """Ask the charger to send a message now."""

    kind: TriggerKind
    evse_id: int | None = None
    connector_id: int | None = None
    custom: str | None = None
    """The name of a CUSTOM trigger."""


class ResetKind(StrEnum):
    """2.x words; 1.6 maps ON_IDLE to Soft and IMMEDIATE to Hard."""

    IMMEDIATE = "Immediate"
    ON_IDLE = "OnIdle"
    IMMEDIATE_AND_RESUME = "ImmediateAndResume"
    """2.1: running transactions go on after the restart."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Restart the charger, or one EVSE of it (2.x). Never sent while a session is open."""

    kind: ResetKind
    evse_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    """Make the whole charger (``evse_id`` None) or one EVSE operative or inoperative."""

    operative: bool
    evse_id: int | None = None
    connector_id: int | None = None

    @property
    def whole_back(self) -> bool:
        """Whether it puts the charger as a whole back into service."""
        return self.operative and not self.evse_id


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """A vendor's own message."""

    vendor_id: str
    message_id: str | None = None
    data: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class GetTransactionStatus:
    """Whether a session goes on, and whether messages about it are still queued (2.x E14)."""

    transaction_id: str


Command = (
    UpdateFirmware
    | PublishFirmware
    | UnpublishFirmware
    | GetLog
    | CertificateSigned
    | InstallCertificate
    | DeleteCertificate
    | GetInstalledCertificateIds
    | GetVariables
    | SetVariables
    | TriggerMessage
    | Reset
    | ChangeAvailability
    | DataTransfer
    | GetTransactionStatus
    | MonitoringCommand
    | AccessCommand
)
