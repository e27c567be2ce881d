"""What goes into the step that sends, and what comes out of it. Small values: they live in histories."""

from asyncio import Lock
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from weakref import WeakValueDictionary

from activities.alarms import DispatchAlarms
from activities.stores import Stores
from activities.strain import started_late, why_strained
from activities.tickets import TicketOffice
from csms.ports import ChargerSender
from signing.ledger import UseLedger
from signing.ports import DispatchVerifier
from storage.artifact import Artifact
from storage.campaign import SignedDirective, Target
from storage.charger import ModelProfile


class DispatchKind(StrEnum):
    """What became of an attempt to send."""

    ACCEPTED = "accepted"
    NOT_NOW = "not_now"
    """Nothing was sent: busy, no budget, campaign not running, metadata out of reach."""
    GONE = "gone"
    """Nothing was sent: the session is not here any more."""
    UNKNOWN = "unknown"
    """It may have been sent: no answer came."""
    REFUSED = "refused"
    """The charger answered no."""
    UNSUPPORTED = "unsupported"
    """This charger cannot take this update at all."""
    ALREADY = "already"
    """It runs the version already."""
    HALT = "halt"
    """A proof did not hold, here or on the charger: nothing more may be sent."""


@dataclass(frozen=True, slots=True)
class DispatchInput:
    """One attempt on one charger; everything else about it is in the store."""

    campaign_id: str
    wave: int
    shard: int
    charger_id: str
    attempt: int
    session_epoch: int
    out_of_service: tuple[str, ...] | None = None
    """What was out of service before we came. None: nobody touched it yet, so look."""


@dataclass(frozen=True, slots=True)
class DispatchAnswer:
    """What the node did and heard."""

    kind: DispatchKind
    reason: str = ""
    request_id: int | None = None
    out_of_service: tuple[str, ...] | None = None
    """What was out of service before; None: not looked at."""
    drained: bool = False
    """The charger was made inoperative and is so still."""
    needs_reset: bool = False
    for_session: bool = False
    strained: bool = False
    """The node is late with its work, and what it began now would suffer for that."""
    spent: bool = False
    """Its directive was used for another request of this charger: it takes the next one."""


@dataclass(frozen=True, slots=True)
class ResetInput:
    """Restart a charger under maintenance, once it is idle."""

    charger_id: str
    session_epoch: int


@dataclass(frozen=True, slots=True)
class PutBackInput:
    """Put a charger back into service on which nobody works any more."""

    charger_id: str
    session_epoch: int


@dataclass(frozen=True, slots=True)
class ResetAnswer:
    """Whether the charger will restart, and what it said."""

    accepted: bool
    reason: str


class ChargerLocks:
    """One deed at a time on one charger, also when Temporal believes an earlier one to be over."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def alone(self, charger_id: str) -> Lock:
        """The lock of one charger on this node."""
        return self._locks.setdefault(charger_id, Lock())


LEASE_SLACK_S = 300.0
"""A site lease outlives an attempt's deadline by this much: time to conclude."""


def wake_on(*, needs_reset: bool) -> tuple[str, ...]:
    """What of a charger is worth a signal to the workflow that updates it."""
    return ("booted", "firmware_failed", *(("installed",) if needs_reset else ()))


def _in_time() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Node:
    """What a CSMS node hands to the step that sends."""

    stores: Stores
    sender: ChargerSender
    verifier: DispatchVerifier
    office: TicketOffice
    command_seconds: float = 15.0
    """How long a charger may take to answer one command."""
    lease_slack_seconds: float = LEASE_SLACK_S
    data_transfer_vendors: frozenset[str] = frozenset()
    """Whose messages people may send; nobody's unless named."""
    uses: UseLedger = field(default_factory=UseLedger)
    """What this node knows to have been used, whatever the database says."""
    alarms: DispatchAlarms = field(default_factory=DispatchAlarms)
    locks: ChargerLocks = field(default_factory=ChargerLocks)
    loop_late: Callable[[], float] = _in_time
    """How late its event loop was of late, seconds."""
    unmarked: Callable[[], float] = _in_time
    """For how long it has not been able to say that it listens, seconds."""

    @property
    def strain(self) -> str:
        """Why nothing new is to be sent from here now, or "". Asked within an activity."""
        return why_strained(started_late(), self.loop_late(), self.unmarked())


class Obstacle(Exception):
    """Why the update was not sent, or not accepted."""

    def __init__(
        self,
        kind: DispatchKind,
        reason: str,
        *,
        for_session: bool = False,
        strained: bool = False,
        spent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.for_session = for_session
        self.strained = strained
        self.spent = spent


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent to whom, under which number."""

    target: Target
    artifact: Artifact
    profile: ModelProfile
    request_id: int
    directive: SignedDirective
