"""Canonical commands: requests in the imperative, in the words of OCPP 2.0.1. Pure values.

A dialect turns a command into one call and the call's answer into a ``CommandAnswer``. The path
(signed or plain update, ExtendedTriggerMessage or TriggerMessage) is chosen from the charger's
capabilities, never from a vendor's name.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AnswerStatus(StrEnum):
    """What a charger said to a command, over all dialects."""

    ACCEPTED = "Accepted"
    ACCEPTED_CANCELED = "AcceptedCanceled"
    """Accepted, and an update that was running is cancelled (L01.FR.24)."""
    SCHEDULED = "Scheduled"
    """Will be done when the running transaction ends."""
    REJECTED = "Rejected"
    INVALID_CERTIFICATE = "InvalidCertificate"
    REVOKED_CERTIFICATE = "RevokedCertificate"
    NOT_IMPLEMENTED = "NotImplemented"
    """The charger cannot do this at all: NotImplemented, NotSupported or UnknownVendor... answers."""
    REBOOT_REQUIRED = "RebootRequired"


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """The answer; ``detail`` is the charger's own explanation, ``values`` what it returned if anything."""

    status: AnswerStatus
    detail: str = ""
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateFirmware:
    """Fetch and install an image. Signed (1.6 security, 2.x) when certificate and signature are given."""

    request_id: int
    location: str
    """<= 512 characters; holds the download ticket, so it never enters a history or a log."""
    retrieve_at: datetime
    signing_certificate: str | None = None
    signature: str | None = None
    install_at: datetime | None = None
    retries: int = 3
    retry_interval_s: int = 10


class TriggerKind(StrEnum):
    """What we may ask a charger to send."""

    BOOT = "BootNotification"
    FIRMWARE_STATUS = "FirmwareStatusNotification"
    HEARTBEAT = "Heartbeat"
    STATUS = "StatusNotification"
    METER_VALUES = "MeterValues"


@dataclass(frozen=True, slots=True)
class TriggerMessage:
    """Ask the charger to send a message now."""

    kind: TriggerKind
    evse_id: int | None = None
    connector_id: int | None = None


class ResetKind(StrEnum):
    """2.x words; 1.6 maps ON_IDLE to Soft and IMMEDIATE to Hard."""

    IMMEDIATE = "Immediate"
    ON_IDLE = "OnIdle"


@dataclass(frozen=True, slots=True)
class Reset:
    """Restart the charger. Never sent while a session is open."""

    kind: ResetKind


@dataclass(frozen=True, slots=True)
class ChangeAvailability:
    """Make the whole charger (``evse_id`` None) or one EVSE operative or inoperative."""

    operative: bool
    evse_id: int | None = None
    connector_id: int | None = None


@dataclass(frozen=True, slots=True)
class GetVariables:
    """Read variables (2.x ``Component.Variable``) or configuration keys (1.6); empty: all of them."""

    names: tuple[str, ...] = ()


Command = UpdateFirmware | TriggerMessage | Reset | ChangeAvailability | GetVariables
