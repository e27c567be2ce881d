"""What goes into a step that brings a charger to another connection, and out of it; histories keep it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from activities.facts import RouteFacts
from activities.orders import DispatchKind
from storage.renewal import RenewalOutcome


class ConnectionStep(StrEnum):
    """What is done to a charger, one after the other."""

    CHECK = "check"
    """Is all there that it needs to come back the new way, and is there a slot for it?"""
    WRITE = "write"
    """Out of service, then the new connection into a slot not in use; 1.6: the new security profile."""
    PREFER = "prefer"
    """The new slot first, the one in use behind it (2.x)."""
    RESTART = "restart"
    """So that it counts; never into a session."""
    SHOW = "show"
    """Which slot does it use now?"""
    RESTORE = "restore"
    """The order of slots that it had."""
    RETURN = "return"
    """Back into service."""
    PASSWORD = "password"  # noqa: S105 - a step, no secret
    """A new password that nobody sees."""


@dataclass(frozen=True, slots=True)
class ConnectionOrder:
    """One step on one charger. Seconds."""

    renewal_id: str
    charger_id: str
    session_epoch: int
    step: ConnectionStep
    seconds: float
    """How long the charger stays reserved."""
    slots: tuple[int, ...] = ()
    """To be tried, in this order."""
    priority: str = ""
    """The order of slots that it is to have."""
    profile: int = 0
    """The security profile that it is to come with."""


@dataclass(frozen=True, slots=True)
class ConnectionAnswer:
    """What the node did and heard."""

    kind: DispatchKind
    reason: str = ""
    slots: tuple[int, ...] = ()
    """CHECK: those that may be written. WRITE: the one that was."""
    before: str = ""
    """The order of slots that it had."""
    active: int | None = None
    """The slot that it says it uses."""
    profile: int = 0
    """The security profile that it is to come with."""
    by_itself: bool = False
    """It has no slots: it takes the new way at once, without a restart (1.6)."""
    reboot: bool = False
    """It says that it takes a restart."""


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """What became of a charger since then."""

    charger_id: str
    since: datetime
    """A while before it was told: only how far events are read back."""
    mark: int | None = None
    """Number of the newest event when it was told; None: only that is asked."""


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """What the store says."""

    mark: int
    """Number of the newest event of all."""
    online: bool
    came_with: int | None
    """The security profile of its newest connection since then; None: it has not connected since."""
    booted: bool
    """It has started anew since then."""
    pending: bool
    """Which of two passwords it uses is not known."""
    password_since: datetime | None
    route: RouteFacts | None


@dataclass(frozen=True, slots=True)
class ConnectionNote:
    """What is said of the connection that a charger is to have. ``outcome`` None: it is about to be told."""

    renewal_id: str
    charger_id: str
    profile: int
    outcome: RenewalOutcome | None = None
    reason: str = ""
