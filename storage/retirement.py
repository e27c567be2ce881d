"""The end of a charger: what was asked of it before it was let go, and the names that never come back (F47).

A retired charger keeps its row, and leaves a tombstone for each name and secret by which it was ever let in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from storage.audit import AuditRow
from storage.ports import Page


class Step(StrEnum):
    """What is done to retire a charger, in this order."""

    CAMPAIGNS = "campaigns"
    DRAIN = "drain"
    """Out of service for cars, and no session open."""
    SECURITY_LOG = "security_log"
    DIAGNOSTICS = "diagnostics"
    LOCAL_LIST = "local_list"
    CACHE = "cache"
    CUSTOMERS = "customers"
    PROFILES = "charging_profiles"
    MONITORS = "monitors"
    ROOTS = "roots"
    """Those that it needs neither to reach us nor to check firmware."""
    PASSWORD = "password"  # noqa: S105 - the name of a step
    REVOKE = "revoke"
    BURY = "bury"
    """Retired, with its tombstones."""
    SOCKET = "socket"


WIPES = (Step.LOCAL_LIST, Step.CACHE, Step.CUSTOMERS, Step.PROFILES, Step.MONITORS, Step.ROOTS, Step.PASSWORD)
"""What takes something away that the next owner should not find."""


class StepState(StrEnum):
    """How a step ended."""

    DONE = "done"
    REFUSED = "refused"
    """The charger said no."""
    UNSUPPORTED = "unsupported"
    """The charger has no such thing, as far as it says."""
    UNKNOWN = "unknown"
    """It was sent, and no answer came that counts."""
    UNREACHED = "unreached"
    """The charger could not be reached in time; nothing was sent."""
    NOTHING = "nothing"
    """There was nothing to do."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step, with the charger's own answers as they came."""

    step: Step
    state: StepState
    detail: str
    at: datetime
    evidence: dict[str, Any] = field(default_factory=dict)


class Wiped(StrEnum):
    """What may be said of the charger's memory."""

    WIPED = "wiped"
    PARTLY = "partly wiped"
    UNWIPED = "unwiped"


class RetirementState(StrEnum):
    """Where a retirement is."""

    RUNNING = "running"
    RETIRED = "retired"
    """It is out for good; the receipt is being signed."""
    RECEIPTED = "receipted"


@dataclass(frozen=True, slots=True)
class Retirement:
    """A person's wish that a charger ends, and how far that is."""

    charger_id: str
    actor: str
    reason: str
    requested_at: datetime
    deadline_at: datetime
    """A charger that was not reached and free by then is retired all the same, and said to be unwiped."""
    state: RetirementState = RetirementState.RUNNING
    waits_for: str = ""
    steps: tuple[StepRecord, ...] = ()
    finished_at: datetime | None = None
    receipt_sha256: str | None = None

    @property
    def wiped(self) -> Wiped:
        """By the steps that are over."""
        return wiped(self.steps)


def wiped(steps: Sequence[StepRecord]) -> Wiped:
    """What was not answered is not wiped: only a charger's own yes counts, or that there is no such thing."""
    states = {record.step: record.state for record in steps}
    done = [step for step in WIPES if states.get(step) is StepState.DONE]
    clean = (StepState.DONE, StepState.UNSUPPORTED, StepState.NOTHING)
    if done and all(states.get(step) in clean for step in WIPES):
        return Wiped.WIPED
    return Wiped.PARTLY if done else Wiped.UNWIPED


def with_step(retirement: Retirement, record: StepRecord) -> Retirement:
    """With this step's record; a step that is told again is told anew."""
    others = [each for each in retirement.steps if each.step is not record.step]
    order = list(Step)
    steps = sorted([*others, record], key=lambda each: order.index(each.step))
    return replace(retirement, steps=tuple(steps))


class Remains(StrEnum):
    """What a retired charger can never be let in by again."""

    IDENTITY = "identity"
    SERIAL = "serial"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    CLAIM = "claim"
    CERTIFICATE = "certificate"
    """SHA-256 of a manufacturer's certificate, or of its public key."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One name or secret of a retired charger; of secrets only the hash that was compared."""

    kind: Remains
    digest: str
    charger_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Burial:
    """A charger is retired now; what is still in its records goes into the ground with it."""

    charger_id: str
    actor: str
    at: datetime
    certificates: tuple[str, ...] = ()


class RetirementStore(Protocol):
    """Retirements and tombstones."""

    async def open(self, given: Retirement) -> Retirement:
        """Take a charger out of service for good, audited in the same transaction.

        One that is under way stands and is returned. Raises NotFound; Conflict: it is retired already.
        """

    async def get(self, charger_id: str) -> Retirement:
        """Raise NotFound."""

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Retirement]:
        """The latest first."""

    async def page(self, *, limit: int = 100, cursor: str | None = None) -> Page[Retirement]:
        """All of them, the latest first, page by page."""

    async def note(self, charger_id: str, record: StepRecord) -> None:
        """Write down how a step ended; told again it is replaced."""

    async def wait(self, charger_id: str, reason: str) -> None:
        """Say what it waits for."""

    async def bury(self, given: Burial) -> int:
        """Retire it and leave tombstones for all that it ever had, in one transaction; how many there are."""

    async def close(self, charger_id: str, receipt_sha256: str, at: datetime) -> None:
        """Its receipt is signed and stored. The first one stands."""

    async def unwelcome(self, *, limit: int = 200) -> Sequence[str]:
        """Chargers that are set aside or retired and still have a socket."""

    async def open_targets(self, charger_id: str) -> Sequence[tuple[str, int]]:
        """Campaigns and waves that have this charger and are not done with it."""

    async def burial_row(self, charger_id: str) -> AuditRow | None:
        """The row of the audit log that says that it is retired."""

    async def tombstones(self, charger_id: str) -> Sequence[Tombstone]:
        """By kind."""


RECEIPT = "application/vnd.ampwave.retirement-receipt+json"
PASSPORT = "application/vnd.ampwave.firmware-passport+json"
"""What is signed about a charger, by the type of its envelope's payload."""


def receipt_key(sha256: str) -> str:
    """Where a receipt or a passport lies in the object store."""
    return f"evidence/receipts/{sha256}.json"
