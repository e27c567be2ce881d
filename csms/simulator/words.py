"""The words a simulated charger thinks in. Each dialect spells them its own way."""

from enum import StrEnum


class FirmwareWord(StrEnum):
    """What a charger says about an update (OCPP 2.0.1 FirmwareStatusEnumType, also of 1.6 security)."""

    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALL_SCHEDULED = "InstallScheduled"
    INVALID_SIGNATURE = "InvalidSignature"
    SIGNATURE_VERIFIED = "SignatureVerified"


class LogWord(StrEnum):
    """How an upload of a log goes (OCPP 2.0.1 UploadLogStatusEnumType; 1.6 diagnostics spell the failure)."""

    IDLE = "Idle"
    UPLOADING = "Uploading"
    UPLOADED = "Uploaded"
    FAILED = "UploadFailure"
    CANCELED = "AcceptedCanceled"


class PublishWord(StrEnum):
    """How an image comes to be offered at a site (OCPP 2.x PublishFirmwareStatusEnumType)."""

    IDLE = "Idle"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    CHECKSUM_VERIFIED = "ChecksumVerified"
    INVALID_CHECKSUM = "InvalidChecksum"
    PUBLISHED = "Published"
    PUBLISH_FAILED = "PublishFailed"


class PlugWord(StrEnum):
    """What a connector is doing, in 1.6's finer words; 2.x folds the middle three into Occupied."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    FINISHING = "Finishing"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class BootReason(StrEnum):
    """Why the charger starts (2.x BootReasonEnumType); 1.6 has no place for it."""

    POWER_UP = "PowerUp"
    FIRMWARE_UPDATE = "FirmwareUpdate"
    REMOTE_RESET = "RemoteReset"
    WATCHDOG = "Watchdog"
    TRIGGERED = "Triggered"
    UNKNOWN = "Unknown"


class EndReason(StrEnum):
    """Why a session ended; both generations know these words."""

    LOCAL = "Local"
    VEHICLE_LEFT = "EVDisconnected"
    REBOOT = "Reboot"


class SecurityWord(StrEnum):
    """Security events a charger reports about itself and its firmware."""

    STARTUP = "StartupOfTheDevice"
    RESET = "ResetOrReboot"
    FIRMWARE_UPDATED = "FirmwareUpdated"
    BAD_SIGNATURE = "InvalidFirmwareSignature"
    BAD_CERTIFICATE = "InvalidFirmwareSigningCertificate"
