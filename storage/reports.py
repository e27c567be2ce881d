"""Canonical events about maintenance: logs, published firmware, certificates, monitors, vendor messages.

They are events like those of ``storage.events``, which lists them; apart only to stay readable.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from storage.certificate_use import CertificateHash, CertificateUse, InstalledCertificate


class LogStatus(StrEnum):
    """OCPP 2.0.1 UploadLogStatusEnumType; 1.6 diagnostics use four of them, with a spelling of their own."""

    IDLE = "Idle"
    UPLOADING = "Uploading"
    UPLOADED = "Uploaded"
    UPLOAD_FAILURE = "UploadFailure"
    BAD_MESSAGE = "BadMessage"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    """A newer request for a log took its place (2.x N01.FR.12)."""


LOG_FAILURES = frozenset(
    {
        LogStatus.UPLOAD_FAILURE,
        LogStatus.BAD_MESSAGE,
        LogStatus.NOT_SUPPORTED_OPERATION,
        LogStatus.PERMISSION_DENIED,
        LogStatus.ACCEPTED_CANCELED,
    }
)
"""With ``Uploaded``, the ends of an upload."""


class PublishStatus(StrEnum):
    """OCPP 2.0.1 PublishFirmwareStatusEnumType."""

    IDLE = "Idle"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOADED = "Downloaded"
    PUBLISHED = "Published"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOAD_PAUSED = "DownloadPaused"
    INVALID_CHECKSUM = "InvalidChecksum"
    CHECKSUM_VERIFIED = "ChecksumVerified"
    PUBLISH_FAILED = "PublishFailed"


PUBLISH_FAILURES = frozenset(
    {PublishStatus.DOWNLOAD_FAILED, PublishStatus.INVALID_CHECKSUM, PublishStatus.PUBLISH_FAILED}
)


@dataclass(frozen=True, slots=True)
class LogStatusReported:
    """How an upload of a log goes. ``request_id`` is None for 1.6 diagnostics and with Idle; 0 is legal."""

    status: LogStatus
    request_id: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class LogUploaded:
    """A log that somebody asked this charger for arrived and is stored (F77)."""

    request_id: int
    log: str
    """``diagnostics`` or ``security``."""
    filename: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PublishStatusReported:
    """How a local controller gets on with publishing firmware (2.x L03)."""

    status: PublishStatus
    request_id: int | None = None
    locations: tuple[str, ...] = ()
    """With Published: one address per protocol under which chargers behind it fetch the image."""


@dataclass(frozen=True, slots=True)
class CertificateSigningRequested:
    """SignCertificate. ``use`` None: one certificate for every purpose (2.x), to be echoed as such."""

    csr: str
    """PEM."""
    use: CertificateUse | None = None
    request_id: int | None = None
    """2.1; to be echoed (A02.FR.25)."""
    refusal: str | None = None
    """Why it was answered Rejected; None: Accepted."""


@dataclass(frozen=True, slots=True)
class CertificateStatusRequested:
    """The charger asks for the OCSP status of somebody's certificate (2.x M06, ISO 15118)."""

    certificate: CertificateHash
    responder_url: str


@dataclass(frozen=True, slots=True)
class CertificatesListed:
    """What a charger has installed, of the ``uses`` that it was asked for; none: of all."""

    uses: tuple[CertificateUse, ...]
    certificates: tuple[InstalledCertificate, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalListTold:
    """The version of a charger's local list of who may charge; 0: it is empty, -1: it has none (1.6)."""

    version: int


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor that a charger has (2.x)."""

    monitor_id: int
    component: str
    variable: str
    type: str
    value: float
    severity: int


@dataclass(frozen=True, slots=True)
class MonitorsReported:
    """One part of a report of monitors (2.x N02)."""

    request_id: int
    seq_no: int
    monitors: tuple[Monitor, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class CustomerInformationReported:
    """A charger says what it keeps of a customer. That is personal: only its length is kept (F23)."""

    request_id: int
    seq_no: int
    characters: int
    complete: bool = False


@dataclass(frozen=True, slots=True)
class VendorMessageReceived:
    """DataTransfer from a charger. Its data may be anything, so it stays in the journal."""

    vendor_id: str
    message_id: str | None = None


Report = (
    LogStatusReported
    | LogUploaded
    | PublishStatusReported
    | CertificateSigningRequested
    | CertificateStatusRequested
    | CertificatesListed
    | LocalListTold
    | MonitorsReported
    | CustomerInformationReported
    | VendorMessageReceived
)

REPORT_TYPES: dict[str, type[Any]] = {
    "log_status_reported": LogStatusReported,
    "log_uploaded": LogUploaded,
    "publish_status_reported": PublishStatusReported,
    "certificate_signing_requested": CertificateSigningRequested,
    "certificate_status_requested": CertificateStatusRequested,
    "certificates_listed": CertificatesListed,
    "local_list_told": LocalListTold,
    "monitors_reported": MonitorsReported,
    "customer_information_reported": CustomerInformationReported,
    "vendor_message_received": VendorMessageReceived,
}
