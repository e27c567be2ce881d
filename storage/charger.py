"""Chargers, sites and what is known of a charger model before any charger spoke."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from storage.canonical import ADDED
from storage.capability import Declared
from storage.credentials import PendingSecret
from storage.ownership import Ownership
from storage.twin import Lifecycle
from storage.upkeep import SiteRules


class SignatureScheme(StrEnum):
    """How a vendor signs the firmware file, all over SHA-256 of the whole file (S33).

    OCPP 2.0.1 L01.FR.04 says RSA-PSS or ECSchnorr; the field also uses PKCS#1 v1.5 and ECDSA, and a
    signature of one scheme never verifies under another, so it is a property of the model, never guessed.
    """

    ECDSA_P256 = "ecdsa-p256-sha256"
    RSA_PSS = "rsa-pss-sha256"
    RSA_PKCS1V15 = "rsa-pkcs1v15-sha256"


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What holds for every charger of one model; settings of the operator, evidence of the vendor."""

    vendor: str
    model: str
    signature_scheme: SignatureScheme = SignatureScheme.ECDSA_P256
    unsafe_unsigned_waiver: str | None = None
    """Who allowed plain UpdateFirmware for this model and why; None: never (S37)."""
    needs_reset_after_install: bool = False
    """The charger installs but only activates after a Reset command."""
    reboot_seconds: int = 600
    """How long a charger of this model may stay away after an install."""
    declared: Declared = field(default=Declared())
    """What its chargers can do, where the operator knows better than they tell."""
    veto_variable: str | None = None
    """A configuration variable by which a charger says that it takes no update now (R21)."""
    veto_value: str | None = None
    """The value that says so."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place with chargers; ``max_down`` bounds how many may be away at once for maintenance (X2)."""

    site_id: str
    name: str
    time_zone: str
    max_down: int = 1
    rules: SiteRules = field(default=SiteRules())


@dataclass(frozen=True, slots=True)
class Charger:
    """A registered charger. ``charger_id`` is its OCPP identity, the last path segment it connects to."""

    charger_id: str
    site_id: str
    vendor: str
    model: str
    lifecycle: Lifecycle = Lifecycle.REGISTERED
    serial_number: str | None = None
    hardware_revision: str | None = None
    registered_at: datetime | None = None
    security_floor: int = 0
    """The lowest OCPP security profile it may connect with; it rises and never goes down (A05.FR.07)."""
    identity_version: int = 1
    """Rises whenever what was registered is changed (F2)."""
    ownership: Ownership = field(default=Ownership())
    ownership_version: int = 1
    """Rises with every move (F3)."""


@dataclass(frozen=True, slots=True)
class ChargerCredential:
    """HMAC-SHA256 of the charger's password under the deployment's pepper; never the password (A01)."""

    charger_id: str
    secret_hmac: bytes
    created_at: datetime
    pending: PendingSecret | None = None


@dataclass(frozen=True, slots=True)
class SelfReport:
    """Who a charger said it is in the BootNotification of the socket that it has now."""

    vendor: str
    model: str
    firmware_version: str | None

    def differs_from(self, vendor: str, model: str) -> bool:
        """Whether it is another vendor or model; blanks around and capitals make no difference."""
        ours, theirs = (vendor, model), (self.vendor, self.model)
        return any(a.strip().casefold() != b.strip().casefold() for a, b in zip(ours, theirs, strict=True))


@dataclass(frozen=True, slots=True)
class Route:
    """Which node holds a charger's socket. ``session_epoch`` rises with every authenticated socket."""

    charger_id: str
    node_id: str
    boot_id: str
    session_epoch: int
    lease_until: datetime
    dialect: str


@dataclass(frozen=True, slots=True)
class SiteLease:
    """A charger is reserved for maintenance and counts as down at its site until released or expired (X2)."""

    charger_id: str
    site_id: str
    workflow_id: str
    kind: str
    """``update``, ``rollback``, ``certificate``, ``decommissioning``, ``configuration``."""
    expires_at: datetime
    request_id: int | None = None
    wake_on: tuple[str, ...] = ("booted", "firmware_failed")
    """Which ``events.wake_token`` values are worth a signal to the workflow."""
    run: str = ""
    """Which run of that workflow: a run that is over, on a node that does not know it, owns nothing."""
    download_bytes: int = 0
    """What is to be fetched over the site's uplink (X16)."""
    campaign_id: str | None = None
    """The campaign that it is for; None: it is for none."""


@dataclass(frozen=True, slots=True)
class OutOfService:
    """We took this charger out of service and have not put it back, so it counts as down (X2, X3)."""

    charger_id: str
    site_id: str
    before: tuple[str, ...]
    """Connectors (``"evse.connector"``) that were out before us and stay so."""
    since: datetime
    cause: str
    """What it was for, in words."""
    steady_seconds: float | None = None
    """So long it has to stay up before it goes back, unless its update proved that; None: at once."""


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """What became of a request for a site lease: granted, or who stands in the way."""

    granted: bool
    down: int
    """Chargers away at the site now: leased or out of service through us; this one too if granted."""
    max_down: int
    holder: str | None = None
    """The workflow that has this very charger already."""
    group: str | None = None
    """The load group that has no room, where it is not the site; the numbers are then the group's (F33)."""

    @property
    def place(self) -> str:
        """Where there is no room, in words."""
        return "at its site" if self.group is None else f"in its load group {self.group}"

    refusal: str = ""
    """What else of the site's budget stands in the way."""

    @property
    def why_not(self) -> str:
        """Why it was not granted, in words."""
        if self.refusal:
            return self.refusal
        held = f"; {self.holder} has it" if self.holder else ""
        return f"{self.down} of {self.max_down} chargers that may be down {self.place} are{held}"


@dataclass(frozen=True, slots=True)
class DownloadTicket:
    """Leave to fetch one object: bound to charger, object and window; only its hash is stored (S43)."""

    ticket_sha256: str
    charger_id: str
    artifact_sha256: str
    not_before: datetime
    expires_at: datetime
    revoked: bool = False
    certificates: tuple[str, ...] = ()
    """The names under which the signing certificate that is sent with it can be withdrawn."""


@dataclass(frozen=True, slots=True)
class ChargerFilter:
    """Which chargers; empty fields do not restrict, those that are given must all hold."""

    vendor: str | None = None
    model: str | None = None
    site_id: str | None = None
    firmware_version: str | None = None
    online: bool | None = None
    charger_ids: tuple[str, ...] = ()
    query: str | None = field(default=None, metadata=ADDED)
    """In the query language (docs/QUERY.md)."""


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """The fleet in numbers, all from one instant of the store."""

    total: int = 0
    online: int = 0
    charging: int = 0
    faulted: int = 0
    in_maintenance: int = 0
    by_version: dict[str, int] = field(default_factory=dict)
    by_model: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """Chargers that have the same values."""

    values: tuple[str | float | bool | None, ...]
    """In the order of what they are grouped by; None: not known."""
    count: int
    online: int
    reporting: int | None = None
    """Of them, those that reported their connectors, so that a fault would show. None: not asked for."""
    faulted: int | None = None
    attempted: int | None = None
    """Updates by campaigns that were sent to them and are over."""
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class FleetGroups:
    """A fleet counted by one or two values: the largest groups, and the rest in one number."""

    by: tuple[str, ...]
    at: datetime
    """The instant of the question."""
    total: int
    groups: tuple[FleetGroup, ...] = ()
    other: FleetGroup | None = None
    """All further groups together; without values."""
    other_groups: int = 0


@dataclass(frozen=True, slots=True)
class GroupQuestion:
    """By what to count: one or two fields of the query language, ``top`` groups shown."""

    by: tuple[str, ...]
    top: int = 20
    rates: bool = False
    """Also faults and failed updates."""


STALE_AFTER = timedelta(minutes=15)
"""A charger that was silent for longer is shown as unknown, never as healthy."""


def stale_after(heartbeat_s: float) -> timedelta:
    """The same in a fleet with such heartbeats: one that is due half an interval ago is missed."""
    return max(STALE_AFTER, timedelta(seconds=1.5 * heartbeat_s))
