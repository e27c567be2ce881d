"""Canonical events of our own finding: what a watchdog asked, concluded, or missed.

They are events like those of ``storage.events``, which lists them: on the timeline, in the twin, replayable.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.note import NoteAdded


class SessionFinding(StrEnum):
    """What asking a charger about one of its sessions brought to light."""

    ONGOING = "ongoing"
    """It says that the session goes on (2.x GetTransactionStatus), or it was heard of again."""
    GONE = "gone"
    """It says that it has no such session, or that it has ended."""
    FREE = "free"
    """Every connector that the session may use is Available, and nothing was heard of the session since."""
    DISPLACED = "displaced"
    """A later session began on its EVSE, which holds one at a time, and nothing was heard of it since."""
    UNKNOWN = "unknown"
    """It did not answer, or the answer settles nothing: unknown counts as charging."""


SAYS_OVER = frozenset({SessionFinding.GONE, SessionFinding.FREE, SessionFinding.DISPLACED})
"""Evidence that a session is over; a charger's own word weighs more than what its connectors show."""


@dataclass(frozen=True, slots=True)
class SessionQuestioned:
    """A session in doubt was looked into by asking its charger (F84)."""

    transaction_id: str
    doubt: str
    """Why it was asked about, in words."""
    finding: SessionFinding
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SessionAbandoned:
    """We hold a session to be over whose end was never told. Heard of again, it opens again (F84)."""

    transaction_id: str
    reason: str
    as_of: datetime | None = None
    """Server time up to which all was considered: if it was heard of later, this does not hold."""


@dataclass(frozen=True, slots=True)
class SessionStuck:
    """Nothing settles whether a session goes on: a person has to look. It still counts as one (F84)."""

    transaction_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChargerFellSilent:
    """Its socket lives and answers pings, but no OCPP message came, nor an answer when it was asked."""

    silent_s: float
    """Since its last message, when this was found."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChargerSpokeAgain:
    """A charger that had fallen silent sent a message on the same socket."""

    silent_s: float


@dataclass(frozen=True, slots=True)
class FirmwareVersionRead:
    """A charger whose boot told no version (2.x leaves that open) was asked after it, and said this.

    Together with that boot it is what a boot with a version is (R28); it counts for no other boot.
    """

    version: str
    booted_at: datetime
    """Server time of the boot after which it was asked."""
    name: str = ""
    """The variable that said so."""
    restarted: bool = True
    """That boot was a restart, and not one that we asked it to tell of."""


@dataclass(frozen=True, slots=True)
class DesiredCompared:
    """What is desired of a charger was read again after it came back, and compared (F22)."""

    desired: int
    """Values that are desired of it."""
    differs: tuple[str, ...] = ()
    """Those that it reports otherwise."""
    untold: tuple[str, ...] = ()
    """Those that it would not tell."""


Finding = (
    SessionQuestioned
    | SessionAbandoned
    | SessionStuck
    | ChargerFellSilent
    | ChargerSpokeAgain
    | FirmwareVersionRead
    | NoteAdded
    | DesiredCompared
)

FINDING_TYPES: dict[str, type[Any]] = {
    "session_questioned": SessionQuestioned,
    "session_abandoned": SessionAbandoned,
    "session_stuck": SessionStuck,
    "charger_fell_silent": ChargerFellSilent,
    "charger_spoke_again": ChargerSpokeAgain,
    "firmware_version_read": FirmwareVersionRead,
    "note_added": NoteAdded,
    "desired_compared": DesiredCompared,
}
"""By stored name; ``storage.events`` takes them into its table."""
