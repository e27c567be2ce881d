"""Renewing the certificates of many chargers in waves: the plan, and each charger's place in it (F40)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from storage.certificate_use import CertificateHash
from storage.connection import Connection
from storage.ports import Page


class RenewalPhase(StrEnum):
    """Where a renewal of many chargers stands."""

    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"
    """A gate was not passed; a person has to look."""
    COMPLETED = "completed"
    ABORTED = "aborted"


FINAL = frozenset({RenewalPhase.COMPLETED, RenewalPhase.ABORTED})


class RenewalOutcome(StrEnum):
    """The last word on one charger."""

    RENEWED = "renewed"
    """It came back with the new certificate, and the old one is revoked."""
    TAKEN = "taken"
    """It took the certificate, and has not shown it: it comes with a password (profile 2)."""
    REFUSED = "refused"
    """It, or our own policy, said no; the old certificate counts on."""
    FAILED = "failed"
    """Nothing came, or no proof did; the old certificate counts on."""
    LOST = "lost"
    """It has not come back in time at all."""
    DEFERRED = "deferred"
    """It could not be reached while its wave ran."""
    RESCHEDULED = "rescheduled"
    """The renewal stood still while its certificate came near its end, so the schedule took it."""


GOOD = frozenset({RenewalOutcome.RENEWED, RenewalOutcome.TAKEN})
TRIED_IN_VAIN = frozenset({RenewalOutcome.REFUSED, RenewalOutcome.FAILED, RenewalOutcome.LOST})


class FleetWork(StrEnum):
    """What is done to each charger."""

    RENEW = "renew"
    """It gets a new certificate."""
    INSTALL_ROOT = "install_root"
    """It gets a root that it is to know the server by, and lists it (M05, M03)."""
    DELETE_ROOT = "delete_root"
    """It came under the new chain, so the old root goes (M04)."""
    ROTATE_PASSWORD = "rotate_password"  # noqa: S105 - a kind of work, no secret
    """It gets a new password that nobody sees (A01)."""
    RAISE_PROFILE = "raise_profile"
    """It comes with a higher security profile from now on, and never with a lower one again (A05)."""
    CHANGE_NETWORK = "change_network"
    """It connects another way (B09, B10)."""


@dataclass(frozen=True, slots=True)
class WorkWords:
    """How one kind of work is spoken of: they share waves, gates and acts, not words."""

    title: str
    done: str
    """Of a charger with which it came about."""
    have: str
    """Of chargers with which it did: "3 of 4 ..."."""
    stays: str
    """What an abort leaves."""


WORK_WORDS = {
    FleetWork.RENEW: WorkWords(
        "New certificates", "renewed", "have their new certificate", "the certificates that they have"
    ),
    FleetWork.INSTALL_ROOT: WorkWords(
        "Root change: install the new root", "installed", "list the new root", "the roots that they have"
    ),
    FleetWork.DELETE_ROOT: WorkWords(
        "Root change: delete the old root", "deleted", "are rid of the old root", "the roots that they have"
    ),
    FleetWork.ROTATE_PASSWORD: WorkWords(
        "New passwords", "changed", "came with their new password", "the passwords that they have"
    ),
    FleetWork.RAISE_PROFILE: WorkWords(
        "Security profile upgrade", "upgraded", "came with the higher profile", "the profiles that they have"
    ),
    FleetWork.CHANGE_NETWORK: WorkWords(
        "Another way to connect", "moved", "came by the new way", "the way that they connect now"
    ),
}
_LABELS = {
    RenewalOutcome.TAKEN: "taken, to be shown",
    RenewalOutcome.RESCHEDULED: "gone to the schedule",
}


def outcome_word(work: FleetWork, outcome: RenewalOutcome) -> str:
    """The last word on one charger, in the words of that work."""
    if outcome is RenewalOutcome.RENEWED:
        return WORK_WORDS[work].done
    return _LABELS.get(outcome, outcome.value)


CONNECTION_WORK = frozenset({FleetWork.RAISE_PROFILE, FleetWork.CHANGE_NETWORK})
"""What brings a charger to another connection."""


@dataclass(frozen=True, slots=True)
class RenewalPlan:
    """How to go about it. Seconds."""

    name: str
    canary: int = 1
    """Chargers of the first wave."""
    growth: int = 10
    """Each wave is this many times as large as the one before."""
    parallel: int = 20
    attempts: int = 3
    wave_seconds: float = 86_400.0
    """After this a wave is over, and who was not reached is deferred."""
    request_seconds: float = 120.0
    """How long a charger may take to send its signing request."""
    proof_seconds: float = 900.0
    """How long it may take to come back with its new certificate."""
    pause_seconds: float = 15.0
    """Between two looks for chargers that can be renewed now."""
    backoff_seconds: float = 30.0
    """How long a charger is left alone after its first failure; doubled after each."""
    work: FleetWork = FleetWork.RENEW
    root: str = ""
    """PEM of the root to be installed; of a deletion the new one, under which the server is shown."""
    root_names: tuple[str, ...] = ()
    """How a charger may name the root that is installed or deleted, by ``spelled``."""
    keep_names: tuple[str, ...] = ()
    """Without a root of these names a charger keeps the old one."""
    switched_at: str = ""
    """Since when the server shows the new chain (ISO 8601): who has not come since keeps the old root."""
    connection: Connection | None = None
    """How chargers are to connect."""
    hold_seconds: float = 0.0
    """How long a gate that was not passed waits for a person before it ends the renewal; 0: for ever."""
    max_failed_share: float = 0.1
    """More failures than this in a wave hold the renewal."""
    max_lost: int = 0
    """More chargers that do not come back than this end it."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal of many chargers."""

    renewal_id: str
    plan: RenewalPlan
    phase: RenewalPhase
    reason: str
    created_by: str
    created_at: datetime
    chargers: int
    waves: int
    finished_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Chargers by outcome; ``open`` are those without one."""


@dataclass(frozen=True, slots=True)
class RenewalTarget:
    """One charger in one renewal."""

    renewal_id: str
    wave: int
    ordinal: int
    charger_id: str
    attempts: int = 0
    not_before: datetime | None = None
    """Not to be tried again earlier."""
    outcome: RenewalOutcome | None = None
    reason: str = ""
    serial: str | None = None
    """Of the new certificate."""
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StandingStill:
    """A renewal that is paused or held, and has a charger in it that waits."""

    renewal_id: str
    name: str
    phase: RenewalPhase
    reason: str
    work: FleetWork


@dataclass(frozen=True, slots=True)
class WaveCounts:
    """How a wave stands."""

    open: int
    outcomes: dict[str, int]


def spelled(name: CertificateHash) -> str:
    """A certificate's name in one word, however a charger spells its digits."""
    serial = name.serial_number.lower().lstrip("0")
    hashes = f"{name.issuer_name_hash}:{name.issuer_key_hash}".lower()
    return f"{name.algorithm.value}:{hashes}:{serial}"


def plan_of(value: dict[str, Any]) -> RenewalPlan:
    """A plan as it was stored."""
    work = FleetWork(value.get("work", FleetWork.RENEW))
    names = {name: tuple(value.get(name, ())) for name in ("root_names", "keep_names")}
    given = value.get("connection")
    connection = Connection(**given) if given else None
    return RenewalPlan(**{**value, **names, "work": work, "connection": connection})


def wave_sizes(chargers: int, plan: RenewalPlan) -> tuple[int, ...]:
    """So many chargers in each wave: a canary first, then growing."""
    sizes, left, size = [], chargers, max(1, plan.canary)
    while left > 0:
        sizes.append(min(size, left))
        left -= sizes[-1]
        size *= max(2, plan.growth)
    return tuple(sizes)


def backoff(attempts: int, first_seconds: float) -> timedelta:
    """How long a charger is left alone after so many attempts (A02.FR.18: doubling)."""
    return timedelta(seconds=min(first_seconds * 2.0 ** min(max(0, attempts - 1), 16), 3600.0))


class RenewalStore(Protocol):
    """Renewals and their chargers."""

    async def create(self, renewal: Renewal, charger_ids: Sequence[str]) -> Renewal:
        """In the order given. Raises InvalidInput for a charger that nobody knows, NotFound never."""

    async def get(self, renewal_id: str) -> Renewal:
        """Raises NotFound."""

    async def find(self, *, limit: int = 50, cursor: str | None = None) -> Page[Renewal]:
        """Newest first."""

    async def running(self) -> Sequence[str]:
        """Ids of those that are not over."""

    async def set_phase(self, renewal_id: str, phase: RenewalPhase, reason: str, at: datetime) -> bool:
        """Whether it was changed: what is over stays so."""

    async def targets(self, renewal_id: str, *, limit: int = 100, after: int = -1) -> Sequence[RenewalTarget]:
        """By ordinal."""

    async def due(self, renewal_id: str, wave: int, now: datetime, *, limit: int) -> Sequence[RenewalTarget]:
        """Those of a wave that can be tried now: connected, free, without an outcome."""

    async def note(self, target: RenewalTarget) -> None:
        """Write a charger's place; one with an outcome keeps it."""

    async def counts(self, renewal_id: str, wave: int) -> WaveCounts:
        """How a wave stands."""

    async def defer(self, renewal_id: str, wave: int | None, reason: str, at: datetime) -> int:
        """Give everybody without an outcome the outcome DEFERRED; None: in every wave."""

    async def carry(self, renewal_id: str, wave: int) -> int:
        """Move everybody without an outcome from a wave to the next one; how many."""

    async def in_any(self, charger_ids: Sequence[str]) -> frozenset[str]:
        """Those of them that a renewal has that is not over, and that have no outcome in it."""

    async def standing_still(self, charger_ids: Sequence[str]) -> dict[str, StandingStill]:
        """Those of them that wait in renewals that are paused or held, and in no other, with one of these.

        Nobody is among them whom any work has at this moment.
        """

    async def reschedule(self, charger_ids: Sequence[str], reason: str, at: datetime) -> dict[str, int]:
        """Take them out of what is paused or held and would renew them; how many of each renewal."""

    async def whys(self, charger_ids: Sequence[str]) -> dict[str, str]:
        """What was last written down of those that wait for their certificate, or asked in vain."""

    async def newest_of(self, created_by: str) -> Renewal | None:
        """The newest renewal that somebody began; None: there is none."""

    async def came_to_nothing(self, charger_ids: Sequence[str], since: datetime) -> dict[str, datetime]:
        """Whose last renewal since then ended without a new certificate, and when it did."""
