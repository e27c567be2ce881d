"""The charger's twin: sections of reported state, and the questions that rules ask of it.

Reported sections are projected from events (``csms.projection``); a section that was never
reported is absent, never empty: no data is never a pass.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage.events import ConnectorStatus, FirmwareStatus


class Lifecycle(StrEnum):
    """Where a charger stands between registration and retirement."""

    REGISTERED = "registered"
    """In service without having been commissioned by us: fleets that were there before."""
    PROVISIONING = "provisioning"
    """Known, and parked until it has proved itself and passed its checklist (F50)."""
    ACTIVE = "active"
    QUARANTINED = "quarantined"
    RETIRING = "retiring"
    """On its way out: served to the end of its sessions, wiped, and given nothing new (F47)."""
    RETIRED = "retired"


IN_SERVICE = frozenset({Lifecycle.REGISTERED, Lifecycle.ACTIVE})
"""Who may be updated; everybody else is on the way in or out, or set aside."""


@dataclass(frozen=True, slots=True)
class IdentitySection:
    """What the charger said of itself at boot, beside what was registered."""

    vendor: str
    model: str
    serial_number: str | None = None


@dataclass(frozen=True, slots=True)
class FirmwareSection:
    """Which version runs, how we know, and what the charger last said about an update."""

    version: str | None = None
    """As reported by the last boot, or read after it where it told none."""
    previous_version: str | None = None
    booted_at: datetime | None = None
    """Server time of the last accepted boot."""
    boots: tuple[datetime, ...] = ()
    """Server times of the latest boots, newest last, at most 10: enough to see a boot loop."""
    status: FirmwareStatus | None = None
    status_request_id: int | None = None
    status_at: datetime | None = None
    before_boot: str | None = None
    """What ran before a boot that told no version, until the version is read."""


@dataclass(frozen=True, slots=True)
class SecuritySection:
    """Profile and the latest security facts."""

    profile: int = 0
    last_auth_ok_at: datetime | None = None
    last_auth_failed_at: datetime | None = None
    auth_failures: int = 0
    last_event: str | None = None
    last_event_at: datetime | None = None
    tampered: bool = False
    floor: int = 0
    """The lowest profile it may connect with; never goes down (A05.FR.07)."""
    certificate_serial: str | None = None
    """Hexadecimal; of the certificate it last connected with."""
    certificate_until: datetime | None = None
    caution: str | None = None
    """What could not be checked at its last connection."""
    roots: tuple[str, ...] = ()
    """Installed root certificates, ``use/issuer key hash/serial``, sorted."""
    roots_at: datetime | None = None
    """When they were last listed."""


@dataclass(frozen=True, slots=True)
class ConnectivitySection:
    """Is it connected, where, and in which dialect. ``last_message_at`` lives in its own column."""

    online: bool = False
    dialect: str | None = None
    since: datetime | None = None
    node_id: str | None = None
    remote_address: str | None = None
    reconnects: int = 0
    clock_skew_s: float | None = None
    """Server time minus device time at the last time-stamped live message, seconds."""
    clock_suspicious: bool = False
    """It is wrong by more than this deployment allows (F102)."""
    tls: str | None = None
    """Version and cipher suite of its socket (F56)."""
    silent: bool = False
    """The socket lives, but no OCPP message comes and a probe was not answered: not simply online."""


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """One connector as last reported."""

    evse_id: int
    connector_id: int
    status: ConnectorStatus
    since: datetime
    """The charger's own time of the latest report; ``csms.projection`` says what may replace it (F19)."""
    error_code: str | None = None
    vendor_status: str | None = None
    reported_at: datetime | None = None
    """Server time at which that report came in."""
    covered: ConnectorStatus | None = None
    """What the charger said last by its own clock, where an older report that came later asks for caution."""
    covered_since: datetime | None = None
    session_epoch: int = 0
    """The connection over which that report came; 0 where it was not noted."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A charging session that has not ended as far as we know."""

    transaction_id: str
    evse_id: int
    connector_id: int
    started_at: datetime
    updated_at: datetime
    charging_state: str | None = None
    suspect: bool = False
    """A boot happened while it was open: to be reconciled, and until then still a session (F85)."""
    heard_at: datetime | None = None
    """Server time of the latest word of it; meter samples move it once a minute."""
    stuck: str | None = None
    """Why nothing settles whether it goes on; a person has been told (F84)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that never came, by their numbers, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class TransactionSequence:
    """Which messages of a 2.x session came, by their ``seqNo``; what lies between and did not is a gap."""

    first: int
    last: int
    missing: tuple[Gap, ...] = ()
    """In order; a message that comes late closes its place."""
    begun: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class OperationSection:
    """Connectors, sessions, reservations and a pending remote start."""

    connectors: dict[str, ConnectorState] = field(default_factory=dict)
    """Keyed ``"{evse_id}.{connector_id}"``."""
    transactions: dict[str, OpenTransaction] = field(default_factory=dict)
    ended: tuple[str, ...] = ()
    """Ids of the latest ended transactions (at most 50), so a late start reopens none (F83)."""
    sequences: dict[str, TransactionSequence] = field(default_factory=dict)
    """Of open sessions, and of ended ones that are incomplete; keyed by transaction id."""
    reservations: tuple[int, ...] = ()
    remote_start_pending_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationSection:
    """Device-model variables or configuration keys as last read."""

    values: dict[str, str] = field(default_factory=dict)
    read_at: datetime | None = None
    local_list_version: int | None = None
    """Of its local list of who may charge; 0: empty, -1: it has none (F64)."""
    local_list_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TwinState:
    """All reported sections of one charger at one revision; None means never reported."""

    charger_id: str
    revision: int = 0
    identity: IdentitySection | None = None
    firmware: FirmwareSection | None = None
    security: SecuritySection | None = None
    connectivity: ConnectivitySection | None = None
    operation: OperationSection | None = None
    configuration: ConfigurationSection | None = None


SECTION_TYPES = {
    "identity": IdentitySection,
    "firmware": FirmwareSection,
    "security": SecuritySection,
    "connectivity": ConnectivitySection,
    "operation": OperationSection,
    "configuration": ConfigurationSection,
}


_BY_CERTIFICATE = 3


def own_profile(profile: int, certificate_serial: str | None) -> int:
    """The security profile that a connection proved of the charger itself.

    A factory's certificate, of which no serial number is kept, opens the way in and proves no profile: taken
    for one, it would pass for a credential of its own, and a password after it for a step down.
    """
    return 0 if profile == _BY_CERTIFICATE and certificate_serial is None else profile


def busy_reason(operation: OperationSection | None, now: datetime) -> str | None:
    """Why this charger must not be touched now, in words, or None if it is idle (X1).

    Looks at every connector's transaction, plug, reservation and a pending remote start. A charger
    that never reported its operation is *unknown*, hence busy.
    """
    if operation is None or not any(state.evse_id > 0 for state in operation.connectors.values()):
        return "it has not reported its connectors yet"
    for transaction in operation.transactions.values():
        open_ = f"session {transaction.transaction_id} is open on EVSE {transaction.evse_id}"
        stuck = transaction.stuck
        return f"{open_} and stuck, a person has to look: {stuck}" if stuck else open_
    for connector in operation.connectors.values():
        if connector.status in (ConnectorStatus.OCCUPIED, ConnectorStatus.RESERVED):
            return f"connector {connector.evse_id}.{connector.connector_id} is {connector.status.value}"
    if operation.reservations:
        return f"reservation {operation.reservations[0]} is active"
    if operation.remote_start_pending_until and operation.remote_start_pending_until > now:
        return "a remote start is pending"
    return None
