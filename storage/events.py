# long-file: one vocabulary and its table of kinds; apart, they would drift apart.
"""Canonical events: facts in the past tense, in the words of OCPP 2.0.1, from any dialect.

A dialect turns one message into zero or more of these; raw messages never leak past it (F71).
Every event is flat and JSON-ready (``storage.canonical``); times are aware UTC.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.findings import FINDING_TYPES, Finding, FirmwareVersionRead
from storage.reports import REPORT_TYPES, CertificateSigningRequested, Report


class EventKind(StrEnum):
    """The stored name of each event; ``EVENT_TYPES`` maps it to its class."""

    CONNECTION_OPENED = "connection_opened"
    CONNECTION_CLOSED = "connection_closed"
    CONNECTION_REFUSED = "connection_refused"
    CHARGER_BOOTED = "charger_booted"
    HEARTBEAT_RECEIVED = "heartbeat_received"
    CONNECTOR_STATUS_CHANGED = "connector_status_changed"
    FIRMWARE_STATUS_REPORTED = "firmware_status_reported"
    SECURITY_EVENT_REPORTED = "security_event_reported"
    TRANSACTION_STARTED = "transaction_started"
    TRANSACTION_UPDATED = "transaction_updated"
    TRANSACTION_ENDED = "transaction_ended"
    METER_VALUES_SAMPLED = "meter_values_sampled"
    MONITORED_EVENT_REPORTED = "monitored_event_reported"
    VARIABLES_REPORTED = "variables_reported"
    RESERVATION_CHANGED = "reservation_changed"
    COMMAND_SENT = "command_sent"
    COMMAND_ANSWERED = "command_answered"
    FRAME_REJECTED = "frame_rejected"
    LOG_STATUS_REPORTED = "log_status_reported"
    LOG_UPLOADED = "log_uploaded"
    PUBLISH_STATUS_REPORTED = "publish_status_reported"
    CERTIFICATE_SIGNING_REQUESTED = "certificate_signing_requested"
    CERTIFICATE_STATUS_REQUESTED = "certificate_status_requested"
    CERTIFICATES_LISTED = "certificates_listed"
    LOCAL_LIST_TOLD = "local_list_told"
    MONITORS_REPORTED = "monitors_reported"
    CUSTOMER_INFORMATION_REPORTED = "customer_information_reported"
    VENDOR_MESSAGE_RECEIVED = "vendor_message_received"
    DEVIATION_TOLERATED = "deviation_tolerated"
    CHARGER_THROTTLED = "charger_throttled"
    CLOCK_DRIFT_CHANGED = "clock_drift_changed"
    SESSION_QUESTIONED = "session_questioned"
    SESSION_ABANDONED = "session_abandoned"
    SESSION_STUCK = "session_stuck"
    CHARGER_FELL_SILENT = "charger_fell_silent"
    CHARGER_SPOKE_AGAIN = "charger_spoke_again"
    FIRMWARE_VERSION_READ = "firmware_version_read"
    NOTE_ADDED = "note_added"
    DESIRED_COMPARED = "desired_compared"


class ConnectorStatus(StrEnum):
    """Canonical connector states (F91). Dialects map 1.6's nine and 2.x's five onto these."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class FirmwareStatus(StrEnum):
    """OCPP 2.0.1 FirmwareStatusEnumType (14 values); plain 1.6 uses seven of them."""

    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    DOWNLOAD_PAUSED = "DownloadPaused"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INVALID_SIGNATURE = "InvalidSignature"
    SIGNATURE_VERIFIED = "SignatureVerified"


# OCPP 2.0.1 L01: the four failure ends. All others are intermediate; Idle only answers a trigger.
FIRMWARE_FAILURES = frozenset(
    {
        FirmwareStatus.DOWNLOAD_FAILED,
        FirmwareStatus.INSTALLATION_FAILED,
        FirmwareStatus.INSTALL_VERIFICATION_FAILED,
        FirmwareStatus.INVALID_SIGNATURE,
    }
)

FETCHED_AHEAD = frozenset({FirmwareStatus.SIGNATURE_VERIFIED, FirmwareStatus.INSTALL_SCHEDULED})
"""Said by a charger that has the image, proved it, and waits with its install (L01.FR.04, FR.05, FR.34)."""

FIRMWARE_INSTALLING = frozenset({FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING})

FIRMWARE_DISTRUST = frozenset({"InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate"})
"""Security events that say the same as the status InvalidSignature; some chargers send no other (S38)."""


TRIGGERED = "Triggered"
"""2.x BootReasonEnumType: a BootNotification that we asked for, not a restart."""
RECONNECTED = "Reconnected"
"""Ours: a BootNotification that this charger sends on every socket (``csms.quirks``), not a restart."""
NO_RESTART = frozenset({TRIGGERED, RECONNECTED})
"""Reasons of a boot that prove no restart."""


@dataclass(frozen=True, slots=True)
class ConnectionOpened:
    """An authenticated socket of this charger was accepted."""

    dialect: str
    """``ocpp1.6``, ``ocpp2.0.1`` or ``ocpp2.1``, as negotiated."""
    security_profile: int
    remote_address: str
    node_id: str
    security_floor: int = 0
    """The lowest profile with which it may come from now on."""
    certificate_serial: str | None = None
    """Hexadecimal; of the client certificate it came with (profile 3)."""
    certificate_until: datetime | None = None
    caution: str | None = None
    """Why this was let in although not everything could be checked; an operator's setting allows it."""
    tls: str | None = None
    """Version and cipher suite, as in ``TLSv1.3 TLS_AES_256_GCM_SHA384``; None: there is none."""


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """That socket ended."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """A peer that used this charger's identity was turned away (F39)."""

    reason: str
    remote_address: str
    profile: int | None = None
    """It proved to be this charger, over this profile, which is below the charger's floor."""


@dataclass(frozen=True, slots=True)
class ChargerBooted:
    """BootNotification. ``firmware_version`` is a claim; from a boot after the command it is proof (R28)."""

    vendor: str
    model: str
    firmware_version: str | None
    serial_number: str | None = None
    reason: str | None = None
    """2.x BootReasonEnumType, or ``RECONNECTED``; None in 1.6."""


@dataclass(frozen=True, slots=True)
class HeartbeatReceived:
    """The charger is there; carries nothing else."""


@dataclass(frozen=True, slots=True)
class ConnectorStatusChanged:
    """One connector. ``evse_id`` 0 means the whole charger (1.6 connectorId 0)."""

    evse_id: int
    connector_id: int
    status: ConnectorStatus
    error_code: str | None = None
    vendor_status: str | None = None
    """The dialect's own word, for example 1.6 ``SuspendedEV``."""
    vendor_error_code: str | None = None


@dataclass(frozen=True, slots=True)
class FirmwareStatusReported:
    """``request_id`` is None in plain 1.6, and in 2.x exactly with Idle (L01.FR.20); 0 is legal."""

    status: FirmwareStatus
    request_id: int | None = None
    detail: str | None = None
    """2.1: the charger's own explanation."""


@dataclass(frozen=True, slots=True)
class SecurityEventReported:
    """A security event by its OCPP name."""

    type: str
    tech_info: str | None = None


@dataclass(frozen=True, slots=True)
class TransactionStarted:
    """A charging session began. Idempotent on (charger, transaction id) (F82)."""

    transaction_id: str
    evse_id: int
    connector_id: int
    id_token_hash: str | None = None
    """SHA-256 of the id token with the deployment's pepper; the token itself is never stored (F23)."""
    meter_wh: float | None = None
    seq_no: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionUpdated:
    """A session went on; ``charging_state`` in 2.x words."""

    transaction_id: str
    evse_id: int | None = None
    charging_state: str | None = None
    seq_no: int | None = None
    meter_wh: float | None = None


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """A session ended. ``reason`` in 2.x words (ReasonEnumType)."""

    transaction_id: str
    reason: str | None = None
    meter_wh: float | None = None
    seq_no: int | None = None


@dataclass(frozen=True, slots=True)
class MeterSample:
    """One sampled value, units as reported (default Wh)."""

    measurand: str
    value: float
    unit: str | None = None
    phase: str | None = None


@dataclass(frozen=True, slots=True)
class MeterValuesSampled:
    """Readings of one EVSE at one instant."""

    evse_id: int
    transaction_id: str | None = None
    samples: tuple[MeterSample, ...] = ()


@dataclass(frozen=True, slots=True)
class MonitoredEventReported:
    """One entry of a 2.x NotifyEvent."""

    component: str
    variable: str
    actual_value: str
    trigger: str
    tech_code: str | None = None
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class VariablesReported:
    """Device-model values (2.x) or configuration keys (1.6), as ``Component.Variable`` or key -> value."""

    values: dict[str, str] = field(default_factory=dict)
    source: str = "report"
    """``report`` (NotifyReport), ``answer`` (GetVariables, GetConfiguration)."""
    complete: bool = False
    """The last part of a full report arrived."""
    request_id: int | None = None
    """Of the request that a report answers."""


@dataclass(frozen=True, slots=True)
class ReservationChanged:
    """A reservation on an EVSE appeared (``active``) or went away."""

    reservation_id: int
    active: bool
    evse_id: int | None = None


@dataclass(frozen=True, slots=True)
class CommandSent:
    """We called the charger. Parameters are left out: they may hold secrets."""

    action: str
    message_id: str
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class CommandAnswered:
    """The answer to one of our calls, also when it came after the deadline."""

    action: str
    message_id: str
    status: str
    """The answer's own status, ``Accepted`` when the action has none, or ``CallError:<code>``."""
    request_id: int | None = None
    late: bool = False
    detail: str | None = None
    whole_back: bool | None = None
    """True: the call was to put the charger as a whole back into service (OCPP 1.6 5.2: connector 0)."""


@dataclass(frozen=True, slots=True)
class FrameRejected:
    """A frame that was not a valid message; it was answered, journaled and kept out of the twin."""

    code: str
    """The OCPP-J error code we answered with, for example ``FormationViolation``."""
    detail: str
    action: str | None = None


@dataclass(frozen=True, slots=True)
class DeviationTolerated:
    """A message broke a rule of its schema and was read all the same. Once in a session for each rule."""

    action: str
    detail: str
    """The rule and its place, never a value."""


@dataclass(frozen=True, slots=True)
class ChargerThrottled:
    """It did more than it may and has to wait for it; nothing is lost. Once for each episode."""

    what: str
    """``messages``: its socket is read more slowly; ``connections``: it is let in less often."""
    allowed_per_s: float


@dataclass(frozen=True, slots=True)
class ClockDriftChanged:
    """Its clock began to look wrong, or is right again (F102). Once for each episode."""

    skew_s: float
    """Server time minus device time, seconds."""
    suspicious: bool


Event = (
    ConnectionOpened
    | ConnectionClosed
    | ConnectionRefused
    | ChargerBooted
    | HeartbeatReceived
    | ConnectorStatusChanged
    | FirmwareStatusReported
    | SecurityEventReported
    | TransactionStarted
    | TransactionUpdated
    | TransactionEnded
    | MeterValuesSampled
    | MonitoredEventReported
    | VariablesReported
    | ReservationChanged
    | CommandSent
    | CommandAnswered
    | FrameRejected
    | Report
    | DeviationTolerated
    | ChargerThrottled
    | ClockDriftChanged
    | Finding
)

EVENT_TYPES: dict[EventKind, type[Any]] = {
    EventKind.CONNECTION_OPENED: ConnectionOpened,
    EventKind.CONNECTION_CLOSED: ConnectionClosed,
    EventKind.CONNECTION_REFUSED: ConnectionRefused,
    EventKind.CHARGER_BOOTED: ChargerBooted,
    EventKind.HEARTBEAT_RECEIVED: HeartbeatReceived,
    EventKind.CONNECTOR_STATUS_CHANGED: ConnectorStatusChanged,
    EventKind.FIRMWARE_STATUS_REPORTED: FirmwareStatusReported,
    EventKind.SECURITY_EVENT_REPORTED: SecurityEventReported,
    EventKind.TRANSACTION_STARTED: TransactionStarted,
    EventKind.TRANSACTION_UPDATED: TransactionUpdated,
    EventKind.TRANSACTION_ENDED: TransactionEnded,
    EventKind.METER_VALUES_SAMPLED: MeterValuesSampled,
    EventKind.MONITORED_EVENT_REPORTED: MonitoredEventReported,
    EventKind.VARIABLES_REPORTED: VariablesReported,
    EventKind.RESERVATION_CHANGED: ReservationChanged,
    EventKind.COMMAND_SENT: CommandSent,
    EventKind.COMMAND_ANSWERED: CommandAnswered,
    EventKind.FRAME_REJECTED: FrameRejected,
    EventKind.DEVIATION_TOLERATED: DeviationTolerated,
    EventKind.CHARGER_THROTTLED: ChargerThrottled,
    EventKind.CLOCK_DRIFT_CHANGED: ClockDriftChanged,
    **{EventKind(kind): cls for kind, cls in (REPORT_TYPES | FINDING_TYPES).items()},
}
KIND_OF: dict[type[Any], EventKind] = {cls: kind for kind, cls in EVENT_TYPES.items()}

SHEDDABLE = frozenset({EventKind.METER_VALUES_SAMPLED})
"""Only these may be down-sampled under pressure (F101)."""

NOT_SAID = frozenset(
    {
        EventKind.CONNECTION_REFUSED,
        EventKind.CONNECTION_CLOSED,
        EventKind.COMMAND_SENT,
        EventKind.SESSION_QUESTIONED,
        EventKind.SESSION_ABANDONED,
        EventKind.SESSION_STUCK,
        EventKind.CHARGER_FELL_SILENT,
        EventKind.NOTE_ADDED,
        EventKind.DESIRED_COMPARED,
    }
)
"""Facts that the charger did not tell: they are no sign that it lives."""


NO_SESSION_EPOCH = 0
"""The epoch of a fact that belongs to no session (a refused peer); sessions count from 1."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One canonical event with its envelope, before it is stored."""

    charger_id: str
    event: Event
    observed_at: datetime
    """The charger's own time, or ``received_at`` where the message has none."""
    received_at: datetime
    session_epoch: int
    dedupe_key: str | None = None
    """Unique per charger; a second record with the same key is dropped. None: never a duplicate."""

    @property
    def kind(self) -> EventKind:
        """The stored name of this event."""
        return KIND_OF[type(self.event)]


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One OCPP-J frame as it passed the socket, secrets redacted."""

    charger_id: str
    session_epoch: int
    direction: str
    """``in`` from the charger, ``out`` to it."""
    at: datetime
    text: str
    answer: str | None = None
    """What we answered to it, kept beside it; None: nothing, or its answer is a frame of its own."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the store: ``sequence`` rises strictly per store, not gap-free."""

    sequence: int
    charger_id: str
    kind: EventKind
    body: dict[str, Any]
    observed_at: datetime
    received_at: datetime


_FIRMWARE_TOKENS = {
    **dict.fromkeys(FIRMWARE_FAILURES, "firmware_failed"),
    FirmwareStatus.INSTALLED: "installed",
    **dict.fromkeys(FETCHED_AHEAD, "fetched"),
    **dict.fromkeys(FIRMWARE_INSTALLING, "installing"),
}


def wake_token(record: EventRecord) -> str | None:
    """The token under which an event may wake a waiting maintenance workflow (DESIGN section 5), or None.

    A lease names the tokens it waits for, so a signal is sent only where it can move something.
    """
    event = record.event
    if isinstance(event, ChargerBooted | FirmwareVersionRead):
        # A boot without a version moves no update: what is read after it does.
        told = isinstance(event, FirmwareVersionRead) or event.firmware_version
        return "booted" if told else "restarted"
    if isinstance(event, FirmwareStatusReported):
        return _FIRMWARE_TOKENS.get(event.status)
    if isinstance(event, SecurityEventReported) and event.type in FIRMWARE_DISTRUST:
        return "firmware_failed"
    if isinstance(event, ConnectionOpened):
        return "connected"
    if isinstance(event, CertificateSigningRequested) and event.refusal is None:
        return "signing_requested"
    return None
