"""How a charger gets into service: where its enrolment is, what it waits for, what is known of the asset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from storage.charger import Charger, ChargerCredential
from storage.ports import Page
from storage.quarantine import QuarantineAct, QuarantineCase
from storage.twin import Lifecycle


class EnrolmentState(StrEnum):
    """From the record to service; ``workflows.provisioning_rules`` has the moves."""

    REGISTERED = "registered"
    CLAIMED = "claimed"
    """An installer stands before it and has its first password."""
    PARKED = "parked"
    """It connected with what it had, and is answered Pending."""
    CREDENTIAL_PENDING = "credential_pending"
    """It was given a credential of its own; whether it uses it is not known yet."""
    PROVED = "proved"
    """It came back with that credential."""
    CONFIGURED = "configured"
    CHECKED = "checks_passed"
    ACTIVE = "active"
    EXPIRED = "expired"
    """It was not done in time. It stays parked until a person starts it anew."""


ENROLMENT_OVER = frozenset({EnrolmentState.ACTIVE, EnrolmentState.EXPIRED})


class Origin(StrEnum):
    """How it came to us."""

    BULK = "bulk"
    CLAIM = "claim"
    ZERO_TOUCH = "zero_touch"
    REPROVISION = "reprovision"
    """It was here before (F46)."""


class LinkClass(StrEnum):
    """How it is connected (F68)."""

    WIRED = "wired"
    WIFI = "wifi"
    CELLULAR = "cellular"


@dataclass(frozen=True, slots=True)
class ConnectorPlan:
    """One connector as it was built (F59)."""

    evse_id: int
    connector_id: int
    kind: str
    """``socket`` or ``cable`` and its type, in words."""
    max_current_a: float
    max_power_kw: float


@dataclass(frozen=True, slots=True)
class Asset:
    """What is known of it beside the network; None: nobody said (F55, F57, F60, F63, F66)."""

    address: str | None = None
    installer: str | None = None
    warranty_from: str | None = None
    """A date, as in 2026-11-25."""
    link_class: LinkClass | None = None
    iccid: str | None = None
    apn: str | None = None
    plan: str | None = None
    meter_serial: str | None = None
    meter_locked: bool = False
    connectors: tuple[ConnectorPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Attestation:
    """A result that a person measured, in their name (F51)."""

    name: str
    passed: bool
    actor: str
    at: datetime
    value: str = ""


HOST = "artifact-host"
"""Attested that it reaches the host of its images: by a person, or by a log of it that came there."""


@dataclass(frozen=True, slots=True)
class LinkTest:
    """What the server sees of a connection beside answers (F56)."""

    tls: str | None
    """Version and cipher suite."""
    log_at: datetime | None
    """When a log of it last came to our host since it was enrolled. Images come from that host, and nothing
    is installed by it."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the checklist."""

    name: str
    passed: bool
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One charger on its way into service."""

    charger_id: str
    origin: Origin
    actor: str
    requested_at: datetime
    deadline_at: datetime
    environment: str
    template: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    profile: int = 1
    """The lowest security profile with which it may become active."""
    state: EnrolmentState = EnrolmentState.REGISTERED
    waits_for: str = ""
    credential_at: datetime | None = None
    """When it was given a credential of its own."""
    asset: Asset = field(default=Asset())
    attestations: tuple[Attestation, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """A move of an enrolment, against the state that it was decided on."""

    charger_id: str
    expected: EnrolmentState
    state: EnrolmentState
    at: datetime
    waits_for: str = ""
    credential_at: datetime | None = None
    checks: tuple[CheckResult, ...] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Leave to bring one charger into service: short-lived, single use; only its hash is stored (F43)."""

    claim_sha256: str
    charger_id: str
    site_id: str
    serial_number: str
    issued_to: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Redemption:
    """An installer's claim, as it was offered."""

    claim_sha256: str
    site_id: str
    serial_number: str
    actor: str
    secret_hmac: bytes = field(repr=False)
    """Of the first password, which the installer alone is told."""
    at: datetime


@dataclass(frozen=True, slots=True)
class FactoryUnit:
    """One charger of a manufacturer's signed list, and where it is to go (F42, F44)."""

    vendor: str
    serial_number: str
    model: str
    site_id: str
    manifest_sha256: str
    hardware_revision: str | None = None
    key_sha256: str | None = None
    """Of the public key (DER) that its factory gave it; without it, it needs an installer."""
    template: str | None = None
    profile: int = 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came with a manufacturer's certificate that holds. ``charger_id`` is only what it calls itself."""

    charger_id: str
    serial_number: str
    key_sha256: str
    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stranger:
    """Who came with a manufacturer's certificate and is on nobody's list. It was turned away."""

    key_sha256: str
    charger_id: str
    serial_number: str
    address: str
    first_seen: datetime
    last_seen: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class SiteConstraints:
    """What a site's supply allows; templates take it as input and refuse without (F67)."""

    site_id: str
    values: Mapping[str, str] = field(default_factory=dict)


class ProvisioningStore(Protocol):
    """Enrolments, claims, allow-lists and templates."""

    async def enrol(
        self,
        charger: Charger,
        credential: ChargerCredential | None,
        given: Enrolment,
        *,
        dry_run: bool = False,
    ) -> bool:
        """Register a charger and its enrolment in one transaction; False: exactly that is there already.

        ``dry_run``: by the same rules, and nothing stays. Raises NotFound (no such site, no such template),
        Conflict.
        """

    async def get(self, charger_id: str) -> Enrolment:
        """Raise NotFound."""

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Enrolment]:
        """Those that wait first, oldest first."""

    async def waiting(self, *, limit: int = 100, cursor: str | None = None) -> Page[Enrolment]:
        """The open ones, oldest first."""

    async def standing(self) -> Mapping[EnrolmentState, int]:
        """How many are in each state."""

    async def due(self, *, limit: int = 200) -> Sequence[str]:
        """Open ones whose charger is connected and was not looked at lately, or whose time is over."""

    async def looked(self, charger_id: str, again_at: datetime, waits_for: str) -> None:
        """Nothing moved; look again then."""

    async def advance(self, given: Advance) -> bool:
        """Move it, audited; activating it is one transaction with its lifecycle. False: it had moved."""

    async def attest(self, charger_id: str, given: Attestation) -> Enrolment:
        """A person's result; told again it replaces the older one. Raises NotFound."""

    async def describe(self, charger_id: str, asset: Asset) -> Enrolment:
        """What is known of the asset. Raises NotFound, Conflict (a SIM is another charger's)."""

    async def issue_claim(self, given: Claim) -> None:
        """Raise NotFound, or Conflict: it is retired, in service, or registered otherwise."""

    async def redeem(self, given: Redemption) -> str:
        """The charger whose first password this is now. Raises Conflict, alike for every wrong claim."""

    async def allow(self, units: Sequence[FactoryUnit], actor: str, at: datetime) -> int:
        """Put units on the allow-list, audited once; how many were new. Raises NotFound, Conflict."""

    async def arrive(self, given: Arrival, environment: str) -> str:
        """Let a listed unit in as a parked charger; empty, or why not. A stranger is remembered."""

    async def strangers(self, *, limit: int = 100) -> Sequence[Stranger]:
        """The latest first."""

    async def set_aside(self, given: QuarantineAct) -> None:
        """Quarantine it, audited; the same again changes nothing. Raises NotFound, Conflict (it ends)."""

    async def take_back(self, given: QuarantineAct) -> Lifecycle:
        """Where it is again: in service, or parked if it never got there. Audited.

        Raises NotFound; Conflict: it is not set aside, or something critical is still open.
        """

    async def cases(self, charger_id: str, *, limit: int = 100) -> Sequence[QuarantineCase]:
        """Every stay of it in quarantine, the latest first; one that has no end goes on."""

    async def put_template(self, name: str, body: Mapping[str, Any], actor: str, at: datetime) -> None:
        """Create or replace one, audited."""

    async def template(self, name: str) -> Mapping[str, Any]:
        """Raise NotFound."""

    async def templates(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """By name."""

    async def put_constraints(self, given: SiteConstraints, actor: str, at: datetime) -> None:
        """Raise NotFound for an unknown site."""

    async def constraints(self, site_id: str) -> SiteConstraints | None:
        """None: nobody said what the site allows."""
